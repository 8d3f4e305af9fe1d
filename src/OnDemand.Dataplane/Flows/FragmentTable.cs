using System.Runtime.CompilerServices;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Flows;

/// <summary>What is known of a fragmented datagram.</summary>
internal enum DatagramState : byte
{
    Free,

    /// <summary>Its first fragment has not come; the others wait.</summary>
    Waiting,

    /// <summary>Its first fragment waits for the network; the others wait behind it.</summary>
    Held,

    /// <summary>Its fragments have this typed address.</summary>
    Known,

    /// <summary>Its first fragment passed untouched, so the others do.</summary>
    Untouched,

    /// <summary>Its first fragment was dropped, or two overlap (RFC 5722).</summary>
    Dropped,
}

/// <summary>A fragmented datagram, by source, destination and identification (RFC 8200 §4.5).</summary>
internal struct FragmentedDatagram
{
    public IpAddress Source;
    public IpAddress Destination;
    public uint Identification;
    public DatagramState State;
    public ForwardReason Reason;     // of the first fragment, when it is untouched
    public int Address;              // typed address that the first fragment used or was sent to
    public IpAddress External;       // that address: numbers are used again
    public int Flow;
    public Timestamp Expires;
    public HeldQueue Queue;
    public int Next;                 // by age; or the next free number
}

/// <summary>
/// Fragmented datagrams, bounded in number, each for a bounded time. Which eight-octet blocks have come is kept as bits, so that an
/// overlap is seen exactly; an exact duplicate is none (RFC 8200 §4.5).
/// </summary>
internal sealed class FragmentTable
{
    private const int Blocks = 8192;
    private const int Words = Blocks / 64;

    private readonly FragmentedDatagram[] _datagrams;
    private readonly ulong[] _covered;
    private readonly ulong[] _starts;
    private readonly ulong[] _ends;
    private readonly ChainIndex _index;
    private readonly FlowHash _hash;
    private int _free;
    private int _oldest = -1;
    private int _newest = -1;

    public FragmentTable(int capacity, FlowHash hash)
    {
        _datagrams = new FragmentedDatagram[capacity];
        _covered = new ulong[capacity * Words];
        _starts = new ulong[capacity * Words];
        _ends = new ulong[capacity * Words];
        _index = new ChainIndex(capacity, capacity);
        _hash = hash;
        for (int i = 0; i < capacity; i++)
        {
            _datagrams[i].Next = i + 1 < capacity ? i + 1 : -1;
        }
    }

    /// <summary>The datagram that expires first, or -1: all are remembered for the same time.</summary>
    public int Oldest => _oldest;

    public ref FragmentedDatagram this[int id] => ref _datagrams[id];

    public int Find(IpAddress source, IpAddress destination, uint identification) =>
        _index.Find(_hash.Of(source, destination, identification), new Key(_datagrams, source, destination, identification));

    /// <summary>Adds a datagram; -1 if there is no room.</summary>
    public int Add(IpAddress source, IpAddress destination, uint identification, Timestamp expires)
    {
        if (_free < 0)
        {
            return -1;
        }

        int id = _free;
        _free = _datagrams[id].Next;
        _datagrams[id] = new FragmentedDatagram
        {
            Source = source,
            Destination = destination,
            Identification = identification,
            State = DatagramState.Waiting,
            Address = -1,
            Flow = -1,
            Expires = expires,
            Queue = HeldQueue.Empty,
            Next = -1,
        };
        _covered.AsSpan(id * Words, Words).Clear();
        _starts.AsSpan(id * Words, Words).Clear();
        _ends.AsSpan(id * Words, Words).Clear();
        _index.Add(_hash.Of(source, destination, identification), id);
        if (_newest >= 0)
        {
            _datagrams[_newest].Next = id;
        }
        else
        {
            _oldest = id;
        }

        _newest = id;
        return id;
    }

    /// <summary>Forgets the oldest datagram; its queue must have been emptied.</summary>
    public void RemoveOldest()
    {
        int id = _oldest;
        ref FragmentedDatagram datagram = ref _datagrams[id];
        _index.Remove(_hash.Of(datagram.Source, datagram.Destination, datagram.Identification), id);
        _oldest = datagram.Next;
        _newest = _oldest < 0 ? -1 : _newest;
        datagram = default;
        datagram.Next = _free;
        _free = id;
    }

    /// <summary>Remembers the oldest datagram longer: it becomes the newest.</summary>
    public void RenewOldest(Timestamp expires)
    {
        int id = _oldest;
        _datagrams[id].Expires = expires;
        if (id == _newest)
        {
            return;
        }

        _oldest = _datagrams[id].Next;
        _datagrams[id].Next = -1;
        _datagrams[_newest].Next = id;
        _newest = id;
    }

    /// <summary>Marks a fragment's blocks.</summary>
    /// <param name="id">The datagram.</param>
    /// <param name="offset">Fragment Offset in eight-octet blocks.</param>
    /// <param name="length">Octets of the fragment.</param>
    /// <returns>False if it overlaps another fragment without being its exact duplicate.</returns>
    public bool Mark(int id, int offset, int length)
    {
        int blocks = Math.Min((length + 7) / 8, Blocks - offset);
        if (blocks <= 0)
        {
            return true;
        }

        Span<ulong> covered = _covered.AsSpan(id * Words, Words);
        Span<ulong> starts = _starts.AsSpan(id * Words, Words);
        Span<ulong> ends = _ends.AsSpan(id * Words, Words);
        int last = offset + blocks - 1;
        int seen = 0;
        bool innerStart = false;
        for (int block = offset; block <= last; block++)
        {
            seen += IsSet(covered, block) ? 1 : 0;
            innerStart |= block > offset && IsSet(starts, block);
        }

        if (seen != 0)
        {
            return seen == blocks && IsSet(starts, offset) && IsSet(ends, last) && !innerStart;
        }

        for (int block = offset; block <= last; block++)
        {
            covered[block >> 6] |= 1UL << (block & 63);
        }

        starts[offset >> 6] |= 1UL << (offset & 63);
        ends[last >> 6] |= 1UL << (last & 63);
        return true;
    }

    private static bool IsSet(ReadOnlySpan<ulong> bits, int block) => (bits[block >> 6] >> (block & 63) & 1) != 0;

    private readonly struct Key(FragmentedDatagram[] datagrams, IpAddress source, IpAddress destination, uint identification) : IEntryKey
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool Matches(int id)
        {
            ref FragmentedDatagram datagram = ref datagrams[id];
            return datagram.Identification == identification && datagram.Source == source && datagram.Destination == destination;
        }
    }
}
