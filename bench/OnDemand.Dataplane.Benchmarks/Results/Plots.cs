using System.Globalization;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>The pictures of a run.</summary>
internal static class Plots
{
    private const double Left = 82;
    private const double Right = SvgPage.Width - 28;

    /// <summary>Writes those whose measurements are there; returns their files' names.</summary>
    public static IReadOnlyList<string> Write(Measurements m, string directory, string machine)
    {
        var names = new List<string>();
        Save("flows.svg", m.Has("flow") ? Flows(m, machine) : null);
        Save("scaling.svg", m.Has("scale") ? Scaling(m, machine) : null);
        Save("throughput.svg", m.Has("tap") ? Throughput(m, machine) : null);
        Save("latency.svg", m.Has("latency") ? Latency(m, machine) : null);
        return names;

        void Save(string name, SvgPage? page)
        {
            if (page is not null)
            {
                page.Save(Path.Combine(directory, name));
                names.Add(name);
            }
        }
    }

    private static SvgPage Flows(Measurements m, string machine)
    {
        Curve[] curves =
        [
            new("ondemand, outbound, batches of 32", m.Series("flow", "outbound", "batch "), 0),
            new("ondemand, inbound, batches of 32", m.Series("flow", "inbound", "batch "), 2),
            new("C, batches of 32", m.Series("flow", "C", "batch "), 1),
            new("ondemand, outbound, one by one", m.Series("flow", "outbound", "single "), 0, "6 4", Hollow: true),
            new("C, one by one", m.Series("flow", "C", "single "), 1, "6 4", Hollow: true),
        ];
        var page = new SvgPage(470, "What a packet costs the engine", "Parse, look-up, policy, TCP tracking, counters, rewrite; C: parse, look-up, rewrite. " + machine);
        Draw(page, [.. curves.Where(curve => curve.Points.Count > 0)], 115, 410, 1e3, 4e6);
        return page;
    }

    private static SvgPage Scaling(Measurements m, string machine)
    {
        Curve[] curves =
        [
            new("outbound, batches of 32", m.Series("scale", "outbound", "batch "), 0),
            new("inbound, batches of 32", m.Series("scale", "inbound", "batch "), 2),
            new("outbound, one by one", m.Series("scale", "outbound", "single "), 0, "6 4", Hollow: true),
            new("inbound, one by one", m.Series("scale", "inbound", "single "), 2, "6 4", Hollow: true),
        ];
        IReadOnlyList<(double X, double Y)> side = m.Series("side-by-side", "ondemand", "packets/s ");
        bool several = side.Count > 1;
        Curve[] queues = [.. Queues(m)];
        double engines = several ? 330 : 0;
        var page = new SvgPage(
            470 + engines + (queues.Length > 0 ? 330 : 0), "Cost of a packet over a hundred to ten million flows", "The whole engine, one core, flows picked at random. " + machine);
        Draw(page, curves, 115, 410, 1e2, 1e7);
        if (several)
        {
            SideBySide(page, side, 540, 740);
        }

        if (queues.Length > 0)
        {
            DrawQueues(page, queues, 540 + engines, 740 + engines);
        }

        return page;
    }

    private static void SideBySide(SvgPage page, IReadOnlyList<(double X, double Y)> side, double top, double bottom)
    {
        Curve[] curves =
        [
            new("engines side by side, a million flows divided between them", side, 0),
            new("as many times one engine", [.. side.Select(point => (point.X, point.X * side[0].Y))], 1, "6 4", Marks: false),
        ];
        LinePanel.Legend(page, curves, Left, top - 38);
        new LinePanel(
            new Scale(1, side[^1].X, Left, Right, false), new Scale(0, side[^1].X * side[0].Y * 1.1, bottom, top, false), "engines, a thread each", "packets a second")
        {
            XTicks = [.. side.Select(point => point.X)],
        }.Draw(page, curves);
    }

    private static IEnumerable<Curve> Queues(Measurements m)
    {
        foreach ((string part, string what, string dashes, bool hollow) in new[] { ("queues", "superpackets", "", false), ("queues-wire", "single frames", "6 4", true) })
        {
            foreach ((string way, int color) in new[] { ("up", 0), ("down", 2) })
            {
                double? one = m.Median(part, "ondemand", $"tcp {way} Gbit/s");
                double? two = m.Median(part, "ondemand-2q", $"tcp {way} Gbit/s");
                if (one is { } a && two is { } b)
                {
                    yield return new Curve($"TCP {way}, {what}", [(1, a), (2, b)], color, dashes, Hollow: hollow);
                }
            }
        }
    }

    private static void DrawQueues(SvgPage page, Curve[] curves, double top, double bottom)
    {
        LinePanel.Legend(page, curves, Left, top - 38);
        double most = curves.Max(curve => curve.Points[^1].Y);
        var panel = new LinePanel(
            new Scale(1, 2, Left, Right, false), new Scale(0, most * 1.15, bottom, top, false), "queues of the TAP, a thread each; four connections", "Gbit/s")
        {
            XTicks = [1, 2],
        };
        panel.Draw(page, curves);
    }

    private static void Draw(SvgPage page, IReadOnlyList<Curve> curves, double top, double bottom, double from, double to)
    {
        double[] all = [.. curves.SelectMany(curve => curve.Points).Select(point => point.Y)];
        var panel = new LinePanel(
            new Scale(from, to, Left, Right, true), new Scale(Math.Min(10, all.Min() / 1.25), all.Max() * 1.15, bottom, top, true), "flows in the table", "ns a packet");
        LinePanel.Legend(page, curves, Left, 76);
        panel.Draw(page, curves);
    }

    private static SvgPage Throughput(Measurements m, string machine)
    {
        (string Part, string What, string Title)[] all =
        [
            ("tap", "tcp up Gbit/s", "TCP up, Gbit/s"),
            ("tap", "tcp down Gbit/s", "TCP down, Gbit/s"),
            ("wire", "tcp up Gbit/s", "TCP up, single frames on the wire, Gbit/s"),
            ("wire", "tcp down Gbit/s", "TCP down, single frames on the wire, Gbit/s"),
            ("tap", "udp 64 B kpps", "UDP, 64 octets, thousand packets a second"),
            ("replay", "Mpps", "Replay of 1 GB, million packets a second"),
        ];
        BarPanel[] panels = [.. all.Select(one => BarPanel.Of(m, one.Part, one.What, one.Title)).Where(panel => panel.Bars.Count > 0)];
        double height = 72;
        for (int i = 0; i < panels.Length; i += 2)
        {
            height += Math.Max(panels[i].Height, i + 1 < panels.Length ? panels[i + 1].Height : 0);
        }

        var page = new SvgPage(height, "Throughput, medians of runs in turns", machine);
        double y = 80;
        for (int i = 0; i < panels.Length; i += 2)
        {
            panels[i].Draw(page, 24, y, 390);
            double row = panels[i].Height;
            if (i + 1 < panels.Length)
            {
                panels[i + 1].Draw(page, 446, y, 390);
                row = Math.Max(row, panels[i + 1].Height);
            }

            y += row;
        }

        return page;
    }

    // At the left all answers; at the right the slow ones, whose share that is slower still is drawn.
    private static SvgPage Latency(Measurements m, string machine)
    {
        var below = new List<Curve>();
        var above = new List<Curve>();
        foreach (string who in BarPanel.Order.Where(m.Whos("latency").Contains))
        {
            IReadOnlyList<(double X, double Y)> counts = m.Series("latency", who, "us ");
            double all = counts.Sum(point => point.Y);
            double sum = 0;
            var shares = new List<(double X, double Y)>();
            foreach ((double us, double count) in counts)
            {
                sum += count;
                shares.Add((us, sum / all));
            }

            below.Add(new Curve(Targets.Name(who), [.. shares.Select(share => (share.X, share.Y * 100))], BarPanel.Color(who), Marks: false));
            above.Add(new Curve("", [.. shares.Where(share => share.Y < 1).Select(share => (share.X, (1 - share.Y) * 100))], BarPanel.Color(who), Marks: false));
        }

        double least = Math.Pow(10, Math.Floor(Math.Log10(below.Min(curve => curve.Points[0].X)) * 5) / 5);
        var page = new SvgPage(450, "How long a request of one octet and its answer take", "One TCP connection, each request after the answer before. " + machine);
        LinePanel.Legend(page, below, Left, 76);
        new LinePanel(
            new Scale(least, 300, Left, 424, true), new Scale(0, 100, 390, 100, false), "microseconds", "% of answers within")
            .Draw(page, below);
        new LinePanel(
            new Scale(least, 5000, 512, Right, true), new Scale(0.01, 100, 390, 100, true), "microseconds", "% of answers that took longer")
        {
            YTicks = [.. new[] { 0.01, 0.1, 1, 10, 100 }.Select(value => (value, value.ToString("0.##", CultureInfo.InvariantCulture)))],
        }.Draw(page, above);
        return page;
    }
}
