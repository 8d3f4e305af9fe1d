using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Run;

namespace OnDemand.Linux.Control;

/// <summary>Makes resources of what was read from the engine.</summary>
internal static class ResourceMaker
{
    private const long Millisecond = 1_000_000;

    /// <summary>The state of the whole.</summary>
    public static StatusResource Status(DataplaneReading reading, Scenario scenario) => new()
    {
        Configuration = scenario.File,
        Time = reading.Time,
        Attachment = reading.Attachment,
        Since = reading.Since,
        Moves = reading.Moves,
        UplinkUp = reading.UplinkUp,
        Internal = scenario.Internal,
        Default = scenario.Policy.Default == AddressType.None ? "legacy" : AddressTypes.ToName(scenario.Policy.Default),
        Flows = reading.Flows,
        FlowCapacity = reading.FlowCapacity,
        Bindings = reading.Bindings,
        Addresses = reading.Addresses,
        Prefixes = Prefixes(reading),
    };

    /// <summary>What a move led to.</summary>
    public static MoveResource Move(DataplaneReading reading, IEnumerable<PrefixAdvertisement> given) => new(
        reading.Attachment,
        reading.Since,
        reading.Moves,
        Prefixes(reading),
        [
            .. given.Select(one => one.Prefix)
                .Where(prefix => !reading.Prefixes.Any(there => there.Prefix == prefix && there.State != PrefixState.Ended)),
        ]);

    /// <summary>The prefixes.</summary>
    public static IReadOnlyList<PrefixResource> Prefixes(DataplaneReading reading) =>
        [.. reading.Prefixes.Select(prefix => Prefix(prefix, reading.Time))];

    /// <summary>What was counted.</summary>
    public static CountersResource Counters(DataplaneReading reading) => new()
    {
        Time = reading.Time,
        Verdicts = Named<VerdictKind>(reading.Verdicts, all: true),
        Forwarded = Named<ForwardReason>(reading.Forwards, all: false),
        Dropped = Named<DropReason>(reading.Drops, all: false),
        Types = [.. reading.Types.Select(Type)],
        ResetsSent = reading.ResetsSent,
        IcmpErrorsSent = reading.IcmpErrorsSent,
        IcmpErrorsSuppressed = reading.IcmpErrorsSuppressed,
        NetworkRequests = reading.NetworkRequests,
        AddressesRenewed = reading.AddressesRenewed,
        EventsLost = reading.EventsLost,
        Tap = Tap(reading.Shell),
    };

    /// <summary>A flow.</summary>
    public static FlowResource Flow(in FlowSnapshot flow) => new()
    {
        Number = flow.Number,
        Protocol = ReportText.Protocol(flow.Identity.Protocol),
        Internal = flow.Identity.Internal,
        LocalPort = flow.Identity.LocalPort,
        Remote = flow.Identity.Remote,
        RemotePort = flow.Identity.RemotePort,
        OpenedBy = flow.IsInbound ? "remote" : "host",
        Type = flow.Type,
        Address = flow.Address,
        OldAddress = flow.OldAddress,
        Prefix = flow.Prefix,
        PrefixState = Explanation.Name(flow.PrefixState),
        State = Explanation.Name(flow.State),
        Native = flow.IsNative,
        Packets = flow.Packets,
        Octets = flow.Octets,
        LastSeen = flow.LastSeen,
        IdleAt = flow.IdleAt,
        Decision = Explanation.Of(flow.Decision),
    };

    private static PrefixResource Prefix(PrefixSnapshot prefix, Timestamp now) => new()
    {
        Prefix = prefix.Prefix,
        Type = prefix.Type,
        State = Explanation.Name(prefix.State),
        PreferredLeft = Left(prefix.State is PrefixState.Preferred ? prefix.PreferredUntil : now, now),
        ValidLeft = Left(prefix.State == PrefixState.Ended ? now : prefix.ValidUntil, now),
        WindowLeft = prefix.State == PrefixState.Closing ? Left(prefix.ClosesAt, now) : null,
        PresentNetwork = prefix.IsOfPresentNetwork,
        OnDemand = prefix.IsOnDemand,
        Home = prefix.IsHome,
        Users = prefix.Users,
        Addresses = prefix.Addresses,
    };

    // Rounded up to milliseconds: nobody reads more, and what is not over yet must not look so.
    private static Duration Left(Timestamp until, Timestamp now)
    {
        if (until == Timestamp.Never)
        {
            return Duration.Infinite;
        }

        long left = Math.Max(0, until.Since(now).Nanoseconds);
        return new Duration(left > long.MaxValue - Millisecond ? left : (left + Millisecond - 1) / Millisecond * Millisecond);
    }

    private static TypeResource Type(TypeCounters counters, int type) => new(
        (AddressType)type, counters.Flows, counters.FlowsOpened, counters.WentOver, counters.Stranded, counters.Refused, counters.Packets,
        counters.Octets);

    private static TapResource Tap(ShellCounters shell) => new()
    {
        FramesRead = shell.FramesRead,
        OctetsRead = shell.OctetsRead,
        FramesWritten = shell.FramesWritten,
        OctetsWritten = shell.OctetsWritten,
        Superpackets = shell.Superpackets,
        SuperpacketsMade = shell.SuperpacketsMade,
        FramesJoined = shell.FramesJoined,
        SuperpacketsRefused = shell.SuperpacketsRefused,
        Batches = shell.Batches,
        RingBatches = shell.RingBatches,
        NeighborAnswers = shell.NeighborAnswers,
        ReadErrors = shell.ReadErrors,
        Commands = shell.Commands,
        Queues = [.. shell.Queues.Select(queue => new QueueResource(queue.Read, queue.Written))],
        Ignored = Some(shell.Ignored),
        Lost = Some(shell.Lost),
    };

    private static OrderedDictionary<string, long> Some(IEnumerable<(string Reason, long Frames)> counts) =>
        new(counts.Where(one => one.Frames > 0).Select(one => KeyValuePair.Create(one.Reason, one.Frames)));

    private static OrderedDictionary<string, long> Named<T>(IReadOnlyList<long> counts, bool all)
        where T : struct, Enum
    {
        OrderedDictionary<string, long> named = [];
        for (int i = 0; i < counts.Count; i++)
        {
            if (all || counts[i] > 0)
            {
                named.Add(Explanation.Name(Enum.GetValues<T>()[i]), counts[i]);
            }
        }

        return named;
    }
}
