using System.Runtime.CompilerServices;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>One flow while it is followed.</summary>
internal sealed class FlowRecord(long id, in EngineEvent opened)
{
    private List<ReportSpan>? _spans;                                       // most flows have but one address, and no move is theirs
    private HashSet<int>? _changedBy;
    private readonly List<ReportFlowEvent> _events = new(1);

    private static readonly HashSet<int> NoMoves = [];

    public long Id { get; } = id;

    public FlowIdentity Identity { get; } = opened.Identity;

    public AddressType Type { get; private set; } = opened.Type;

    public Decision Decision { get; private set; } = opened.Decision;

    public Timestamp First { get; } = opened.Time;

    public Timestamp Last { get; private set; } = opened.Time;

    /// <summary>Its typed address now, or its last one.</summary>
    public IpAddress Address { get; private set; } = opened.Address;

    /// <summary>Since when.</summary>
    public Timestamp AddressSince { get; private set; } = opened.Time;

    /// <summary>
    /// The earliest time that a packet with the address bears: before <see cref="AddressSince"/> where a fragment came before its first
    /// one, or where the capture's clock went back.
    /// </summary>
    public Timestamp ClaimedSince { get; private set; } = opened.Time;

    /// <summary>The destination in the IPv6 header, where a Routing header names another final one.</summary>
    public IpAddress? HeaderDestination { get; set; }

    /// <summary>When its packets were; null if nobody wants to know.</summary>
    public PacketDensity? Density { get; init; }

    /// <summary>When it lost its address for good.</summary>
    public Timestamp? StrandedAt { get; private set; }

    /// <summary>When its ends closed it.</summary>
    public Timestamp? ClosedAt { get; private set; }

    /// <summary>The numbers of the moves that changed it, so that it is not said to have been kept.</summary>
    public IReadOnlySet<int> ChangedBy => _changedBy ?? NoMoves;

    public long PacketsOut { get; private set; }

    public long PacketsIn { get; private set; }

    public long OctetsOut { get; private set; }

    public long OctetsIn { get; private set; }

    public long Dropped { get; private set; }

    public IReadOnlyList<ReportFlowEvent> Events => _events;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Count(bool outbound, long octets, Timestamp time, bool dropped)
    {
        Last = time > Last ? time : Last;
        Density?.Add(time);
        if (dropped)
        {
            Dropped++;
        }
        else if (outbound)
        {
            PacketsOut++;
            OctetsOut += octets;
        }
        else
        {
            PacketsIn++;
            OctetsIn += octets;
        }
    }

    /// <summary>A packet of a time has the present address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Claim(Timestamp time)
    {
        if (time < ClaimedSince && (_spans is null || time >= _spans[^1].To))
        {
            ClaimedSince = time;
        }
    }

    /// <summary>A move has changed it.</summary>
    public void ChangeBy(int move) => (_changedBy ??= []).Add(move);

    public void Note(Timestamp time, FlowEventKind what, string? detail) => _events.Add(new ReportFlowEvent(time, what, detail));

    /// <summary>It goes over; its old address was there until the given time.</summary>
    public void GoOver(in EngineEvent happened, Timestamp until)
    {
        (_spans ??= []).Add(new ReportSpan(Address, AddressSince, until));
        Address = happened.Address;
        AddressSince = happened.Time;
        ClaimedSince = happened.Time;
        Type = happened.Type;
        Decision = happened.Decision;
        Note(happened.Time, FlowEventKind.WentOver, $"{happened.Previous} to {happened.Address}");
    }

    public void Strand(Timestamp time)
    {
        StrandedAt = time;
        Note(time, FlowEventKind.Stranded, null);
    }

    public void Close(Timestamp time)
    {
        ClosedAt ??= time;
        Note(time, FlowEventKind.Closed, null);
    }

    /// <summary>It goes on after all; when it closes again, that is said again.</summary>
    public void Reopen() => ClosedAt = null;

    /// <summary>It is refused an address, perhaps another one; said once until something else happens.</summary>
    public void Refuse(Timestamp time, string? why)
    {
        if (_events is not [.., { What: FlowEventKind.Refused }])
        {
            Note(time, FlowEventKind.Refused, why);
        }
    }

    /// <summary>Its typed addresses over time, the present one until its prefix ended.</summary>
    public IReadOnlyList<ReportSpan> Spans(Timestamp end, Timestamp? prefixEnd)
    {
        if (Address.IsUnspecified)
        {
            return _spans ?? [];
        }

        Timestamp to = StrandedAt ?? ClosedAt ?? (Last < end ? Last : end);
        to = prefixEnd < to ? prefixEnd.Value : to;
        return [.. _spans ?? [], new ReportSpan(Address, AddressSince, to < AddressSince ? AddressSince : to)];
    }

    public ReportFlow Build(IReadOnlyList<ReportSpan> spans, IEnumerable<ReportFlowEvent> kept) => new()
    {
        Id = Id,
        Protocol = ReportText.Protocol(Identity.Protocol),
        Internal = Identity.Internal,
        LocalPort = Identity.LocalPort,
        Remote = Identity.Remote,
        RemotePort = Identity.RemotePort,
        Inbound = Decision.Origin == DecisionOrigin.Inbound,
        Type = Type,
        Decision = Explanation.Of(Decision, hasAddress: spans.Count > 0),
        First = First,
        Last = Last,
        PacketsOut = PacketsOut,
        PacketsIn = PacketsIn,
        OctetsOut = OctetsOut,
        OctetsIn = OctetsIn,
        Dropped = Dropped,
        Spans = spans,
        Events = [.. _events.Concat(kept).OrderBy(happened => happened.Time)],
        Density = Density,
    };
}
