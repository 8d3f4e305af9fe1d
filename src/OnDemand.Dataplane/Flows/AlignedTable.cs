using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// A table whose entries begin at multiples of their size, so that one of 64 octets lies in one cache line: an array's own elements begin
/// anywhere. Every access is checked against the length, as an array's is.
/// </summary>
internal sealed unsafe class AlignedTable<T>
    where T : unmanaged
{
    private readonly T[] _items;     // one more than asked for: room to begin later; pinned, so it stays where it is
    private readonly T* _first;

    /// <summary>Takes the memory; untouched pages cost nothing.</summary>
    public AlignedTable(int length)
    {
        Length = length;
        _items = GC.AllocateArray<T>(length + 1, pinned: true);
        nuint size = (nuint)sizeof(T);
        nuint start = (nuint)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(_items));
        _first = (T*)((start + size - 1) / size * size);
    }

    /// <summary>Entries in the table.</summary>
    public int Length { get; }

    /// <summary>The first entry, for numbers that are known to be within the table.</summary>
    public ref T First
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref *_first;
    }

    /// <summary>An entry.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such entry.</exception>
    public ref T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            if ((uint)index >= (uint)Length)
            {
                ThrowOutOfRange(index);
            }

            return ref _first[(uint)index];
        }
    }

    [DoesNotReturn]
    private static void ThrowOutOfRange(int index) =>
        throw new ArgumentOutOfRangeException(nameof(index), index, "There is no such entry.");
}
