using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Run;

namespace OnDemand.Linux.Control;

/// <summary>
/// What a running dataplane was and had counted at one moment: taken on the engine's thread in one go, and looked at elsewhere.
/// </summary>
internal sealed class DataplaneReading
{
    private DataplaneReading()
    {
    }

    /// <summary>When.</summary>
    public required Timestamp Time { get; init; }

    /// <summary>Where the host was attached; null while detached.</summary>
    public required string? Attachment { get; init; }

    /// <summary>Since when.</summary>
    public required Timestamp Since { get; init; }

    /// <summary>Moves since the start.</summary>
    public required long Moves { get; init; }

    /// <summary>Whether an uplink was up.</summary>
    public required bool UplinkUp { get; init; }

    /// <summary>Flows in the table.</summary>
    public required int Flows { get; init; }

    /// <summary>Flows that it can hold.</summary>
    public required int FlowCapacity { get; init; }

    /// <summary>Bindings.</summary>
    public required int Bindings { get; init; }

    /// <summary>Typed addresses.</summary>
    public required int Addresses { get; init; }

    /// <summary>Prefixes, in the order in which they were given.</summary>
    public required IReadOnlyList<PrefixSnapshot> Prefixes { get; init; }

    /// <summary>Frames by verdict, in the order of <see cref="VerdictKind"/>.</summary>
    public required IReadOnlyList<long> Verdicts { get; init; }

    /// <summary>Frames sent on by reason, in the order of <see cref="ForwardReason"/>.</summary>
    public required IReadOnlyList<long> Forwards { get; init; }

    /// <summary>Frames dropped or answered by reason, in the order of <see cref="DropReason"/>.</summary>
    public required IReadOnlyList<long> Drops { get; init; }

    /// <summary>What the types carried, in the order of <see cref="AddressType"/>; the first is for prefixes without one.</summary>
    public required IReadOnlyList<TypeCounters> Types { get; init; }

    /// <summary>RST packets made for stranded flows.</summary>
    public required long ResetsSent { get; init; }

    /// <summary>ICMPv6 errors made.</summary>
    public required long IcmpErrorsSent { get; init; }

    /// <summary>ICMPv6 errors not made because of the rate limit.</summary>
    public required long IcmpErrorsSuppressed { get; init; }

    /// <summary>Questions put to the network.</summary>
    public required long NetworkRequests { get; init; }

    /// <summary>Events that found no room.</summary>
    public required long EventsLost { get; init; }

    /// <summary>Typed addresses renewed.</summary>
    public required long AddressesRenewed { get; init; }

    /// <summary>What the shell around the engine counted, at the TAP.</summary>
    public required ShellCounters Shell { get; init; }

    /// <summary>Takes a reading. Only on the engine's thread.</summary>
    /// <param name="context">What a command sees.</param>
    /// <returns>The reading.</returns>
    public static DataplaneReading Take(ControlContext context)
    {
        DataplaneEngine engine = context.Engine;
        Counters counters = engine.Counters;
        var prefixes = new PrefixSnapshot[engine.PrefixCount];
        int cursor = 0;
        engine.CopyPrefixes(ref cursor, prefixes);
        return new DataplaneReading
        {
            Time = context.Now,
            Attachment = context.Network.Current,
            Since = context.Network.Since,
            Moves = context.Network.Moves,
            UplinkUp = context.Network.UplinkUp,
            Flows = engine.FlowCount,
            FlowCapacity = engine.FlowCapacity,
            Bindings = engine.BindingCount,
            Addresses = engine.AddressCount,
            Prefixes = prefixes,
            Verdicts = Each<VerdictKind>(counters.Of),
            Forwards = Each<ForwardReason>(counters.Of),
            Drops = Each<DropReason>(counters.Of),
            Types = [.. Enumerable.Range(0, AddressTypes.Count).Select(type => counters.Of((AddressType)type))],
            ResetsSent = counters.ResetsSent,
            IcmpErrorsSent = counters.IcmpErrorsSent,
            IcmpErrorsSuppressed = counters.IcmpErrorsSuppressed,
            NetworkRequests = counters.NetworkRequests,
            EventsLost = counters.EventsLost,
            AddressesRenewed = counters.AddressesRenewed,
            Shell = context.Shell.Copy(),
        };
    }

    private static long[] Each<T>(Func<T, long> count)
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(count)];
}
