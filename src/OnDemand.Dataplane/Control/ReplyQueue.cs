using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Control;

/// <summary>Packets that the engine made, until the caller takes them; bounded.</summary>
internal sealed class ReplyQueue(int capacity)
{
    private const int SlotLength = ReplyPackets.MaximumErrorLength;

    private readonly byte[] _octets = new byte[capacity * SlotLength];
    private readonly int[] _lengths = new int[capacity];
    private readonly OutputFrame[] _infos = new OutputFrame[capacity];
    private int _head;

    public int Count { get; private set; }

    public bool IsFull => Count == _lengths.Length;

    /// <summary>The octets of the place that the next packet gets; the queue must not be full.</summary>
    public Span<byte> NextSlot => _octets.AsSpan(Tail * SlotLength, SlotLength);

    private int Tail => (_head + Count) % _lengths.Length;

    /// <summary>Adds what was written into <see cref="NextSlot"/>.</summary>
    public void Add(in OutputFrame info, int length)
    {
        _infos[Tail] = info;
        _lengths[Tail] = length;
        Count++;
    }

    public int Take(Span<byte> destination, out OutputFrame info)
    {
        int at = _head;
        info = _infos[at];
        _octets.AsSpan(at * SlotLength, _lengths[at]).CopyTo(destination);
        _head = (at + 1) % _lengths.Length;
        Count--;
        return _lengths[at];
    }
}
