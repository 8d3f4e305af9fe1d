using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// Every flow of every protocol. Entries are numbered and stay where they are; the index finds their numbers. All memory is taken at
/// the start (untouched pages cost nothing) and nothing is allocated afterwards. When it is full, existing flows go on and new ones are
/// refused by the engine.
/// </summary>
internal sealed class FlowTable
{
    private readonly AlignedTable<FlowEntry> _entries;
    private readonly FlowColdEntry[] _cold;
    private readonly FlowIndex _index;
    private readonly FlowHash _hash;
    private int _free = -1;
    private int _fresh;          // entries from here on were never used

    public FlowTable(int capacity, FlowHash hash)
    {
        _entries = new AlignedTable<FlowEntry>(capacity);
        _cold = GC.AllocateArray<FlowColdEntry>(capacity, pinned: true);
        _index = new FlowIndex(capacity);
        _hash = hash;
    }

    /// <summary>Flows in the table.</summary>
    public int Count => _index.Count;

    /// <summary>Flows it can hold.</summary>
    public int Capacity => _entries.Length;

    /// <summary>One past the highest entry that was ever used; sweeps end there.</summary>
    public int HighWater => _fresh;

    public bool IsFull => _index.Count == _entries.Length;

    /// <summary>The first entry, for numbers that come from the index.</summary>
    public ref FlowEntry First => ref _entries.First;

    /// <summary>The index as it is now, until something is added or removed.</summary>
    public FlowIndex.View Index => _index.Current;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref FlowEntry Entry(int id) => ref _entries[id];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref FlowColdEntry Cold(int id) => ref _cold[id];

    /// <summary>What hashes the keys, as <see cref="Hash(in IpAddress, ulong)"/> does.</summary>
    public ref readonly FlowHash Hasher => ref _hash;

    public uint Hash(in FlowKey key) => Hash(key.Remote, key.Tail);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public uint Hash(in IpAddress remote, ulong tail) => (uint)_hash.Of(remote, tail);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(uint hash) => _index.Prefetch(hash);

    /// <summary>
    /// The flow that a hash most likely means, or -1; its entry is asked for before it is needed. Entries that are freed after the guess
    /// have no key.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Guess(uint hash)
    {
        int id = _index.Guess(hash);
        if (id >= 0)
        {
            Memory.Prefetch(ref _entries[id]);
        }

        return id;
    }

    /// <summary>Guesses the flows of many packets, whose look-ups overlap.</summary>
    /// <returns>Whether every common packet seems to have a flow.</returns>
    public bool Guess(Span<Glance> glances)
    {
        ref FlowEntry first = ref _entries.First;
        FlowIndex.View index = _index.Current;
        ref Glance glance = ref MemoryMarshal.GetReference(glances);
        ref Glance end = ref Unsafe.Add(ref glance, glances.Length);
        bool isComplete = true;
        for (; Unsafe.IsAddressLessThan(ref glance, ref end); glance = ref Unsafe.Add(ref glance, 1))
        {
            if (glance.Guess >= 0)
            {
                if (index.TryGuess(glance.Hash, out int id))
                {
                    glance.Guess = id;
                    Memory.Prefetch(ref Unsafe.Add(ref first, (nint)(uint)id));     // a wrong hint does no harm
                }
                else
                {
                    glance.Guess = Glance.NotYet;
                    isComplete = false;
                }
            }
        }

        return isComplete || GuessOthers(glances);
    }

    // Apart, so that the loop above has no call in it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool GuessOthers(Span<Glance> glances)
    {
        bool isComplete = true;
        foreach (ref Glance glance in glances)
        {
            if (glance.Guess == Glance.NotYet)
            {
                int id = _index.GuessFurther(glance.Hash);
                glance.Guess = id;
                isComplete &= id >= 0;
                if (id >= 0)
                {
                    Memory.Prefetch(ref _entries[id]);
                }
            }
        }

        return isComplete;
    }

    public int Find(in FlowKey key, uint hash) => _index.Find(hash, new Lookup(this, key));

    public int Find(in FlowKey key) => Find(key, Hash(key));

    /// <summary>Makes an entry with the key and everything else at its start; the caller has checked <see cref="IsFull"/>.</summary>
    public int Add(in FlowKey key, uint hash)
    {
        int id = _free;
        if (id >= 0)
        {
            _free = _cold[id].WheelPrevious;
        }
        else
        {
            id = _fresh++;
        }

        _entries[id] = new FlowEntry
        {
            Remote = key.Remote,
            Tail = key.Tail,
            Address = -1,
            OldAddress = -1,
            Binding = -1,
        };
        _cold[id] = new FlowColdEntry { WheelNext = -1, WheelPrevious = -1 };
        _index.Add(hash, id, new Lookup(this, default));
        return id;
    }

    public void Remove(int id)
    {
        ref FlowEntry entry = ref _entries[id];
        _index.Remove(Hash(entry.Remote, entry.Tail), id, new Lookup(this, default));
        entry.State = FlowState.Free;
        entry.Tail = FlowKey.NoTail;
        _cold[id].WheelPrevious = _free;
        _free = id;
    }

    private readonly struct Lookup(FlowTable table, FlowKey key) : IIndexed
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id) => table._entries[id].Has(key);

        public void Prefetch(int id) => Memory.Prefetch(ref table._entries[id]);

        public uint HashOf(int id)
        {
            ref FlowEntry entry = ref table._entries[id];
            return table.Hash(entry.Remote, entry.Tail);
        }
    }
}
