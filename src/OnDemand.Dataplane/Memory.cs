using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace OnDemand.Dataplane;

/// <summary>Asking the processor for a cache line before it is needed: a wrong hint costs time, nothing else.</summary>
internal static unsafe class Memory
{
    /// <summary>Asks for the cache line that holds a place in a table; elsewhere than on x86 it does nothing.</summary>
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
