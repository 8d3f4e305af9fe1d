using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Tap;

// Theory of operation. Frames of a batch are added in the order in which they came. Each becomes a write of its own, or is appended to the
// latest write of its flow and direction, if the kernel's segmentation would make exactly this frame again behind what is there already.
// A write is never appended to once its flow has a later one, so writes in the order of their first frames keep the order of each flow.
//
// Nothing is copied but headers: a superpacket is a header made here, and behind it the payloads where they lie.

/// <summary>
/// Puts TCP segments, or UDP datagrams, that follow one another together into superpackets, as the kernel's GRO does for a network device
/// and as its GSO takes apart again, octet for octet.
/// </summary>
/// <remarks>
/// Joined are only IPv6 packets of a known flow, directly on Ethernet, without extension headers and no superpackets yet, that differ in
/// lengths, sequence numbers, checksums and PSH alone. All payloads are as long as the first, but for the last, which may be shorter; PSH
/// ends a superpacket. TCP segments have ACK set and beside it at most PSH and, all alike, ECE (RFC 3168); CWR, which segmentation would
/// leave to the first segment, stays alone. A checksum that is wrong, or absent (RFC 6935), is never replaced: such frames stay alone.
/// </remarks>
internal sealed unsafe class SegmentJoiner
{
    /// <summary>Frames in one superpacket at most: what the kernel takes of UDP since 4.18.</summary>
    public const int MostSegments = 64;

    private const int Network = EthernetFrame.HeaderLength;
    private const int NextHeader = Network + 6;
    private const int Addresses = Network + 8;
    private const int Transport = Network + 40;
    private const int Sequence = Transport + 4;
    private const int DataOffset = Transport + 12;
    private const int TcpFlags = Transport + 13;
    private const int Window = Transport + 14;
    private const int Urgent = Transport + 18;
    private const int TcpHeader = 20;
    private const int UdpHeader = 8;
    private const byte TcpChecksum = 16;
    private const byte UdpChecksum = 6;
    private const byte Psh = 0x08;
    private const byte Ack = 0x10;
    private const byte Ece = 0x40;
    private const byte NeedsChecksum = 1;
    private const byte ChecksumIsValid = 2;
    private const byte Tcp6Segmentation = 4;         // VIRTIO_NET_HDR_GSO_TCPV6
    private const byte UdpSegmentation = 5;          // VIRTIO_NET_HDR_GSO_UDP_L4
    private const int HeadLength = 128;              // virtio-net, Ethernet, IPv6 and the longest TCP header, in whole cache lines
    private const int Cells = 64;

    private readonly byte[] _buffer;
    private readonly byte[] _heads;
    private readonly IoPart[] _parts;
    private readonly FrameWrite[] _writes;
    private readonly Train[] _trains;
    private readonly byte[] _next;
    private readonly byte[] _latest = new byte[Cells];       // the number after that of the latest write of a flow
    private readonly FrameSlot[] _slots;
    private int _count;

    /// <summary>Makes a joiner.</summary>
    /// <param name="buffer">Where the frames lie, each behind its virtio-net header; it does not move.</param>
    /// <param name="slots">Where each frame lies.</param>
    public SegmentJoiner(byte[] buffer, FrameSlot[] slots)
    {
        _buffer = buffer;
        _slots = slots;
        _heads = GC.AllocateArray<byte>(slots.Length * HeadLength, pinned: true);
        _parts = GC.AllocateArray<IoPart>(2 * slots.Length, pinned: true);
        _writes = new FrameWrite[slots.Length];
        _trains = new Train[slots.Length];
        _next = new byte[slots.Length];
    }

    /// <summary>Whether TCP segments are joined.</summary>
    public bool JoinsSegments { get; set; }

    /// <summary>Whether UDP datagrams are joined.</summary>
    public bool JoinsDatagrams { get; set; }

    /// <summary>The parts of all writes.</summary>
    public ReadOnlySpan<IoPart> Parts => _parts;

    /// <summary>Begins with a new batch.</summary>
    public void Begin()
    {
        _count = 0;
        _latest.AsSpan().Clear();
    }

    /// <summary>Adds a frame, which is to be written as it lies there.</summary>
    /// <param name="place">Its place among the slots, greater than that of the one before.</param>
    public void Add(int place)
    {
        ref readonly FrameSlot slot = ref _slots[place];
        int flow = slot.Verdict.Flow;
        Segment segment = default;
        bool joinable = flow >= 0 && TryRead(slot, out segment);
        int key = (flow << 1) | (slot.Inbound ? 1 : 0);
        ref byte latest = ref _latest[(key ^ (key >> 6)) & (Cells - 1)];
        if (joinable && latest > 0 && TryAppend(ref _trains[latest - 1], key, segment, place))
        {
            return;
        }

        if (flow < 0)
        {
            _latest.AsSpan().Clear();                // it may belong to any of them
        }
        else
        {
            latest = (byte)(_count + 1);
        }

        _trains[_count++] = new Train
        {
            Key = key,
            Head = place,
            Tail = place,
            Count = 1,
            First = segment,
            Octets = segment.Length,
            IsOpen = joinable && (segment.Flags & Psh) == 0,
        };
    }

    /// <summary>Makes the writes of what was added.</summary>
    /// <returns>The writes, in order.</returns>
    public Span<FrameWrite> Finish()
    {
        int part = 0;
        for (int number = 0; number < _count; number++)
        {
            ref Train train = ref _trains[number];
            int first = part;
            ref readonly FrameSlot head = ref _slots[train.Head];
            if (train.Count == 1)
            {
                _parts[part++] = PartOf(head.Offset - VirtioNetHeader.Length, head.Length + VirtioNetHeader.Length);
            }
            else
            {
                _parts[part++] = MakeHead(number, train);
                for (int place = train.Head, left = train.Count; left > 0; place = _next[place], left--)
                {
                    ref readonly FrameSlot slot = ref _slots[place];
                    _parts[part++] = PartOf(slot.Offset + train.First.Start, slot.Length - train.First.Start);
                }
            }

            _writes[number] = new FrameWrite { First = first, Count = part - first };
        }

        return _writes.AsSpan(0, _count);
    }

    /// <summary>The frames of a write.</summary>
    /// <param name="write">The write's number.</param>
    /// <param name="first">The place of the first.</param>
    /// <returns>How many.</returns>
    public int FramesOf(int write, out int first)
    {
        first = _trains[write].Head;
        return _trains[write].Count;
    }

    /// <summary>Whether a write is one of TCP.</summary>
    /// <param name="write">The number of a write of more than one frame.</param>
    /// <returns>Whether it is.</returns>
    public bool IsOfSegments(int write) => _trains[write].First.IsTcp;

    /// <summary>The frame behind another one in the same write.</summary>
    /// <param name="place">The place of a frame that is not the last.</param>
    /// <returns>The next one's place.</returns>
    public int Next(int place) => _next[place];

    // What of a frame decides whether it can be joined at all.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryRead(in FrameSlot slot, out Segment segment)
    {
        segment = default;
        return slot.Info.NetworkOffset == Network && slot.Length >= Transport + UdpHeader && _buffer[slot.Offset + NextHeader] switch
        {
            IpProtocol.Tcp => slot.Length >= Transport + TcpHeader && TryReadSegment(slot, out segment),
            IpProtocol.Udp => TryReadDatagram(slot, out segment),
            _ => false,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryReadSegment(in FrameSlot slot, out Segment segment)
    {
        ref byte frame = ref _buffer[slot.Offset];
        byte flags = At(ref frame, TcpFlags);
        int header = At(ref frame, DataOffset) >> 4 << 2;
        segment = new Segment(Transport + header, slot.Length - Transport - header, flags, IsTcp: true);
        return JoinsSegments && (flags & ~(Psh | Ece)) == Ack && header >= TcpHeader && segment.Length > 0 && IsWhole(slot)
            && HasUsualHeader(ref frame, TcpChecksum);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryReadDatagram(in FrameSlot slot, out Segment segment)
    {
        ref byte frame = ref _buffer[slot.Offset];
        segment = new Segment(Transport + UdpHeader, slot.Length - Transport - UdpHeader, 0, IsTcp: false);
        return JoinsDatagrams && segment.Length > 0 && IsWhole(slot) && Word(ref frame, Transport + 4) == (uint)(slot.Length - Transport)
            && Word(ref frame, Transport + UdpChecksum) != 0 && HasUsualHeader(ref frame, UdpChecksum);
    }

    private bool IsWhole(in FrameSlot slot)
    {
        ref byte frame = ref _buffer[slot.Offset];
        return At(ref frame, Network) >> 4 == 6 && Word(ref frame, Network + 4) == (uint)(slot.Length - Transport);
    }

    // No superpacket; and a partial checksum is that of the transport.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HasUsualHeader(ref byte frame, byte checksum)
    {
        ref byte header = ref Unsafe.Subtract(ref frame, VirtioNetHeader.Length);
        return At(ref header, 1) == 0 && (header & ~(NeedsChecksum | ChecksumIsValid)) == 0
            && ((header & NeedsChecksum) == 0
                || (Unsafe.ReadUnaligned<ushort>(ref At(ref header, 6)) == Transport
                    && Unsafe.ReadUnaligned<ushort>(ref At(ref header, 8)) == checksum));
    }

    private bool TryAppend(ref Train train, int key, in Segment segment, int place)
    {
        ref readonly Segment first = ref train.First;
        if (train.Key != key || !train.IsOpen || train.Count == MostSegments || segment.IsTcp != first.IsTcp || segment.Start != first.Start
            || segment.Length > first.Length || Transport + ushort.MaxValue < segment.Start + train.Octets + segment.Length)
        {
            return false;
        }

        ref byte head = ref _buffer[_slots[train.Head].Offset];
        ref byte frame = ref _buffer[_slots[place].Offset];
        if (!IsLike(ref head, ref frame) || (first.IsTcp && !Follows(ref head, ref frame, train))
            || !IsRight(_slots[place], segment.IsTcp))
        {
            return false;
        }

        if (train.Count == 1 && !IsRight(_slots[train.Head], segment.IsTcp))
        {
            train.IsOpen = false;
            return false;
        }

        _next[train.Tail] = (byte)place;
        train.Tail = place;
        train.Count++;
        train.Octets += segment.Length;
        train.IsOpen = segment.Length == first.Length && (segment.Flags & Psh) == 0;
        return true;
    }

    // The IPv6 header but for its length, and the ports.
    private static bool IsLike(ref byte head, ref byte frame) =>
        Unsafe.ReadUnaligned<uint>(ref At(ref head, Network)) == Unsafe.ReadUnaligned<uint>(ref At(ref frame, Network))
        && Unsafe.ReadUnaligned<ushort>(ref At(ref head, NextHeader)) == Unsafe.ReadUnaligned<ushort>(ref At(ref frame, NextHeader))
        && MemoryMarshal.CreateReadOnlySpan(ref At(ref head, Addresses), (2 * IpAddress.Length) + sizeof(uint)).SequenceEqual(
            MemoryMarshal.CreateReadOnlySpan(ref At(ref frame, Addresses), (2 * IpAddress.Length) + sizeof(uint)));

    // TCP's header but for PSH and the checksum.
    private static bool Follows(ref byte head, ref byte frame, in Train train) =>
        Number(ref frame, Sequence) == Number(ref head, Sequence) + (uint)train.Octets
        && Number(ref frame, Sequence + 4) == Number(ref head, Sequence + 4)
        && At(ref head, DataOffset) == At(ref frame, DataOffset) && ((At(ref head, TcpFlags) ^ At(ref frame, TcpFlags)) & ~Psh) == 0
        && Word(ref head, Window) == Word(ref frame, Window) && Word(ref head, Urgent) == Word(ref frame, Urgent)
        && MemoryMarshal.CreateReadOnlySpan(ref At(ref head, Transport + TcpHeader), train.First.Start - Transport - TcpHeader).SequenceEqual(
            MemoryMarshal.CreateReadOnlySpan(ref At(ref frame, Transport + TcpHeader), train.First.Start - Transport - TcpHeader));

    // A finished checksum that the kernel has not looked at is looked at here.
    private bool IsRight(in FrameSlot slot, bool isTcp)
    {
        ref byte frame = ref _buffer[slot.Offset];
        byte flags = Unsafe.Subtract(ref frame, VirtioNetHeader.Length);
        if ((flags & (NeedsChecksum | ChecksumIsValid)) == ChecksumIsValid)
        {
            return true;
        }

        int length = slot.Length - Transport;
        ushort pseudo = PseudoSum(ref frame, length);
        return (flags & NeedsChecksum) != 0
            ? IsSame((ushort)Word(ref frame, Transport + (isTcp ? TcpChecksum : UdpChecksum)), pseudo)
            : InternetChecksum.Fold((ulong)pseudo + InternetChecksum.Sum(_buffer.AsSpan(slot.Offset + Transport, length))) == ushort.MaxValue;
    }

    // Zero has two forms in one's complement.
    private static bool IsSame(ushort sum, ushort other) => sum == other || ((sum ^ other) == ushort.MaxValue && (sum == 0 || other == 0));

    private static ushort PseudoSum(ref byte frame, int length) => InternetChecksum.PseudoHeaderSum(
        Unsafe.ReadUnaligned<IpAddress>(ref At(ref frame, Addresses)), Unsafe.ReadUnaligned<IpAddress>(ref At(ref frame, Addresses + IpAddress.Length)),
        (uint)length, At(ref frame, NextHeader));

    private IoPart MakeHead(int number, in Train train)
    {
        ref readonly Segment first = ref train.First;
        int length = VirtioNetHeader.Length + first.Start;
        Span<byte> whole = _heads.AsSpan(number * HeadLength, length);
        _buffer.AsSpan(_slots[train.Head].Offset - VirtioNetHeader.Length, length).CopyTo(whole);
        Span<byte> frame = whole[VirtioNetHeader.Length..];
        byte checksum = first.IsTcp ? TcpChecksum : UdpChecksum;
        new VirtioNetHeader(
            NeedsChecksum, first.IsTcp ? Tcp6Segmentation : UdpSegmentation, (ushort)first.Start, (ushort)first.Length, Transport, checksum)
            .Write(whole);
        int transportLength = first.Start - Transport + train.Octets;
        BinaryPrimitives.WriteUInt16BigEndian(frame[(Network + 4)..], (ushort)transportLength);
        if (first.IsTcp)
        {
            frame[TcpFlags] |= _buffer[_slots[train.Tail].Offset + TcpFlags];
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame[(Transport + 4)..], (ushort)transportLength);
        }

        BinaryPrimitives.WriteUInt16BigEndian(frame[(Transport + checksum)..], PseudoSum(ref frame[0], transportLength));
        return new IoPart((nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(whole)), length);
    }

    private IoPart PartOf(int at, int length) =>
        new((nint)Unsafe.AsPointer(ref MemoryMarshal.GetReference(_buffer.AsSpan(at, length))), length);

    private static ref byte At(ref byte octets, int offset) => ref Unsafe.Add(ref octets, offset);

    private static uint Word(ref byte octets, int offset)
    {
        ushort word = Unsafe.ReadUnaligned<ushort>(ref At(ref octets, offset));
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;
    }

    private static uint Number(ref byte octets, int offset)
    {
        uint number = Unsafe.ReadUnaligned<uint>(ref At(ref octets, offset));
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(number) : number;
    }

    /// <summary>What a frame carries.</summary>
    /// <param name="Start">Where the payload begins in it.</param>
    /// <param name="Length">Octets of payload.</param>
    /// <param name="Flags">TCP's flags.</param>
    /// <param name="IsTcp">TCP or UDP.</param>
    private readonly record struct Segment(int Start, int Length, byte Flags, bool IsTcp);

    /// <summary>The frames of one write.</summary>
    private struct Train
    {
        public int Key;                              // flow and direction
        public int Head;
        public int Tail;
        public int Count;
        public int Octets;                           // of payload
        public Segment First;
        public bool IsOpen;
    }
}
