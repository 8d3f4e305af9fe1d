using System.Runtime.InteropServices;

namespace OnDemand.Linux;

/// <summary>
/// A queue of fixed size from one thread at a time to one other; neither ever waits for the other, and nothing is allocated. What finds no
/// room is refused.
/// </summary>
/// <typeparam name="T">What is handed over.</typeparam>
/// <param name="capacity">How much may be under way.</param>
internal sealed class HandOver<T>(int capacity)
    where T : struct
{
    private readonly T[] _items = new T[capacity];
    private HandOverCursor _given;       // written by the giver only
    private HandOverCursor _taken;       // written by the taker only

    /// <summary>Whether nothing is under way.</summary>
    public bool IsEmpty => Volatile.Read(ref _given.Count) == Volatile.Read(ref _taken.Count);

    /// <summary>Gives something. For the giver's thread.</summary>
    /// <param name="item">It.</param>
    /// <returns>Whether there was room.</returns>
    public bool TryGive(in T item)
    {
        long given = _given.Count;
        if (given - Volatile.Read(ref _taken.Count) == _items.Length)
        {
            return false;
        }

        _items[given % _items.Length] = item;
        Volatile.Write(ref _given.Count, given + 1);
        return true;
    }

    /// <summary>Takes what was given first. For the taker's thread.</summary>
    /// <param name="item">It.</param>
    /// <returns>Whether there was anything.</returns>
    public bool TryTake(out T item)
    {
        long taken = _taken.Count;
        if (taken == Volatile.Read(ref _given.Count))
        {
            item = default;
            return false;
        }

        item = _items[taken % _items.Length];
        Volatile.Write(ref _taken.Count, taken + 1);
        return true;
    }
}

/// <summary>How much has gone by one end of a <see cref="HandOver{T}"/>; in a cache line of its own, so that two threads do not take it from
/// each other.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
internal struct HandOverCursor
{
    /// <summary>How much.</summary>
    [FieldOffset(64)]
    public long Count;
}
