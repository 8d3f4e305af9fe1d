using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane;

namespace OnDemand.Linux.Recording;

/// <summary>What an entry of the ring tells.</summary>
internal enum RingKind : byte
{
    /// <summary>Nothing: the rest of the ring's memory is too short for the next entry.</summary>
    Gap,

    /// <summary>The first control record.</summary>
    Start,

    /// <summary>A control record.</summary>
    Control,

    /// <summary>A frame goes into the engine.</summary>
    Arrival,

    /// <summary>The engine's word on a frame, with the frame if it goes on.</summary>
    Verdict,

    /// <summary>A frame that the engine gave out.</summary>
    Output,

    /// <summary>An event.</summary>
    Event,

    /// <summary>The run is over.</summary>
    Stop,
}

/// <summary>The head of an entry; its octets follow.</summary>
internal struct RingEntry
{
    /// <summary>Octets that follow.</summary>
    public int Length;

    /// <summary>What it tells.</summary>
    public RingKind Kind;

    /// <summary>The frame's fate.</summary>
    public Run.FrameFate Fate;

    /// <summary>Whether the frame came from the network.</summary>
    public bool Inbound;

    /// <summary>VIRTIO_NET_HDR_GSO_* of the frame.</summary>
    public byte SegmentationType;

    /// <summary>Octets of payload in each segment.</summary>
    public ushort SegmentSize;

    /// <summary>The frame's place in its batch.</summary>
    public int Place;

    /// <summary>What the engine was told of the frame.</summary>
    public FrameInfo Info;

    /// <summary>The engine's word.</summary>
    public Verdict Verdict;

    /// <summary>The engine's output.</summary>
    public OutputFrame Output;

    /// <summary>When.</summary>
    public Timestamp Time;
}

/// <summary>
/// Entries on their way from the engine's thread to the recorder's: fixed memory, one writer at a time, one reader, no lock. The writer never waits:
/// what finds no room is refused.
/// </summary>
internal sealed class RecordRing
{
    private const int Alignment = 64;

    private static readonly int HeadLength = Unsafe.SizeOf<RingEntry>();

    private readonly byte[] _octets;
    private long _written;           // of the writer; both only grow
    private long _read;              // of the reader
    private long _readSeen;          // what the writer last saw of _read

    /// <summary>Takes the memory.</summary>
    /// <param name="capacity">Octets; at least a megabyte.</param>
    public RecordRing(int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1 << 20);
        _octets = GC.AllocateUninitializedArray<byte>(capacity & -Alignment, pinned: true);
        _octets.AsSpan().Clear();        // so that its pages are there before the first frame is
    }

    /// <summary>Whether the reader has nothing to read.</summary>
    public bool IsEmpty => Volatile.Read(ref _written) == Volatile.Read(ref _read);

    /// <summary>Adds an entry. Only for the engine's thread; allocates nothing.</summary>
    /// <param name="entry">Its head, the length aside.</param>
    /// <param name="octets">Its octets.</param>
    /// <returns>Whether there was room.</returns>
    public bool TryAdd(RingEntry entry, ReadOnlySpan<byte> octets)
    {
        int needed = Rounded(HeadLength + octets.Length);
        int at = (int)(_written % _octets.Length);
        int gap = _octets.Length - at >= needed ? 0 : _octets.Length - at;
        long end = _written + gap + needed;
        if (end - _readSeen > _octets.Length)
        {
            _readSeen = Volatile.Read(ref _read);
            if (end - _readSeen > _octets.Length)
            {
                return false;
            }
        }

        if (gap > 0)
        {
            // Every entry begins at a multiple of the alignment, so that there is room for a kind at least.
            MemoryMarshal.Write(_octets.AsSpan(at), gap);
            _octets[at + sizeof(int)] = (byte)RingKind.Gap;
            at = 0;
        }

        entry.Length = octets.Length;
        MemoryMarshal.Write(_octets.AsSpan(at), in entry);
        octets.CopyTo(_octets.AsSpan(at + HeadLength));
        Volatile.Write(ref _written, end);
        return true;
    }

    /// <summary>Looks at the next entry. Only for the reader's thread.</summary>
    /// <param name="entry">Its head.</param>
    /// <param name="octets">Its octets; valid until <see cref="Release"/>.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryPeek(out RingEntry entry, out ReadOnlySpan<byte> octets)
    {
        entry = default;
        octets = default;
        while (_read != Volatile.Read(ref _written))
        {
            int at = (int)(_read % _octets.Length);
            if (_octets[at + sizeof(int)] == (byte)RingKind.Gap)
            {
                Volatile.Write(ref _read, _read + _octets.Length - at);
                continue;
            }

            entry = MemoryMarshal.Read<RingEntry>(_octets.AsSpan(at));
            octets = _octets.AsSpan(at + HeadLength, entry.Length);
            return true;
        }

        return false;
    }

    /// <summary>Gives the room of an entry back.</summary>
    /// <param name="entry">The entry that was looked at.</param>
    public void Release(in RingEntry entry) => Volatile.Write(ref _read, _read + Rounded(HeadLength + entry.Length));

    private static int Rounded(int length) => (length + Alignment - 1) & -Alignment;
}
