using OnDemand.Captures.Replay;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Control;

/// <summary>One value of a metric.</summary>
/// <param name="Value">The value.</param>
/// <param name="Label">What tells it from the metric's other values; null where there is only one.</param>
internal readonly record struct MetricSample(long Value, string? Label);

/// <summary>A metric: what it is called, what it means, and how it is read.</summary>
/// <param name="Name">The name of the instrument, words with dots; with underscores, and <c>_total</c> for counters, it is
/// Prometheus's.</param>
/// <param name="IsCounter">Whether it only ever grows.</param>
/// <param name="Unit">What is counted, in the braces of UCUM annotations.</param>
/// <param name="Help">One sentence.</param>
/// <param name="LabelName">What its values are told apart by; null where there is only one.</param>
/// <param name="Read">Reads it.</param>
internal sealed record Metric(
    string Name, bool IsCounter, string Unit, string Help, string? LabelName, Func<DataplaneReading, IEnumerable<MetricSample>> Read);

/// <summary>The list of all metrics, from which both the instruments and the Prometheus text are made.</summary>
internal static class Metrics
{
    /// <summary>All of them, in the order in which they are listed.</summary>
    public static readonly IReadOnlyList<Metric> All =
    [
        Counter("ondemand.frames", "{frame}", "Frames by what became of them.", "verdict", r => Each<VerdictKind>(r.Verdicts)),
        Counter("ondemand.forwarded", "{frame}", "Frames sent on, by reason.", "reason", r => Each<ForwardReason>(r.Forwards)),
        Counter("ondemand.dropped", "{frame}", "Frames dropped or answered instead, by reason.", "reason",
            r => Each<DropReason>(r.Drops, first: 1)),
        Gauge("ondemand.flows", "{flow}", "Flows that are not closed, by address type.", "type", r => Types(r, one => one.Flows)),
        Counter("ondemand.flows.opened", "{flow}", "Flows opened, by address type.", "type", r => Types(r, one => one.FlowsOpened)),
        Counter("ondemand.flows.went_over", "{flow}", "Flows that went over to another address, by address type.", "type",
            r => Types(r, one => one.WentOver)),
        Counter("ondemand.flows.stranded", "{flow}", "Live TCP flows whose address ended, by address type.", "type",
            r => Types(r, one => one.Stranded)),
        Counter("ondemand.flows.refused", "{flow}", "Flows refused an address, by address type.", "type",
            r => Types(r, one => one.Refused)),
        Counter("ondemand.packets", "{packet}", "Packets in both directions, by address type.", "type", r => Types(r, one => one.Packets)),
        Counter("ondemand.octets", "{octet}", "Octets of those packets, IPv6 headers included.", "type", r => Types(r, one => one.Octets)),
        Gauge("ondemand.flow_table.flows", "{flow}", "Flows in the table, closed ones included.", r => r.Flows),
        Gauge("ondemand.flow_table.capacity", "{flow}", "Flows that the table can hold.", r => r.FlowCapacity),
        Gauge("ondemand.bindings", "{socket}", "Sockets with a typed address of their own choice.", r => r.Bindings),
        Gauge("ondemand.addresses", "{address}", "Typed addresses.", r => r.Addresses),
        Gauge("ondemand.prefixes", "{prefix}", "Prefixes, by state.", "state", Prefixes),
        Gauge("ondemand.attached", "{host}", "1 while the host is attached to a network.", r => r.Attachment is null ? 0 : 1),
        Gauge("ondemand.uplink.up", "{uplink}", "1 while an uplink is there and up.", r => r.UplinkUp ? 1 : 0),
        Counter("ondemand.moves", "{move}", "Moves, the first attachment not counted.", r => r.Moves),
        Counter("ondemand.resets", "{packet}", "RST packets made for stranded flows.", r => r.ResetsSent),
        Counter("ondemand.icmp_errors", "{packet}", "ICMPv6 errors made.", r => r.IcmpErrorsSent),
        Counter("ondemand.icmp_errors.suppressed", "{packet}", "ICMPv6 errors not made because of the rate limit.",
            r => r.IcmpErrorsSuppressed),
        Counter("ondemand.network.requests", "{request}", "Questions put to the network.", r => r.NetworkRequests),
        Counter("ondemand.addresses.renewed", "{address}", "Typed addresses renewed by age or octets.", r => r.AddressesRenewed),
        Counter("ondemand.events.lost", "{event}", "Events that found no room.", r => r.EventsLost),
        Counter("ondemand.tap.frames", "{frame}", "Frames read from and written to the TAP.", "direction",
            r => [new MetricSample(r.Shell.FramesRead, "read"), new MetricSample(r.Shell.FramesWritten, "written")]),
        Counter("ondemand.tap.octets", "{octet}", "Octets of those frames, Ethernet headers included.", "direction",
            r => [new MetricSample(r.Shell.OctetsRead, "read"), new MetricSample(r.Shell.OctetsWritten, "written")]),
        Counter("ondemand.tap.superpackets", "{frame}", "Superpackets among the frames read.", r => r.Shell.Superpackets),
        Counter("ondemand.tap.superpackets.made", "{frame}", "Superpackets put together for writing.", r => r.Shell.SuperpacketsMade),
        Counter("ondemand.tap.superpackets.refused", "{frame}", "Superpackets that the kernel did not take.", r => r.Shell.SuperpacketsRefused),
        Counter("ondemand.tap.frames_joined", "{frame}", "Frames written in superpackets put together here.", r => r.Shell.FramesJoined),
        Counter("ondemand.tap.batches", "{batch}", "Batches handed to the engine.", r => r.Shell.Batches),
        Counter("ondemand.tap.ring_batches", "{batch}", "Batches read with one system call (io_uring).", r => r.Shell.RingBatches),
        Counter("ondemand.tap.neighbor_answers", "{frame}", "Neighbor solicitations answered.", r => r.Shell.NeighborAnswers),
        Counter("ondemand.tap.read_errors", "{error}", "Reads from the TAP that failed.", r => r.Shell.ReadErrors),
        Counter("ondemand.tap.ignored", "{frame}", "Frames that could be meant for nobody, by reason.", "reason",
            r => r.Shell.Ignored.Select(one => new MetricSample(one.Frames, one.Reason))),
        Counter("ondemand.tap.lost", "{frame}", "Frames lost between the kernel and the engine, by reason.", "reason",
            r => r.Shell.Lost.Select(one => new MetricSample(one.Frames, one.Reason))),
        Counter("ondemand.commands", "{command}", "Control commands carried out.", r => r.Shell.Commands),
    ];

    private static Metric Counter(
        string name, string unit, string help, string label, Func<DataplaneReading, IEnumerable<MetricSample>> read) =>
        new(name, IsCounter: true, unit, help, label, read);

    private static Metric Counter(string name, string unit, string help, Func<DataplaneReading, long> read) =>
        new(name, IsCounter: true, unit, help, null, reading => [new MetricSample(read(reading), null)]);

    private static Metric Gauge(
        string name, string unit, string help, string label, Func<DataplaneReading, IEnumerable<MetricSample>> read) =>
        new(name, IsCounter: false, unit, help, label, read);

    private static Metric Gauge(string name, string unit, string help, Func<DataplaneReading, long> read) =>
        new(name, IsCounter: false, unit, help, null, reading => [new MetricSample(read(reading), null)]);

    private static IEnumerable<MetricSample> Each<T>(IReadOnlyList<long> counts, int first = 0)
        where T : struct, Enum =>
        counts.Skip(first).Select((count, i) => new MetricSample(count, Explanation.Name(Enum.GetValues<T>()[first + i])));

    private static IEnumerable<MetricSample> Types(DataplaneReading reading, Func<TypeCounters, long> read) =>
        reading.Types.Select((counters, type) => new MetricSample(read(counters), AddressTypes.ToName((AddressType)type)));

    private static IEnumerable<MetricSample> Prefixes(DataplaneReading reading) =>
        Enum.GetValues<PrefixState>().Where(state => state != PrefixState.Free)
            .Select(state => new MetricSample(reading.Prefixes.Count(prefix => prefix.State == state), Explanation.Name(state)));
}
