using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace OnDemand.Dataplane.Flows;

/// <summary>Says whether an entry has the key that is looked for.</summary>
internal interface IEntryKey
{
    /// <summary>Compares the key with an entry's.</summary>
    bool Matches(int id);
}

/// <summary>
/// An open-addressing index from hash to entry number.
///
/// Theory of operation. A slot is 64 bits: the hash's low half (which also says where the slot belongs) and the entry's number plus
/// one; zero is free. Slots stand in groups of four, each within one cache line; a hash's chain begins at the start of its group, so that
/// one comparison of the whole group, without a branch for each slot, finds almost every entry. Two areas are taken at the start for the greatest size; untouched pages cost nothing. Growing makes the other
/// area current and moves a few slots with every later change, so no packet ever waits for a whole table to be moved. While that goes
/// on, a look-up that misses in the current area asks the old one, in which moved and removed slots leave a mark, so that its probe
/// chains stay whole. When the last slot has moved the old area is wiped, again a few slots at a time; only then can the next growth
/// begin, which by then is far away. Removal in the current area shifts the chain back, so there are no marks to pile up.
/// </summary>
internal sealed class FlowIndex
{
    private const int StepsPerChange = 16;
    private const uint Gone = uint.MaxValue;

    private const uint GroupSize = 4;

    private readonly AlignedTable<Vector256<ulong>> _one;
    private readonly AlignedTable<Vector256<ulong>> _two;
    private readonly int _largest;
    private AlignedTable<Vector256<ulong>> _current;
    private AlignedTable<Vector256<ulong>> _old;
    private uint _mask;
    private uint _oldMask;
    private int _oldCount;      // entries still in the old area
    private long _moved;        // next slot of the old area to move
    private long _wiped;        // next slot of the old area to wipe; -1 when there is nothing to do
    private int _count;

    /// <summary>Takes the areas for a greatest number of entries at a load of at most one half.</summary>
    public FlowIndex(int capacity)
    {
        _largest = (int)Math.Min(1 << 30, BitOperations.RoundUpToPowerOf2((uint)Math.Max(capacity, 8)) * 2);
        _one = new AlignedTable<Vector256<ulong>>(_largest / (int)GroupSize);
        _two = new AlignedTable<Vector256<ulong>>(_largest / (int)GroupSize);
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
    public View Current => new(ref Unsafe.As<Vector256<ulong>, byte>(ref _current.First), _mask);

    /// <summary>Asks for the group's cache line before it is needed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Prefetch(ulong hash) => Memory.Prefetch(ref Group(_current, Home((uint)hash, _mask)));

    /// <summary>An entry number in the hash's chain whose hash looks the same, or -1; the entry's key must still be compared.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Guess(ulong hash)
    {
        uint tag = (uint)hash;
        uint at = Home(tag, _mask);
        uint same = SameTag(Group(_current, at), tag);
        return same != 0 ? (int)(uint)Slot(_current, at + (uint)BitOperations.TrailingZeroCount(same)) - 1 : GuessFurther(tag, at);
    }

    /// <summary>Finds the entry with a key.</summary>
    /// <returns>Its number, or -1.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Find<TKey>(ulong hash, TKey key)
        where TKey : struct, IEntryKey
    {
        AlignedTable<Vector256<ulong>> area = _current;
        uint mask = _mask;
        uint tag = (uint)hash;
        for (uint at = Home(tag, mask); ; at = (at + 1) & mask)
        {
            ulong slot = Slot(area, at);
            if (slot == 0)
            {
                return _oldCount == 0 ? -1 : FindOld(hash, key);
            }

            if ((uint)(slot >> 32) == tag && key.Matches((int)(uint)slot - 1))
            {
                return (int)(uint)slot - 1;
            }
        }
    }

    /// <summary>Adds an entry that is not in the index; the caller keeps the count within the capacity.</summary>
    public void Add(ulong hash, int id)
    {
        if (_count >= (int)((_mask + 1) / 2) && _mask + 1 < _largest)
        {
            while (IsGrowing)
            {
                Step();   // Reached only if entries came much faster than steps; the sizes make sure they do not.
            }

            Grow();
        }

        Insert(hash, id);
        _count++;
        Step();
    }

    /// <summary>Removes an entry.</summary>
    public void Remove(ulong hash, int id)
    {
        if (!RemoveCurrent(hash, id) && _oldCount > 0)
        {
            RemoveOld(hash, id);
        }

        Step();
    }

    // The chain goes on past its first group, or is in the old area.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int GuessFurther(uint tag, uint at)
    {
        AlignedTable<Vector256<ulong>> area = _current;
        uint mask = _mask;
        while (true)
        {
            if (Vector256.EqualsAny(Group(area, at), Vector256<ulong>.Zero))
            {
                if (area == _old || _oldCount == 0)
                {
                    return -1;
                }

                area = _old;
                mask = _oldMask;
                at = Home(tag, mask);
            }
            else
            {
                at = (at + GroupSize) & mask;
            }

            uint same = SameTag(Group(area, at), tag);
            if (same != 0)
            {
                uint number = (uint)Slot(area, at + (uint)BitOperations.TrailingZeroCount(same));
                return number == Gone ? -1 : (int)number - 1;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Home(uint tag, uint mask) => tag & mask & ~(GroupSize - 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref Vector256<ulong> Group(AlignedTable<Vector256<ulong>> area, uint at) => ref area[(int)(at / GroupSize)];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ref ulong Slot(AlignedTable<Vector256<ulong>> area, uint at) =>
        ref Unsafe.Add(ref Unsafe.As<Vector256<ulong>, ulong>(ref Group(area, at)), (nint)(at % GroupSize));

    // A bit for each slot of a group that has the tag.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint SameTag(Vector256<ulong> group, uint tag) =>
        Vector256.Equals(group >>> 32, Vector256.Create((ulong)tag)).ExtractMostSignificantBits();

    private int FindOld<TKey>(ulong hash, TKey key)
        where TKey : struct, IEntryKey
    {
        uint tag = (uint)hash;
        for (uint at = Home(tag, _oldMask); ; at = (at + 1) & _oldMask)
        {
            ulong slot = Slot(_old, at);
            if (slot == 0)
            {
                return -1;
            }

            if ((uint)(slot >> 32) == tag && (uint)slot != Gone && key.Matches((int)(uint)slot - 1))
            {
                return (int)(uint)slot - 1;
            }
        }
    }

    private void Insert(ulong hash, int id)
    {
        uint at = Home((uint)hash, _mask);
        while (Slot(_current, at) != 0)
        {
            at = (at + 1) & _mask;
        }

        Slot(_current, at) = ((ulong)(uint)hash << 32) | ((uint)id + 1);
    }

    private bool RemoveCurrent(ulong hash, int id)
    {
        uint at = Home((uint)hash, _mask);
        ulong wanted = ((ulong)(uint)hash << 32) | ((uint)id + 1);
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
            uint home = Home((uint)(Slot(_current, next) >> 32), _mask);
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

    private void RemoveOld(ulong hash, int id)
    {
        ulong wanted = ((ulong)(uint)hash << 32) | ((uint)id + 1);
        for (uint at = Home((uint)hash, _oldMask); Slot(_old, at) != 0; at = (at + 1) & _oldMask)
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

    private void Step()
    {
        for (int i = 0; i < StepsPerChange; i++)
        {
            if (_oldCount > 0)
            {
                ulong slot = Slot(_old, (uint)_moved);
                if (slot != 0 && (uint)slot != Gone)
                {
                    Insert(slot >> 32, (int)(uint)slot - 1);
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
    internal readonly ref struct View(ref byte start, uint mask)
    {
        private const int SlotSize = sizeof(ulong);

        private readonly ref byte _start = ref start;
        private readonly nuint _groups = mask & ~(GroupSize - 1);   // the places where groups begin

        /// <summary>Asks for a group's cache line before it is needed.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Prefetch(uint tag) => Memory.Prefetch(ref Group(tag));

        /// <summary>The first entry number in the chain's first group whose hash looks the same, if there is one.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool TryGuess(uint tag, out int id)
        {
            ref byte group = ref Group(tag);
            uint same = SameTag(Unsafe.As<byte, Vector256<ulong>>(ref group), tag);
            id = (int)Unsafe.As<byte, uint>(ref Unsafe.Add(ref group, (nint)(uint)BitOperations.TrailingZeroCount(same | 8) * SlotSize)) - 1;
            return same != 0;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private ref byte Group(uint tag) => ref Unsafe.Add(ref _start, (tag & _groups) * SlotSize);
    }
}
