using System.Globalization;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>The table of what is to be reached, with what was measured.</summary>
internal static class Targets
{
    private const string Up = "tcp up Gbit/s";
    private const string Down = "tcp down Gbit/s";
    private const string Small = "udp 64 B kpps";
    private static readonly string[] Sizes = ["1000", "100000", "1000000", "4000000"];

    public static IReadOnlyList<Target> Of(Measurements m) =>
    [
        Engine(m),
        Allocation(m),
        Memory(m),
        new("new flows, one core, with policy, selection and binding", [1], [3], false, [m.Median("newflows", "ondemand", "flows/s") / 1e6], "M/s",
            Value(m.Median("newflows", "ondemand", "ns"), "ns a flow")),
        Move(m),
        Tap(m, "TAP, bulk TCP up / down, vs C loop", [0.95], [1.1], "tap", "e"),
        Tap(m, "… vs tayga", [10], [12], "tap", "c"),
        Tap(m, "… vs kernel nft NAT", [0.7], [0.9], "tap", "nft"),
        Tap(m, "… vs C loop where the wire gives single frames", [], [2], "wire", "e"),
        Queues(m, "TAP, four connections at once, up / down, two queues vs one", "queues", [Up, Down], [1.05], "Gbit/s"),
        Queues(m, "… where the wire gives single frames", "queues-wire", [Up, Down], [1.05], "Gbit/s"),
        Queues(m, "… 64-octet UDP of four sockets", "queues", [Small], [], "kpps"),
        new("TAP, 64-octet UDP, vs tayga / nft NAT", [1.3, 0.8], [2, 1.1], false,
            [m.Ratio("tap", "ondemand", "c", Small), m.Ratio("tap", "ondemand", "nft", Small)], "",
            List(m, "tap", Small, "kpps", ["ondemand", "c", "nft", "e"])),
        new("TAP, request/response 50 % / 99 %, vs C loop", [1.1], [1.0], true,
            [m.Ratio("tap", "ondemand", "e", "rr p50 us"), m.Ratio("tap", "ondemand", "e", "rr p99 us")], "",
            $"{List(m, "tap", "rr p50 us", "µs", ["ondemand", "e"])}; {List(m, "tap", "rr p99 us", "µs", ["ondemand", "e"])}"),
        Replay(m, "replay of 1 GB vs tcprewrite --pnat / cp", "replay", "seconds"),
        Replay(m, "… best runs: the pages of a removed file in a tmpfs go back to the hypervisor and fault again", "replay", "best seconds"),
        Replay(m, "… in a tmpfs of huge pages, where less of the time is the kernel's", "replay-huge", "seconds"),
        Peak(m),
        new("wall time of `ondemand --version` / of a replay of 1,000 packets", [120, 350], [70, 150], true,
            [m.Median("start", "version", "ms"), m.Median("start", "replay", "ms")], "ms", ""),
        new("CPU per GB over the TAP up / down, vs C loop", [1.15], [1.0], true,
            [m.Ratio("tap", "ondemand", "e", "cpu s/GB up, own"), m.Ratio("tap", "ondemand", "e", "cpu s/GB down, own")], "",
            $"{List(m, "tap", "cpu s/GB up, own", "s/GB", ["ondemand", "e"])}; whole machine {List(m, "tap", "cpu s/GB up, all", "s/GB", ["ondemand", "e"])}"),
    ];

    /// <summary>What the names of the scripts stand for.</summary>
    public static string Name(string who) => who switch
    {
        "ondemand" => "ondemand run",
        "ondemand-2q" => "with two queues",
        "replay" => "ondemand replay",
        "e" => "C loop",
        "u" => "C loop, io_uring",
        "c" => "tayga",
        "nft" => "kernel nft NAT",
        "tcprewrite" => "tcprewrite --pnat",
        _ => who,
    };

    // The worse of the two directions.
    private static Target Engine(Measurements m) => new(
        "engine, ns/packet vs C batch32, at 1 k / 100 k / 1 M / 4 M flows", [1.6, 1.5, 1.3, 1.3], [1.2, 1.1, 1.0, 1.0], true,
        [.. Sizes.Select(size => Greater(m.Ratio("flow", "outbound", "C", "batch " + size), m.Ratio("flow", "inbound", "C", "batch " + size)))], "",
        string.Join("; ", new[] { "outbound", "inbound", "C" }.Select(who =>
            $"{who} {string.Join(" / ", Sizes.Select(size => Number(m.Median("flow", who, "batch " + size))))} ns")));

    private static Target Allocation(Measurements m)
    {
        double?[] all = [.. from who in new[] { "outbound", "inbound" } from size in Sizes select m.Median("flow", who, "octets " + size)];
        return new Target("allocation per packet, every measured path", [0], [0], true, [all.Max()], "B",
            "batches and single packets, both ways; every path of a packet: `AllocationTests`");
    }

    private static Target Memory(Measurements m) => new(
        "memory per flow, all tables together: flows of one socket / a socket each", [128], [80], true,
        [m.OctetsPerFlow("shared"), m.OctetsPerFlow("own")], "B",
        $"a socket each that the kernel was asked about {Value(m.OctetsPerFlow("asked"), "B")}; slope from {m.Text("memory", "flows", "count") ?? "–"} flows to four times that, as the kernel counts pages");

    private static Target Move(Measurements m) => new(
        "a move with 1 M live flows: longest pause of the packet path", [1000], [50], true, [m.Median("move", "ondemand", "longest us")], "µs",
        $"attach {Value(m.Median("move", "ondemand", "attach us"), "µs")}, a slice of the sweep {Value(m.Median("move", "ondemand", "slice us"), "µs")}, " +
        $"99 % {Value(m.Median("move", "ondemand", "slice 99 us"), "µs")}; all RSTs out after {Value(m.Median("move", "ondemand", "sweep ms"), "ms")}");

    private static Target Replay(Measurements m, string what, string part, string seconds) => new(
        what, [4, 0.5], [6, 0.8], false,
        [Inverse(m.Ratio(part, "replay", "tcprewrite", seconds)), Inverse(m.Ratio(part, "replay", "cp", seconds))], "",
        List(m, part, seconds, "s", ["replay", "tcprewrite", "cp"]));

    private static Target Peak(Measurements m)
    {
        IReadOnlyList<(double X, double Y)> peaks = m.Series("replay-memory", "replay", "octets ");
        return new Target("replay memory, any file size", [100], [60], true, peaks.Count == 0 ? [null] : [.. peaks.Select(peak => (double?)peak.Y)], "MB",
            string.Join(", ", peaks.Select(peak => $"{peak.Y:F0} MB for a file of {peak.X / 1e6:F0} MB")));
    }

    private static Target Tap(Measurements m, string what, double[] floors, double[] goals, string part, string peer) => new(
        what, floors, goals, false, [m.Ratio(part, "ondemand", peer, Up), m.Ratio(part, "ondemand", peer, Down)], "",
        $"up {List(m, part, Up, "Gbit/s", ["ondemand", peer])}; down {List(m, part, Down, "Gbit/s", ["ondemand", peer])}");

    // What measures less than a twentieth better is not worth a thread.
    private static Target Queues(Measurements m, string what, string part, string[] measures, double[] goals, string unit) => new(
        what, [], goals, false, [.. measures.Select(measure => m.Ratio(part, "ondemand-2q", "ondemand", measure))], "",
        string.Join("; ", measures.Select(measure => List(m, part, measure, unit, ["ondemand", "ondemand-2q", "e", "nft"]))));

    private static string List(Measurements m, string part, string what, string unit, string[] whos) =>
        string.Join(", ", whos.Select(who => $"{Name(who)} {Value(m.Median(part, who, what), unit)}"));

    private static string Value(double? value, string unit) => value is { } number ? $"{Target.Number(number)} {unit}" : "–";

    private static string Number(double? value) => value?.ToString("F1", CultureInfo.InvariantCulture) ?? "–";

    private static double? Greater(double? a, double? b) => a is { } x && b is { } y ? Math.Max(x, y) : null;

    private static double? Inverse(double? ratio) => 1 / ratio;
}
