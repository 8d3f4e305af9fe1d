using System.Globalization;
using System.Text;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>What the numbers mean for a gateway of a million sockets.</summary>
internal static class Gateway
{
    private const double Sockets = 1e6;
    private const double MeanLife = 60;          // seconds
    private const double AskedASecond = 20_000;  // bench/asking.sh

    public static string Table(Measurements m)
    {
        double? shared = m.OctetsPerFlow("shared");
        double? own = m.OctetsPerFlow("own");
        double? asked = m.OctetsPerFlow("asked");
        double? begin = m.Median("newflows", "ondemand", "ns");
        double? kpps = m.Median("tap", "ondemand", "udp 64 B kpps");
        var text = new StringBuilder("| question | answer |\n|---|---|\n");
        Row("memory",
            $"A flow takes {F(shared, "F0")} octets in all tables, as the kernel counts pages, {F(own, "F0")} with a socket of its own, and {F(asked, "F0")} if the kernel was asked whose it is. " +
            $"A million sockets: {F(own * Sockets / 1e6, "F0")} MB, with questions {F(asked * Sockets / 1e6, "F0")} MB, besides some 10 MB that an engine has without a flow, and what any .NET process has.");
        Row("all begin at once",
            $"{F(1e3 / begin, "F1")} million a second on one core, with policy, selection and binding: {F(begin * Sockets / 1e9, "F2")} s. " +
            $"Where the kernel is asked about each, {AskedASecond.ToString("N0", CultureInfo.InvariantCulture)} a second are known to go without a drop (`asking.sh`): {F(Sockets / AskedASecond, "F0")} s.");
        Row("they come and go",
            $"With a mean life of a minute {F(Sockets / MeanLife / 1e3, "F0")} thousand begin each second: {F(begin * Sockets / MeanLife / 1e7, "F1")} % of a core.");
        Row("a move that strands all",
            $"The packet path pauses {F(m.Median("move", "ondemand", "longest us"), "F0")} µs at the longest. {F(m.Median("move", "ondemand", "sweep ms"), "F0")} ms later a RST for each is ready; " +
            $"they leave at the TAP's pace of small packets: {F(Sockets / 1e3 / kpps, "F0")} s until the last program knows.");
        Row("a packet",
            $"{F(m.Median("scale", "outbound", "batch 1000000"), "F0")} ns out and {F(m.Median("scale", "inbound", "batch 1000000"), "F0")} ns in, by batches, with a million flows at random; " +
            $"{F(m.Median("scale", "outbound", "single 1000000"), "F0")} and {F(m.Median("scale", "inbound", "single 1000000"), "F0")} ns alone.");
        Row("cores a Gbit/s",
            $"Bulk TCP in superpackets: {Cores(m, "tap", "up")} out, {Cores(m, "tap", "down")} in, of the process alone. Where the wire gives single frames: {Cores(m, "wire", "up")} and {Cores(m, "wire", "down")}.");
        Row("small packets",
            $"{F(kpps, "F0")} thousand a second over the TAP. That is the kernel's time: the engine alone would do {F(1e3 / m.Median("scale", "outbound", "batch 1000000"), "F0")} million.");
        if (m.Ratio("queues", "ondemand-2q", "ondemand", "tcp up Gbit/s") is { } up && m.Ratio("queues", "ondemand-2q", "ondemand", "tcp down Gbit/s") is { } down)
        {
            Row("several queues",
                $"`queues: 2` carries four connections {F(up, "F2")} times as fast out and {F(down, "F2")} times in, where the wire gives single frames " +
                $"{F(m.Ratio("queues-wire", "ondemand-2q", "ondemand", "tcp up Gbit/s"), "F2")} and {F(m.Ratio("queues-wire", "ondemand-2q", "ondemand", "tcp down Gbit/s"), "F2")} times. " +
                "Of a packet's time the engine, at which the queues take turns, has some hundredths: the rest is the kernel's, and goes on beside.");
        }

        if (m.Series("side-by-side", "ondemand", "packets/s ") is [(_, double alone), .., (double engines, double together)])
        {
            Row("several cores",
                $"{engines.ToString("F0", CultureInfo.InvariantCulture)} engines, a thread each, the million flows divided between them: " +
                $"{F(together / 1e6, "F0")} million packets a second, {F(together / alone, "F2")} times one engine with all of them.");
        }

        return text.ToString();

        void Row(string question, string answer) => text.Append(CultureInfo.InvariantCulture, $"| {question} | {answer} |\n");
    }

    // Seconds a GB are eighths of seconds a Gbit.
    private static string Cores(Measurements m, string part, string way) => F(m.Median(part, "ondemand", $"cpu s/GB {way}, own") / 8, "F2");

    private static string F(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "–";
}
