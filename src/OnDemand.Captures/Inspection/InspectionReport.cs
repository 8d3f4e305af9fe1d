using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Inspection;

/// <summary>
/// What is in a capture. In JSON the names are in camel case, the order is the one here, times are decimal seconds with nine digits as
/// text, and what is null is left out.
/// </summary>
public sealed record InspectionReport
{
    /// <summary>The capture's name, as the user gave it.</summary>
    public string Input { get; init; } = string.Empty;

    /// <summary>The file's format: pcap, pcap-nanoseconds, pcap-modified or pcapng; empty for what is no capture.</summary>
    public string Format { get; init; } = string.Empty;

    /// <summary>What is wrong with the file, in one sentence; null when nothing is.</summary>
    public string? Damage { get; init; }

    /// <summary>Packets in the file.</summary>
    public long Packets { get; init; }

    /// <summary>Octets captured.</summary>
    public long Octets { get; init; }

    /// <summary>Packets of which only a part was captured.</summary>
    public long CutPackets { get; init; }

    /// <summary>The earliest time; null when no packet has one.</summary>
    public Timestamp? From { get; init; }

    /// <summary>The latest time; null when no packet has one.</summary>
    public Timestamp? To { get; init; }

    /// <summary>Packets that come earlier than the one before them.</summary>
    public long OutOfOrder { get; init; }

    /// <summary>Packets by link type.</summary>
    public IReadOnlyList<NamedCount> LinkTypes { get; init; } = [];

    /// <summary>
    /// Packets by what they are: ipv6, not-ipv6 and, within IPv6, fragments, ICMPv6 errors, neighbor discovery and so on.
    /// </summary>
    public IReadOnlyList<NamedCount> Kinds { get; init; } = [];

    /// <summary>ICMPv6 errors by their name.</summary>
    public IReadOnlyList<NamedCount> Errors { get; init; } = [];

    /// <summary>The unicast hosts, busiest first.</summary>
    public IReadOnlyList<HostSummary> Hosts { get; init; } = [];

    /// <summary>The flows, in the order of their first packets.</summary>
    public IReadOnlyList<FlowSummary> Flows { get; init; } = [];

    /// <summary>Packets of hosts that found no room in the table.</summary>
    public long HostsNotTracked { get; init; }

    /// <summary>Packets of flows that found no room in the table.</summary>
    public long FlowsNotTracked { get; init; }

    /// <summary>The addresses that programs behind the capture point likely send from; empty when there is no sign of any.</summary>
    public IReadOnlyList<InternalGuess> Internal { get; init; } = [];
}

/// <summary>An address in a capture.</summary>
/// <param name="Address">The address.</param>
/// <param name="PacketsSent">Packets from it.</param>
/// <param name="PacketsReceived">Packets to it.</param>
/// <param name="Octets">Octets of IPv6 packets from and to it.</param>
/// <param name="Flows">Flows that it is an end of.</param>
/// <param name="FlowsOpened">Flows that it opened.</param>
/// <param name="IsUnrouted">Whether every packet from it still has a Hop Limit that senders begin with: 64, 128 or 255.</param>
/// <param name="LooksInternal">Whether it is among the likely internal addresses.</param>
public sealed record HostSummary(
    IpAddress Address, long PacketsSent, long PacketsReceived, long Octets, long Flows, long FlowsOpened, bool IsUnrouted,
    bool LooksInternal);

/// <summary>A flow in a capture.</summary>
/// <param name="Protocol">The protocol's name, or its number.</param>
/// <param name="Source">The end that opened it, as far as can be told.</param>
/// <param name="SourcePort">Its port; for ICMPv6 echo the identifier.</param>
/// <param name="Destination">The other end.</param>
/// <param name="DestinationPort">Its port.</param>
/// <param name="Direction">outbound when a likely internal address opened it, inbound when the other end did, else unknown.</param>
/// <param name="From">Its first packet; null without timestamps.</param>
/// <param name="To">Its last packet; null without timestamps.</param>
/// <param name="Packets">Its packets in both directions.</param>
/// <param name="Octets">Octets of its IPv6 packets.</param>
public sealed record FlowSummary(
    string Protocol, IpAddress Source, ushort SourcePort, IpAddress Destination, ushort DestinationPort, string Direction,
    Timestamp? From, Timestamp? To, long Packets, long Octets);

/// <summary>A likely internal address.</summary>
/// <param name="Address">The address.</param>
/// <param name="Reason">A sentence that says why.</param>
public sealed record InternalGuess(IpAddress Address, string Reason);
