using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace OnDemand.Dataplane.Flows;

/// <summary>The table of an index: keys and hashes by entry number.</summary>
internal interface IIndexed : IEntryKey
{
    /// <summary>The hash under which an entry was added.</summary>
    uint HashOf(int id);

    /// <summary>Asks for an entry's key before its hash is needed.</summary>
    void Prefetch(int id);
}

/// <summary>
/// An open-addressing index from hash to entry number.
///
/// Theory of operation. A slot is 32 bits: the entry's number plus one, and above it as much of the hash as there is room for, its tag;
/// zero is free. Slots stand in groups of eight, each within one cache line; a hash's chain begins at the start of its group, so that one
/// comparison of the whole group, without a branch for each slot, finds almost every entry. Two areas are taken at the start for the
/// greatest size; untouched pages cost nothing. Growing makes the other area current and moves a few slots with every later change, so no
/// packet ever waits for a whole table to be moved; where a slot belongs is asked of its entry. While that goes on, a look-up that misses
/// in the current area asks the old one, in which moved and removed slots leave a mark, so that its probe chains stay whole. When the last
/// slot has moved the old area is wiped, again a few slots at a time; only then can the next growth begin, which by then is far away.
/// Removal in the current area shifts the chain back, so there are no marks to pile up.
/// </summary>
internal sealed class FlowIndex
{
    private const int StepsPerChange = 16;
    private const uint Gone = uint.MaxValue;
    private const uint GroupSize = 8;

    private readonly AlignedTable<Vector256<uint>> _one;
    private readonly AlignedTable<Vector256<uint>> _two;
    private readonly int _largest;
    private readonly uint _numberMask;   // the bits of a slot that hold the number plus one: never all set
    private AlignedTable<Vector256<uint>> _current;
    private AlignedTable<Vector256<uint>> _old;
    private uint _mask;
    private uint _oldMask;
    private int _oldCount;      // entries still in the old area
    private long _moved;        // next slot of the old area to move
    private long _wiped;        // next slot of the old area to wipe; -1 when there is nothing to do
    private int _count;

    /// <summary>Takes the areas for a greatest number of entries, numbered from 0 on, at a load of at most one half.</summary>
    public FlowIndex(int capacity)
    {
        _largest = (int)Math.Min(1 << 30, BitOperations.RoundUpToPowerOf2((uint)Math.Max(capacity, (int)GroupSize)) * 2);
        _numberMask = (uint)((1UL << (BitOperations.Log2((uint)capacity + 2) + 1)) - 1);
        _one = new AlignedTable<Vector256<uint>>(_largest / (int)GroupSize);
        _two = new AlignedTable<Vector256<uint>>(_largest / (int)GroupSize);
        _current = _one;
        _old = _two;
        _mask = Math.Min(1024u, (uint)_largest) - 1;
        _wiped = -1;
    }

    /// <summary>Entries in the index.</summary>
    public int Count => _count;

    /// <summary>Whether slots of an old area are still to be moved or wiped.</summary>
    public bool IsGrowing => _wiped >= 0 || _oldCount > 0;

    /// <summary>The area that is current, for many look-ups in a row.</summary>
    public View Current
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => new(ref Unsafe.As<Vector256<uint>, byte>(ref _current.First), _mask, _numberMask);
    }

    /// <summary>Asks for the group's cache line before it is needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(uint hash) => Current.Prefetch(hash);

    /// <summary>An entry number in the hash's chain whose hash looks the same, or -1; the entry's key must still be compared.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Guess(uint hash) => Current.TryGuess(hash, out int id) ? id : GuessFurther(hash);

    /// <summary>The same when the chain's first group has none: it goes on past that, or is in the old area.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int GuessFurther(uint hash)
    {
        AlignedTable<Vector256<uint>> area = _current;
        uint mask = _mask;
        uint at = Home(hash, mask);
        while (true)
        {
            if (Vector256.EqualsAny(Group(area, at), Vector256<uint>.Zero))
            {
                if (area == _old || _oldCount == 0)
                {
                    return -1;
                }

                area = _old;
                mask = _oldMask;
                at = Home(hash, mask);
            }
            else
            {
                at = (at + GroupSize) & mask;
            }

            uint same = SameTag(Group(area, at), Vector256.Create(hash), Vector256.Create(~_numberMask));
            if (same != 0)
            {
                uint slot = Slot(area, at + (uint)BitOperations.TrailingZeroCount(same));
                return slot == Gone ? -1 : (int)(slot & _numberMask) - 1;
            }
        }
    }

    /// <summary>Finds the entry with a key.</summary>
    /// <returns>Its number, or -1.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Find<TKey>(uint hash, TKey key)
        where TKey : struct, IEntryKey
    {
        AlignedTable<Vector256<uint>> area = _current;
        uint mask = _mask;
        for (uint at = Home(hash, mask); ; at = (at + 1) & mask)
        {
            uint slot = Slot(area, at);
            if (slot == 0)
            {
                return _oldCount == 0 ? -1 : FindOld(hash, key);
            }

            if (((slot ^ hash) & ~_numberMask) == 0 && key.Matches((int)(slot & _numberMask) - 1))
            {
                return (int)(slot & _numberMask) - 1;
            }
        }
    }

    /// <summary>Adds an entry that is not in the index; the caller keeps the count within the capacity.</summary>
    public void Add<TTable>(uint hash, int id, TTable table)
        where TTable : struct, IIndexed
    {
        if (_count >= (int)((_mask + 1) / 2) && _mask + 1 < _largest)
        {
            while (IsGrowing)
            {
                Step(table);   // Reached only if entries came much faster than steps; the sizes make sure they do not.
            }

            Grow();
        }

        Insert(hash, id);
        _count++;
        Step(table);
    }

    /// <summary>Removes an entry, which the table still has.</summary>
    public void Remove<TTable>(uint hash, int id, TTable table)
        where TTable : struct, IIndexed
    {
        if (!RemoveCurrent(hash, id, table) && _oldCount > 0)
        {
            RemoveOld(hash, id);
        }

        Step(table);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Home(uint hash, uint mask) => hash & mask & ~(GroupSize - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref Vector256<uint> Group(AlignedTable<Vector256<uint>> area, uint at) => ref area[(int)(at / GroupSize)];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref uint Slot(AlignedTable<Vector256<uint>> area, uint at) =>
        ref Unsafe.Add(ref Unsafe.As<Vector256<uint>, uint>(ref Group(area, at)), (nint)(at % GroupSize));

    // A bit for each slot of a group that has the hash's tag.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint SameTag(Vector256<uint> group, Vector256<uint> hash, Vector256<uint> tags) =>
        Vector256.Equals((group ^ hash) & tags, Vector256<uint>.Zero).ExtractMostSignificantBits();

    private int FindOld<TKey>(uint hash, TKey key)
        where TKey : struct, IEntryKey
    {
        for (uint at = Home(hash, _oldMask); ; at = (at + 1) & _oldMask)
        {
            uint slot = Slot(_old, at);
            if (slot == 0)
            {
                return -1;
            }

            if (slot != Gone && ((slot ^ hash) & ~_numberMask) == 0 && key.Matches((int)(slot & _numberMask) - 1))
            {
                return (int)(slot & _numberMask) - 1;
            }
        }
    }

    private uint SlotOf(uint hash, int id) => (hash & ~_numberMask) | ((uint)id + 1);

    private void Insert(uint hash, int id)
    {
        uint at = Home(hash, _mask);
        while (Slot(_current, at) != 0)
        {
            at = (at + 1) & _mask;
        }

        Slot(_current, at) = SlotOf(hash, id);
    }

    private bool RemoveCurrent<TTable>(uint hash, int id, TTable table)
        where TTable : struct, IIndexed
    {
        uint at = Home(hash, _mask);
        uint wanted = SlotOf(hash, id);
        while (Slot(_current, at) != wanted)
        {
            if (Slot(_current, at) == 0)
            {
                return false;
            }

            at = (at + 1) & _mask;
        }

        // Shift back whatever would no longer be reached over the hole.
        uint hole = at;
        for (uint next = (hole + 1) & _mask; Slot(_current, next) != 0; next = (next + 1) & _mask)
        {
            uint home = Home(table.HashOf((int)(Slot(_current, next) & _numberMask) - 1), _mask);
            if (((next - home) & _mask) >= ((next - hole) & _mask))
            {
                Slot(_current, hole) = Slot(_current, next);
                hole = next;
            }
        }

        Slot(_current, hole) = 0;
        _count--;
        return true;
    }

    private void RemoveOld(uint hash, int id)
    {
        uint wanted = SlotOf(hash, id);
        for (uint at = Home(hash, _oldMask); Slot(_old, at) != 0; at = (at + 1) & _oldMask)
        {
            if (Slot(_old, at) == wanted)
            {
                Slot(_old, at) = Gone;
                _oldCount--;
                _count--;
                StartWipe();
                return;
            }
        }
    }

    private void Grow()
    {
        (_current, _old) = (_old, _current);
        _oldMask = _mask;
        _oldCount = _count;
        _mask = (_mask * 2) + 1;
        _moved = 0;
        StartWipe();
    }

    // When nothing is left to move, the old area is wiped from its start; it must be all zero before it can be current again.
    private void StartWipe() => _wiped = _oldCount == 0 ? 0 : -1;

    // The entries of the slots that the next call moves, which lie anywhere.
    private void LookAhead<TTable>(TTable table)
        where TTable : struct, IIndexed
    {
        long end = Math.Min(_moved + (2 * StepsPerChange), (long)_oldMask + 1);
        for (long at = _moved + StepsPerChange; at < end; at++)
        {
            uint slot = Slot(_old, (uint)at);
            if (slot != 0 && slot != Gone)
            {
                table.Prefetch((int)(slot & _numberMask) - 1);
            }
        }
    }

    private void Step<TTable>(TTable table)
        where TTable : struct, IIndexed
    {
        if (_oldCount > 0)
        {
            LookAhead(table);
        }

        for (int i = 0; i < StepsPerChange; i++)
        {
            if (_oldCount > 0)
            {
                uint slot = Slot(_old, (uint)_moved);
                if (slot != 0 && slot != Gone)
                {
                    int id = (int)(slot & _numberMask) - 1;
                    Insert(table.HashOf(id), id);
                    Slot(_old, (uint)_moved) = Gone;
                    _oldCount--;
                    StartWipe();
                }

                _moved++;
            }
            else if (_wiped >= 0)
            {
                Slot(_old, (uint)_wiped++) = 0;
                if (_wiped > _oldMask)
                {
                    _wiped = -1;
                    return;
                }
            }
            else
            {
                return;
            }
        }
    }

    /// <summary>An area of the index, valid until something is added or removed.</summary>
    internal readonly ref struct View(ref byte start, uint mask, uint numberMask)
    {
        private const int SlotSize = sizeof(uint);

        private readonly ref byte _start = ref start;
        private readonly nuint _groups = mask & ~(GroupSize - 1);   // the places where groups begin
        private readonly uint _numberMask = numberMask;
        private readonly Vector256<uint> _tags = Vector256.Create(~numberMask);

        /// <summary>Asks for a group's cache line before it is needed.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Prefetch(uint hash) => Memory.Prefetch(ref Group(hash));

        /// <summary>The first entry number in the chain's first group whose hash looks the same, if there is one.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool TryGuess(in uint hash, out int id)
        {
            ref byte group = ref Group(hash);
            uint same = SameTag(Unsafe.As<byte, Vector256<uint>>(ref group), Vector256.Create(hash), _tags);
            if (same == 0)
            {
                id = -1;
                return false;
            }

            nint place = (nint)(uint)BitOperations.TrailingZeroCount(same);
            id = (int)(Unsafe.As<byte, uint>(ref Unsafe.Add(ref group, place * SlotSize)) & _numberMask) - 1;
            return true;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private ref byte Group(uint hash) => ref Unsafe.Add(ref _start, (hash & _groups) * SlotSize);
    }
}
