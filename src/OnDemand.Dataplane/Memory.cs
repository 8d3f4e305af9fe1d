using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnDemand.Dataplane;

/// <summary>What the packet path knows of the processor's caches.</summary>
internal static unsafe class Memory
{
    /// <summary>
    /// Takes an array that every packet touches, where such arrays and the frames' own buffers lie close together and stay. AMD's Zen finds
    /// the way of its first cache by a hash of the address's bits 12 to 27, and lines whose hashes agree push each other out. Pages tens
    /// of megabytes apart, as those of different parts of the heap, did so in about one process of four; pages of the same megabyte never do.
    /// </summary>
    public static T[] AllocateHot<T>(int length)
        where T : unmanaged => GC.AllocateArray<T>(length, pinned: true);

    /// <summary>
    /// Asks for the cache line that holds a place in a table before it is needed: a wrong hint costs time, nothing else. Elsewhere than on
    /// x86 it does nothing.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch<T>(ref T place)
        where T : struct
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(Unsafe.AsPointer(ref place));
        }
    }
}
