using System.Numerics;
using System.Runtime.CompilerServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>Says whether an entry has the key that is looked for.</summary>
internal interface IEntryKey
{
    /// <summary>Compares the key with an entry's.</summary>
    bool Matches(int id);
}

/// <summary>
/// An index from hash to entry number for the tables that are asked when flows begin and end, not for every packet: a list for each
/// hash, eight octets an entry. All memory is taken at the start, the lists' beginnings in earnest (four octets an entry), the rest when it is
/// used; it neither grows nor moves.
/// </summary>
internal sealed class ChainIndex
{
    private readonly int[] _heads;       // entry number plus one; 0 for an empty list
    private readonly int[] _next;
    private readonly uint _mask;

    /// <summary>Takes the memory.</summary>
    /// <param name="capacity">Entries at most.</param>
    /// <param name="numbers">One past the greatest entry number.</param>
    public ChainIndex(int capacity, int numbers)
    {
        uint heads = BitOperations.RoundUpToPowerOf2((uint)Math.Max(capacity, 1));
        _heads = new int[heads];
        _heads.AsSpan().Clear();     // written before it is read: else each page is first the zero page, and taking that away disturbs all cores
        _next = new int[numbers];
        _mask = heads - 1;
    }

    /// <summary>Entries in the index.</summary>
    public int Count { get; private set; }

    /// <summary>Finds the entry with a key.</summary>
    /// <returns>Its number, or -1.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Find<TKey>(ulong hash, TKey key)
        where TKey : struct, IEntryKey
    {
        int link = _heads[(uint)hash & _mask];
        while (link != 0 && !key.Matches(link - 1))
        {
            link = _next[link - 1];
        }

        return link - 1;
    }

    /// <summary>Asks for the place where a hash's list begins, before it is needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(ulong hash) => Memory.Prefetch(ref _heads[(uint)hash & _mask]);

    /// <summary>The first entry of a hash's list, or -1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int First(ulong hash) => _heads[(uint)hash & _mask] - 1;

    /// <summary>Asks for what follows an entry in its list, before it is needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void PrefetchAfter(int id) => Memory.Prefetch(ref _next[id]);

    /// <summary>Adds an entry that is not in the index; the caller keeps the count within the capacity.</summary>
    public void Add(ulong hash, int id)
    {
        ref int head = ref _heads[(uint)hash & _mask];
        _next[id] = head;
        head = id + 1;
        Count++;
    }

    /// <summary>Removes an entry; nothing happens if it is not there.</summary>
    public void Remove(ulong hash, int id)
    {
        ref int link = ref _heads[(uint)hash & _mask];
        while (link != 0 && link != id + 1)
        {
            link = ref _next[link - 1];
        }

        if (link != 0)
        {
            link = _next[id];
            Count--;
        }
    }
}
