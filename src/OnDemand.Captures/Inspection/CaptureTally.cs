using OnDemand.Captures.Link;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Inspection;

/// <summary>How much an inspection may remember.</summary>
/// <param name="Hosts">Addresses.</param>
/// <param name="Flows">Flows.</param>
public sealed record InspectionLimits(int Hosts, int Flows)
{
    /// <summary>65,536 addresses and 131,072 flows: about 30 MB.</summary>
    public static readonly InspectionLimits Default = new(1 << 16, 1 << 17);
}

/// <summary>What is known of an address.</summary>
internal sealed class HostTally
{
    public long PacketsSent;
    public long PacketsReceived;
    public long Octets;
    public long Flows;
    public long FlowsOpened;
    public bool Routed;   // a packet from it had lost some of its Hop Limit
}

/// <summary>Both ends of a flow, the numerically smaller one first, so that both directions give the same key.</summary>
internal readonly record struct FlowEnds(byte Protocol, IpAddress Low, ushort LowPort, IpAddress High, ushort HighPort);

/// <summary>What is known of a flow.</summary>
internal sealed class FlowTally
{
    public bool LowOpened;      // the end that opened it
    public bool LowWasFirst;    // the end that sent the first packet captured: what an engine sees that knows no more
    public long Packets;
    public long Octets;
    public Timestamp First;
    public Timestamp Last;
}

/// <summary>Counts the packets of a capture one by one. Memory is bounded by the limits, whatever the capture holds.</summary>
internal sealed class CaptureTally(InspectionLimits limits)
{
    private const byte Syn = 0x02;
    private const byte Ack = 0x10;
    private const int TcpFlagsOffset = 13;

    private readonly SortedDictionary<ushort, long> _linkTypes = [];
    private readonly long[] _kinds = new long[Enum.GetValues<PacketKind>().Length];
    private readonly SortedDictionary<byte, long> _errors = [];
    private readonly bool[] _documentation = new bool[1 << 16];
    private Timestamp _latest;

    /// <summary>Addresses, in the order of their appearance.</summary>
    public Dictionary<IpAddress, HostTally> Hosts { get; } = [];

    /// <summary>Flows, in the order of their appearance.</summary>
    public Dictionary<FlowEnds, FlowTally> Flows { get; } = [];

    public long Packets { get; private set; }

    public long Octets { get; private set; }

    public long CutPackets { get; private set; }

    public long OutOfOrder { get; private set; }

    public long HostsNotTracked { get; private set; }

    public long FlowsNotTracked { get; private set; }

    public Timestamp? From { get; private set; }

    public Timestamp? To { get; private set; }

    public IReadOnlyDictionary<ushort, long> LinkTypes => _linkTypes;

    public IReadOnlyDictionary<byte, long> Errors => _errors;

    /// <summary>How many packets are of a kind.</summary>
    public long Count(PacketKind kind) => _kinds[(int)kind];

    /// <summary>Whether an address of 2001:db8:n::/48 was seen; known for every address, also those that found no room.</summary>
    public bool HasDocumentationAddress(int n) => _documentation[n];

    /// <summary>Counts one packet.</summary>
    /// <param name="linkType">Its link type.</param>
    /// <param name="frame">What was captured of it.</param>
    /// <param name="originalLength">How long it was.</param>
    /// <param name="time">When; null without a timestamp.</param>
    public void Add(ushort linkType, ReadOnlySpan<byte> frame, long originalLength, Timestamp? time)
    {
        Packets++;
        Octets += frame.Length;
        CutPackets += originalLength > frame.Length ? 1 : 0;
        _linkTypes[linkType] = _linkTypes.GetValueOrDefault(linkType) + 1;
        if (time is { } at)
        {
            See(at);
        }

        if (!LinkLayer.TryFindIpv6(linkType, frame, out int offset))
        {
            _kinds[(int)PacketKind.NotIpv6]++;
            return;
        }

        FrameParser.Parse(frame, offset, out FrameLayout layout);
        if (layout.Shape == FrameShape.NotIpv6)
        {
            _kinds[(int)PacketKind.NotIpv6]++;
            return;
        }

        Classify(frame, layout);
        AddPacket(frame, layout, time ?? _latest);
    }

    private void See(Timestamp time)
    {
        OutOfOrder += From is not null && time < _latest ? 1 : 0;
        _latest = time;
        From = From is { } from && from < time ? from : time;
        To = To is { } to && to > time ? to : time;
    }

    private void Classify(ReadOnlySpan<byte> frame, in FrameLayout layout)
    {
        _kinds[(int)PacketKind.Ipv6]++;
        _kinds[(int)PacketKind.Fragment] += layout.Has(FrameMarks.Fragment) ? 1 : 0;
        PacketKind kind = layout.Shape switch
        {
            FrameShape.Icmpv6Error => PacketKind.Icmpv6Error,
            FrameShape.NeighborDiscovery => PacketKind.NeighborDiscovery,
            FrameShape.OpaqueTransport => PacketKind.OpaqueTransport,
            FrameShape.Authenticated => PacketKind.Authenticated,
            FrameShape.AddressSignaling => PacketKind.AddressSignaling,
            FrameShape.TinyFragment or FrameShape.BrokenChain => PacketKind.Broken,
            _ => PacketKind.Ipv6,
        };
        if (kind != PacketKind.Ipv6)
        {
            _kinds[(int)kind]++;
        }

        if (kind == PacketKind.Icmpv6Error && layout.UpperOffset < frame.Length)
        {
            byte type = frame[layout.UpperOffset];
            _errors[type] = _errors.GetValueOrDefault(type) + 1;
        }
    }

    private void AddPacket(ReadOnlySpan<byte> frame, in FrameLayout layout, Timestamp time)
    {
        ReadOnlySpan<byte> header = frame.Slice(layout.NetworkOffset, FrameParser.HeaderLength);
        IpAddress source = IpAddress.Read(header[8..]);
        IpAddress destination = IpAddress.Read(header[24..]);
        NoteDocumentation(source);
        NoteDocumentation(destination);
        if (IsLinkScope(source) || IsLinkScope(destination))
        {
            _kinds[(int)PacketKind.LinkScope]++;
            return;
        }

        long octets = layout.PacketEnd - layout.NetworkOffset;
        if (Host(source) is { } sender)
        {
            sender.PacketsSent++;
            sender.Octets += octets;
            sender.Routed |= header[7] is not (64 or 128 or 255);
        }

        if (Host(destination) is { } receiver)
        {
            receiver.PacketsReceived++;
            receiver.Octets += octets;
        }

        if (layout.Shape is FrameShape.Transport or FrameShape.OpaqueTransport)
        {
            AddToFlow(frame, layout, source, destination, octets, time);
        }
    }

    private void AddToFlow(
        ReadOnlySpan<byte> frame, in FrameLayout layout, IpAddress source, IpAddress destination, long octets, Timestamp time)
    {
        bool sourceIsLow = source < destination || (source == destination && layout.SourcePort <= layout.DestinationPort);
        FlowEnds ends = sourceIsLow
            ? new FlowEnds(layout.Protocol, source, layout.SourcePort, destination, layout.DestinationPort)
            : new FlowEnds(layout.Protocol, destination, layout.DestinationPort, source, layout.SourcePort);
        if (!Flows.TryGetValue(ends, out FlowTally? flow))
        {
            if (Flows.Count >= limits.Flows)
            {
                FlowsNotTracked++;
                return;
            }

            bool sourceOpened = SourceOpened(frame, layout);
            flow = new FlowTally { First = time, LowWasFirst = sourceIsLow, LowOpened = sourceIsLow == sourceOpened };
            Flows.Add(ends, flow);
            Open(ends.Low, flow.LowOpened);
            Open(ends.High, !flow.LowOpened);
        }

        flow.Packets++;
        flow.Octets += octets;
        flow.Last = time;
    }

    // Whoever sends first has opened the flow, unless its packet says that it answers: SYN with ACK, or an echo reply. Where the capture
    // begins in the middle of a TCP flow, the end with the well-known port has most likely not opened it.
    private static bool SourceOpened(ReadOnlySpan<byte> frame, in FrameLayout layout)
    {
        if (layout.Has(FrameMarks.Icmpv6EchoReply))
        {
            return false;
        }

        if (!layout.Has(FrameMarks.TcpHeader))
        {
            return true;
        }

        return (frame[layout.UpperOffset + TcpFlagsOffset] & (Syn | Ack)) switch
        {
            Syn => true,
            Syn | Ack => false,
            _ => layout.SourcePort >= 1024 || layout.DestinationPort < 1024,
        };
    }

    private void Open(IpAddress address, bool opened)
    {
        if (Hosts.TryGetValue(address, out HostTally? host))
        {
            host.Flows++;
            host.FlowsOpened += opened ? 1 : 0;
        }
    }

    private HostTally? Host(IpAddress address)
    {
        if (Hosts.TryGetValue(address, out HostTally? host))
        {
            return host;
        }

        if (Hosts.Count >= limits.Hosts)
        {
            HostsNotTracked++;
            return null;
        }

        host = new HostTally();
        Hosts.Add(address, host);
        return host;
    }

    private void NoteDocumentation(IpAddress address)
    {
        if (address.High >> 32 == 0x2001_0db8)
        {
            _documentation[(int)(address.High >> 16) & 0xffff] = true;
        }
    }

    // What stays on the link is never rewritten, so it says nothing about internal addresses.
    private static bool IsLinkScope(IpAddress address) =>
        address.IsLinkLocal || address.IsMulticast || address.IsUnspecified || address.IsLoopback;
}

/// <summary>What a packet is; one packet may count as several of them.</summary>
internal enum PacketKind
{
    /// <summary>IPv6.</summary>
    Ipv6,

    /// <summary>Anything else, or behind a link header that is not understood.</summary>
    NotIpv6,

    /// <summary>From or to a link-local, multicast, loopback or unspecified address.</summary>
    LinkScope,

    /// <summary>A part of a fragmented packet.</summary>
    Fragment,

    /// <summary>An ICMPv6 error.</summary>
    Icmpv6Error,

    /// <summary>Neighbor discovery or multicast listener discovery.</summary>
    NeighborDiscovery,

    /// <summary>A transport whose checksum is not known.</summary>
    OpaqueTransport,

    /// <summary>With an Authentication Header.</summary>
    Authenticated,

    /// <summary>Mobility, HIP or Shim6 signaling.</summary>
    AddressSignaling,

    /// <summary>A header chain that is malformed or cut.</summary>
    Broken,
}
