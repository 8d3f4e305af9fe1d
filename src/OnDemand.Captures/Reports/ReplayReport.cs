using System.Text.Json.Serialization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Reports;

/// <summary>
/// What a replay did: totals, moves, prefixes, windows and flows. In JSON the names are in camel case, the order is the one here, times
/// are decimal seconds with nine digits as text, types have the names of scenario files, and what is null is left out. Same input and
/// seed, same text: how long the replay took is not in it.
/// </summary>
public sealed record ReplayReport
{
    /// <summary>The version of this format; grows when a reader must know.</summary>
    public int Format { get; init; } = 1;

    /// <summary>The capture that was read.</summary>
    public string Input { get; init; } = string.Empty;

    /// <summary>The scenario that was followed.</summary>
    public string Scenario { get; init; } = string.Empty;

    /// <summary>The capture that was written.</summary>
    public string Output { get; init; } = string.Empty;

    /// <summary>The seed of everything that was chosen at random.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether the capture was taken outside.</summary>
    public bool TakenOutside { get; init; }

    /// <summary>When the first packet was captured.</summary>
    public Timestamp From { get; init; }

    /// <summary>When the last packet was captured, or the last event of the scenario was, whichever is later.</summary>
    public Timestamp To { get; init; }

    /// <summary>Counts of packets and octets.</summary>
    public ReportTotals Totals { get; init; } = new();

    /// <summary>How many packets got which verdict, in the engine's order.</summary>
    public IReadOnlyList<NamedCount> Verdicts { get; init; } = [];

    /// <summary>How many packets were dropped for which reason; only reasons that occurred.</summary>
    public IReadOnlyList<NamedCount> DropReasons { get; init; } = [];

    /// <summary>What each address type has carried; only types that had a flow.</summary>
    public IReadOnlyList<ReportType> Types { get; init; } = [];

    /// <summary>What checking the output against the input gave; null when it was not checked.</summary>
    public ReportVerification? Verification { get; init; }

    /// <summary>What the network did, in time order.</summary>
    public IReadOnlyList<ReportMove> Moves { get; init; } = [];

    /// <summary>The replacement windows, in order of their beginning.</summary>
    public IReadOnlyList<ReportWindow> Windows { get; init; } = [];

    /// <summary>The prefixes with their states over time, in the order in which they were given.</summary>
    public IReadOnlyList<ReportPrefix> Prefixes { get; init; } = [];

    /// <summary>The flows, in the order in which they opened.</summary>
    public IReadOnlyList<ReportFlow> Flows { get; init; } = [];

    /// <summary>How many flows are not among <see cref="Flows"/> because there were too many.</summary>
    public long FlowsLeftOut { get; init; }

    /// <summary>How long the replay took; not part of the JSON, which must not change from run to run.</summary>
    [JsonIgnore]
    public TimeSpan Elapsed { get; init; }
}

/// <summary>Counts over the whole replay.</summary>
public sealed record ReportTotals
{
    /// <summary>Packets read.</summary>
    public long PacketsRead { get; init; }

    /// <summary>Octets of packets read.</summary>
    public long OctetsRead { get; init; }

    /// <summary>Packets written to the output.</summary>
    public long PacketsWritten { get; init; }

    /// <summary>Packets written to the host's output.</summary>
    public long PacketsToHost { get; init; }

    /// <summary>Packets whose addresses were rewritten.</summary>
    public long Rewritten { get; init; }

    /// <summary>Packets that passed as they were.</summary>
    public long Untouched { get; init; }

    /// <summary>Packets that were dropped.</summary>
    public long Dropped { get; init; }

    /// <summary>Packets that waited for the network or a first fragment.</summary>
    public long Held { get; init; }

    /// <summary>Packets that the engine made itself: RST and ICMPv6 errors.</summary>
    public long Replies { get; init; }

    /// <summary>Flows that were seen.</summary>
    public long Flows { get; init; }

    /// <summary>Flows whose address ended under them.</summary>
    public long Stranded { get; init; }

    /// <summary>Flows that went over to another address, each counted once for each time.</summary>
    public long WentOver { get; init; }

    /// <summary>Flows that were refused an address.</summary>
    public long Refused { get; init; }
}

/// <summary>What one address type has carried.</summary>
/// <param name="Type">The type.</param>
/// <param name="Flows">Flows that were opened on an address of the type.</param>
/// <param name="Packets">Packets in both directions.</param>
/// <param name="Octets">Octets of those packets, IPv6 headers included.</param>
/// <param name="WentOver">Times that a flow went over to an address of the type.</param>
/// <param name="Stranded">Live TCP flows whose address of the type ended.</param>
/// <param name="Refused">Packets of flows that were refused an address of the type.</param>
public sealed record ReportType(AddressType Type, long Flows, long Packets, long Octets, long WentOver, long Stranded, long Refused);

/// <summary>A name with a number.</summary>
/// <param name="Name">What is counted, in lower case with hyphens.</param>
/// <param name="Count">How many.</param>
public sealed record NamedCount(string Name, long Count);

/// <summary>What checking the output against the input gave.</summary>
/// <param name="Passed">Whether every packet is as it must be.</param>
/// <param name="Checked">How many packets were checked.</param>
/// <param name="Violations">How many were not as they must be.</param>
/// <param name="Examples">A sentence on each of the first few.</param>
public sealed record ReportVerification(bool Passed, long Checked, long Violations, IReadOnlyList<string> Examples);

/// <summary>What kind of network event a move is.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ReportMoveKind>))]
public enum ReportMoveKind
{
    /// <summary>The host came to a point of attachment.</summary>
    [JsonStringEnumMemberName("attach")]
    Attach,

    /// <summary>The network took a prefix back.</summary>
    [JsonStringEnumMemberName("withdraw")]
    Withdraw,

    /// <summary>The host left its point of attachment.</summary>
    [JsonStringEnumMemberName("detach")]
    Detach,

    /// <summary>The network gave lifetimes anew.</summary>
    [JsonStringEnumMemberName("advertise")]
    Advertise,
}

/// <summary>One network event and what it did to the flows.</summary>
/// <param name="Time">When.</param>
/// <param name="Kind">What the network did.</param>
/// <param name="Name">The point of attachment or the prefix; empty for a detachment.</param>
/// <param name="Kept">Flows that kept their address.</param>
/// <param name="WentOver">Flows that went over to another address, at once or later because of this.</param>
/// <param name="Stranded">Flows whose address ended because of this.</param>
public sealed record ReportMove(Timestamp Time, ReportMoveKind Kind, string Name, long Kept, long WentOver, long Stranded);

/// <summary>A time in which an old prefix is still valid beside the new one (RFC 8653 §3.2).</summary>
/// <param name="From">When it opens.</param>
/// <param name="To">When it closes.</param>
/// <param name="Prefix">The prefix that is being replaced.</param>
public sealed record ReportWindow(Timestamp From, Timestamp To, IpPrefix Prefix);

/// <summary>A prefix and what became of it.</summary>
/// <param name="Prefix">The prefix.</param>
/// <param name="Type">Its type.</param>
/// <param name="States">Its states, in time order.</param>
public sealed record ReportPrefix(IpPrefix Prefix, AddressType Type, IReadOnlyList<ReportPrefixState> States);

/// <summary>A state that a prefix came into.</summary>
/// <param name="Time">When.</param>
/// <param name="State">preferred, deprecated, closing or ended.</param>
/// <param name="Reason">Why, where there is a reason to tell.</param>
public sealed record ReportPrefixState(Timestamp Time, string State, string? Reason);

/// <summary>One flow.</summary>
public sealed record ReportFlow
{
    /// <summary>Its number, from 1 in the order of opening.</summary>
    public long Id { get; init; }

    /// <summary>The protocol's name, or its number.</summary>
    public string Protocol { get; init; } = string.Empty;

    /// <summary>The internal address.</summary>
    public IpAddress Internal { get; init; }

    /// <summary>The local port; for ICMPv6 echo the identifier; 0 where there is none.</summary>
    public ushort LocalPort { get; init; }

    /// <summary>The remote address.</summary>
    public IpAddress Remote { get; init; }

    /// <summary>The remote port; 0 where there is none.</summary>
    public ushort RemotePort { get; init; }

    /// <summary>Whether the remote end began.</summary>
    public bool Inbound { get; init; }

    /// <summary>The type of its typed address.</summary>
    public AddressType Type { get; init; }

    /// <summary>Why it has that type and that address.</summary>
    public string Decision { get; init; } = string.Empty;

    /// <summary>Its first packet.</summary>
    public Timestamp First { get; init; }

    /// <summary>Its last packet.</summary>
    public Timestamp Last { get; init; }

    /// <summary>Packets from the host.</summary>
    public long PacketsOut { get; init; }

    /// <summary>Packets to the host.</summary>
    public long PacketsIn { get; init; }

    /// <summary>Octets from the host.</summary>
    public long OctetsOut { get; init; }

    /// <summary>Octets to the host.</summary>
    public long OctetsIn { get; init; }

    /// <summary>Packets of the flow that were dropped.</summary>
    public long Dropped { get; init; }

    /// <summary>Its typed addresses, in time order.</summary>
    public IReadOnlyList<ReportSpan> Spans { get; init; } = [];

    /// <summary>What happened to it, in time order.</summary>
    public IReadOnlyList<ReportFlowEvent> Events { get; init; } = [];

    /// <summary>When its packets were, for the timeline; null when that was not recorded. Not part of the JSON.</summary>
    [JsonIgnore]
    public PacketDensity? Density { get; init; }
}

/// <summary>A time in which a flow had a typed address.</summary>
/// <param name="Typed">The typed address.</param>
/// <param name="From">From when.</param>
/// <param name="To">Until when.</param>
public sealed record ReportSpan(IpAddress Typed, Timestamp From, Timestamp To);

/// <summary>What can happen to a flow.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FlowEventKind>))]
public enum FlowEventKind
{
    /// <summary>It opened.</summary>
    [JsonStringEnumMemberName("opened")]
    Opened,

    /// <summary>Its packets wait for the network's answer.</summary>
    [JsonStringEnumMemberName("held")]
    Held,

    /// <summary>It was refused an address.</summary>
    [JsonStringEnumMemberName("refused")]
    Refused,

    /// <summary>It kept its address in a move.</summary>
    [JsonStringEnumMemberName("kept")]
    Kept,

    /// <summary>It went over to another address.</summary>
    [JsonStringEnumMemberName("went-over")]
    WentOver,

    /// <summary>Its address ended under it.</summary>
    [JsonStringEnumMemberName("stranded")]
    Stranded,

    /// <summary>Its ends closed it.</summary>
    [JsonStringEnumMemberName("closed")]
    Closed,

    /// <summary>It was silent for too long.</summary>
    [JsonStringEnumMemberName("expired")]
    Expired,
}

/// <summary>Something that happened to a flow.</summary>
/// <param name="Time">When.</param>
/// <param name="What">What.</param>
/// <param name="Detail">A few more words; null when there is nothing to add.</param>
public sealed record ReportFlowEvent(Timestamp Time, FlowEventKind What, string? Detail = null);
