namespace OnDemand.Dataplane.Control;

/// <summary>A queue of fixed size; what finds no room is refused.</summary>
internal sealed class Ring<T>(int capacity)
    where T : struct
{
    private readonly T[] _items = new T[capacity];
    private int _head;

    public int Count { get; private set; }

    public bool IsFull => Count == _items.Length;

    public bool TryAdd(in T item)
    {
        if (IsFull)
        {
            return false;
        }

        int at = _head + Count;
        _items[at >= _items.Length ? at - _items.Length : at] = item;
        Count++;
        return true;
    }

    public ref T Peek() => ref _items[_head];

    public bool TryTake(out T item)
    {
        if (Count == 0)
        {
            item = default;
            return false;
        }

        item = _items[_head];
        Skip();
        return true;
    }

    public void Skip()
    {
        _head = _head + 1 == _items.Length ? 0 : _head + 1;
        Count--;
    }
}
