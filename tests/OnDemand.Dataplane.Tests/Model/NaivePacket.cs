using System.Buffers.Binary;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>What the model takes a frame for.</summary>
internal enum NaiveShape
{
    Transport,
    LaterFragment,
    Error,
    NeighborDiscovery,
    Opaque,
    Authenticated,
    Signaling,
    Tiny,
    Broken,
    NotIpv6,
}

/// <summary>A frame read from its octets as RFC 8200 says, every time anew and without the engine's code.</summary>
internal sealed class NaivePacket
{
    private readonly byte[] _frame;
    private readonly int _network;
    private readonly bool _quote;

    /// <summary>Reads a frame; of a packet that an ICMPv6 error quotes, only the ports need be there.</summary>
    public NaivePacket(byte[] frame, int network, bool quote = false)
    {
        _quote = quote;
        _frame = frame;
        _network = network;
        if (network < 0 || frame.Length - network < 40 || frame[network] >> 4 != 6)
        {
            Shape = NaiveShape.NotIpv6;
            return;
        }

        Source = IpAddress.Read(frame.AsSpan(network + 8));
        Destination = IpAddress.Read(frame.AsSpan(network + 24));
        PseudoDestination = Destination;
        TrafficClass = (byte)((frame[network] << 4) | (frame[network + 1] >> 4));
        End = network + 40 + Word(network + 4);
        Shape = Walk();
    }

    public NaiveShape Shape { get; }

    public IpAddress Source { get; }

    public IpAddress Destination { get; }

    public IpAddress PseudoDestination { get; private set; }

    public bool HasHomeAddress { get; private set; }

    public bool HasSegmentsLeft { get; private set; }

    public byte TrafficClass { get; }

    public byte Protocol { get; private set; }

    /// <summary>Where the upper layer begins and the packet ends, from the frame's start.</summary>
    public int Upper { get; private set; }

    public int End { get; private set; }

    public bool IsFragment { get; private set; }

    public int FragmentOffset { get; private set; }

    public bool MoreFragments { get; private set; }

    public uint Identification { get; private set; }

    public int FragmentLength => End - Upper;

    public bool IsCut => End > _frame.Length;

    public byte IcmpType => _frame[Upper];

    public bool IsEchoRequest => Protocol == IpProtocol.Icmpv6 && IcmpType == 128;

    public bool IsEchoReply => Protocol == IpProtocol.Icmpv6 && IcmpType == 129;

    public ushort SourcePort { get; private set; }

    public ushort DestinationPort { get; private set; }

    public TcpControl Control => (TcpControl)(_frame[Upper + 13] & 0x1f);

    public uint Sequence => BinaryPrimitives.ReadUInt32BigEndian(_frame.AsSpan(Upper + 4));

    public uint Acknowledgment => BinaryPrimitives.ReadUInt32BigEndian(_frame.AsSpan(Upper + 8));

    /// <summary>The sequence number after the segment's last octet (RFC 9293 §3.4).</summary>
    public uint SequenceEnd
    {
        get
        {
            int length = End - Upper - ((_frame[Upper + 12] >> 4) * 4);
            length += Control.HasFlag(TcpControl.Syn) ? 1 : 0;
            length += Control.HasFlag(TcpControl.Fin) ? 1 : 0;
            return Sequence + (uint)length;
        }
    }

    /// <summary>Octets of the packet from its IPv6 header on.</summary>
    public int PacketLength => End - _network;

    /// <summary>Where the packet that an ICMPv6 error quotes begins.</summary>
    public int Quoted => Upper + 8;

    /// <summary>Whether the checksum is there and all that it covers.</summary>
    public bool IsSummed => NaiveChecksum.FieldOf(Protocol) >= 0
        && Shape is NaiveShape.Transport or NaiveShape.Error or NaiveShape.NeighborDiscovery;

    public bool HasRightChecksum =>
        NaiveChecksum.Read(_frame.AsSpan(Upper), Protocol) == NaiveChecksum.Right(Source, PseudoDestination, Protocol,
            _frame.AsSpan(Upper, End - Upper));

    private int Word(int offset) => BinaryPrimitives.ReadUInt16BigEndian(_frame.AsSpan(offset));

    private NaiveShape Walk()
    {
        int at = _network + 40;
        byte next = _frame[_network + 6];
        bool first = true;
        while (next is IpProtocol.HopByHop or IpProtocol.DestinationOptions or IpProtocol.Routing or IpProtocol.Fragment)
        {
            if ((next == IpProtocol.HopByHop && !first) || at + 8 > Math.Min(End, _frame.Length))
            {
                return IsFragment ? NaiveShape.Tiny : NaiveShape.Broken;
            }

            int length = next == IpProtocol.Fragment ? 8 : (_frame[at + 1] + 1) * 8;
            if (at + length > Math.Min(End, _frame.Length))
            {
                return IsFragment ? NaiveShape.Tiny : NaiveShape.Broken;
            }

            Note(next, at, length);
            next = _frame[at];
            at += length;
            first = false;
            if (IsFragment && FragmentOffset > 0)
            {
                Protocol = next;
                Upper = at;
                return NaiveShape.LaterFragment;
            }
        }

        Protocol = next;
        Upper = at;
        return UpperShape();
    }

    private void Note(byte type, int at, int length)
    {
        if (type == IpProtocol.Fragment)
        {
            FragmentOffset = Word(at + 2) & 0xfff8;
            MoreFragments = (_frame[at + 3] & 1) != 0;
            IsFragment = MoreFragments || FragmentOffset > 0;
            Identification = BinaryPrimitives.ReadUInt32BigEndian(_frame.AsSpan(at + 4));
        }
        else if (type == IpProtocol.Routing)
        {
            if (_frame[at + 3] > 0)
            {
                HasSegmentsLeft = true;
                int last = _frame[at + 2] == 4 ? at + 8 : at + length - 16;
                PseudoDestination = IpAddress.Read(_frame.AsSpan(last));
            }
        }
        else if (type == IpProtocol.DestinationOptions && length == 24 && _frame[at + 6] == 0xc9)
        {
            HasHomeAddress = true;
        }
        else if (type == IpProtocol.HopByHop && _frame[at + 2] == 0xc2 && Word(_network + 4) == 0)
        {
            End = _network + 40 + (int)BinaryPrimitives.ReadUInt32BigEndian(_frame.AsSpan(at + 4));
        }
    }

    private NaiveShape UpperShape()
    {
        switch (Protocol)
        {
            case IpProtocol.AuthenticationHeader:
                return NaiveShape.Authenticated;
            case IpProtocol.Mobility or IpProtocol.Hip or IpProtocol.Shim6:
                return NaiveShape.Signaling;
            case IpProtocol.Ipv4 or IpProtocol.Ipv6 or IpProtocol.Gre or IpProtocol.NoNextHeader:
                return NaiveShape.Transport;
            case not (IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Dccp or IpProtocol.Sctp or IpProtocol.Icmpv6):
                return NaiveShape.Opaque;
        }

        int needed = _quote ? Protocol == IpProtocol.Icmpv6 ? 6 : 4 : Protocol switch
        {
            IpProtocol.Tcp => 20,
            IpProtocol.Dccp or IpProtocol.Sctp => 12,
            _ => 8
        };
        if (Upper + needed > End && !_quote)
        {
            return IsFragment ? NaiveShape.Tiny : NaiveShape.Broken;
        }

        if (Upper + needed > _frame.Length)
        {
            return NaiveShape.Broken;
        }

        if (Protocol != IpProtocol.Icmpv6)
        {
            SourcePort = (ushort)Word(Upper);
            DestinationPort = (ushort)Word(Upper + 2);
            return NaiveShape.Transport;
        }

        SourcePort = IcmpType == 128 ? (ushort)Word(Upper + 4) : (ushort)0;
        DestinationPort = IcmpType == 129 ? (ushort)Word(Upper + 4) : (ushort)0;
        return IcmpType switch
        {
            >= 1 and <= 4 => NaiveShape.Error,
            (>= 130 and <= 137) or 143 or 148 or 149 => NaiveShape.NeighborDiscovery,
            _ => NaiveShape.Transport,
        };
    }
}
