using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Captures.Replay;

/// <summary>Puts what a replay counted and its ledger into a report.</summary>
internal static class ReplayFindings
{
    /// <summary>Adds everything but names and times.</summary>
    /// <param name="report">The report with the times from and to which it goes.</param>
    /// <param name="counts">What was counted of the packets.</param>
    /// <param name="ledger">The flows and moves.</param>
    /// <param name="engine">The engine's counters.</param>
    /// <param name="written">Packets written as the network would have seen them.</param>
    /// <param name="toHost">Packets written as the host would have seen them.</param>
    /// <param name="mostFlows">The most flows that are told of one by one.</param>
    /// <returns>The whole report.</returns>
    public static ReplayReport Add(
        ReplayReport report, ReplayCounts counts, FlowLedger ledger, Counters engine, long written, long toHost, int mostFlows)
    {
        IReadOnlyList<ReportFlow> flows = ledger.Flows(report.To, mostFlows);
        IReadOnlyList<NamedCount> drops = counts.DropReasons(engine);
        return report with
        {
            Totals = new ReportTotals
            {
                PacketsRead = counts.PacketsRead,
                OctetsRead = counts.OctetsRead,
                PacketsWritten = written,
                PacketsToHost = toHost,
                Rewritten = counts.Rewritten,
                Untouched = counts.Untouched,
                Dropped = drops.Sum(drop => drop.Count),
                Held = counts.Held,
                Replies = counts.Replies,
                Flows = ledger.Opened,
                Stranded = Sum(engine, type => type.Stranded),
                WentOver = Sum(engine, type => type.WentOver),
                Refused = ledger.Refused,
            },
            Verdicts = counts.Verdicts(engine),
            DropReasons = drops,
            Types = Types(engine),
            Verification = counts.Verification,
            Windows = ledger.Moves.Windows,
            Prefixes = ledger.Moves.Prefixes,
            Flows = flows,
            Moves = ledger.Moves.Moves(),
            FlowsLeftOut = ledger.Opened - flows.Count,
        };
    }

    private static IReadOnlyList<ReportType> Types(Counters engine) =>
    [
        .. Enum.GetValues<AddressType>()
            .Select(type => (Type: type, Counters: engine.Of(type)))
            .Where(one => one.Counters.FlowsOpened + one.Counters.Refused > 0)
            .Select(one => new ReportType(
                one.Type, one.Counters.FlowsOpened, one.Counters.Packets, one.Counters.Octets, one.Counters.WentOver, one.Counters.Stranded,
                one.Counters.Refused)),
    ];

    private static long Sum(Counters engine, Func<TypeCounters, long> count) =>
        Enum.GetValues<AddressType>().Sum(type => count(engine.Of(type)));
}
