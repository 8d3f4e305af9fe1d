using System.Globalization;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Lab;

/// <summary>
/// Draws a lab as text: who is connected to whom, where each of the host's prefixes is routed, and where the host is. A heavy line is
/// the host's link that is up, a dashed one is down.
/// </summary>
internal static class LabDrawing
{
    private const int LeastBoxWidth = 34;
    private const string Between = "───";

    /// <summary>Draws it.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="state">What the network knows.</param>
    /// <param name="dataplane">What is to be said of the dataplane.</param>
    /// <param name="now">The time.</param>
    public static void Write(TextWriter output, LabState state, string dataplane, DateTimeOffset now)
    {
        string[] first = RouterLines(state, LabNodes.FirstRouter, now);
        string[] second = RouterLines(state, LabNodes.SecondRouter, now);
        string[] anchor = AnchorLines(state, now);
        string[] host = HostLines(state, dataplane, now);
        int half = Math.Max(LeastBoxWidth, first.Concat(second).Max(line => line.Length) + 4);
        half = Math.Max(half, (anchor.Concat(host).Max(line => line.Length) + 4 - Between.Length + 1) / 2);
        int whole = (2 * half) + Between.Length;
        int left = half / 2;
        int right = half + Between.Length + (half / 2);
        bool atFirst = state.Serving == LabNodes.FirstRouter;
        bool atSecond = state.Serving == LabNodes.SecondRouter;

        output.WriteLine($"lab '{state.Name}' · {Where(state, now)}");
        output.WriteLine();
        Box(output, whole, [$"peer    {LabLinks.PeerAddress}"], [], [(whole / 2, '┬')]);
        output.WriteLine(Marks(whole, [(whole / 2, '│')]));
        Box(output, whole, anchor, [(whole / 2, '┴')], [(left, '┬'), (right, '┬')]);
        output.WriteLine(Marks(whole, [(left, '│'), (right, '│')]));
        Pair(output, half, first, second, left, atFirst, atSecond);
        output.WriteLine(Marks(whole, [(left, atFirst ? '┃' : '╎'), (right, atSecond ? '┃' : '╎')]));
        Box(output, whole, host, [(left, atFirst ? '┸' : '┴'), (right, atSecond ? '┸' : '┴')], []);
    }

    private static string Where(LabState state, DateTimeOffset now)
    {
        string place = state.Serving is null ? "the host is attached nowhere" : $"the host is at {state.Serving}";
        string moves = state.Moves == 1 ? "1 move" : string.Create(CultureInfo.InvariantCulture, $"{state.Moves} moves");
        return $"{place} for {Seconds(now - state.Since)} · {moves}";
    }

    private static string[] AnchorLines(LabState state, DateTimeOffset now) =>
    [
        $"anchor  {LabLinks.RouterAddress(LabNodes.Anchor)}",
        .. state.Prefixes.Where(prefix => prefix.FollowsHost && !prefix.HasEnded(now)).Select(prefix =>
            $"{prefix.Prefix,-22} {ShortName(prefix)}{(prefix.OnDemand ? ", on demand" : string.Empty)} " +
            $"→ {state.Serving ?? "nowhere"}{Left(prefix, now)}"),
    ];

    private static string[] RouterLines(LabState state, string router, DateTimeOffset now) =>
    [
        $"{router}     {LabLinks.RouterAddress(router)}",
        .. state.Prefixes.Where(prefix => !prefix.FollowsHost && prefix.Router == router).Select(prefix => OwnedLine(state, prefix, now)),
    ];

    private static string OwnedLine(LabState state, LabPrefix prefix, DateTimeOffset now)
    {
        string fate = prefix.HasEnded(now) ? ", ended"
            : prefix.Ends is null || state.Serving == prefix.Router || state.Serving is null ? Left(prefix, now)
            : $" → {state.Serving}{Left(prefix, now)}";
        return $"{prefix.Prefix} {ShortName(prefix)}{fate}";
    }

    private static string[] HostLines(LabState state, string dataplane, DateTimeOffset now)
    {
        int usable = state.Prefixes.Count(prefix => !prefix.OnDemand && !prefix.HasEnded(now));
        return
        [
            $"host    {string.Join(", ", state.Internal)}",
            string.Create(CultureInfo.InvariantCulture, $"{dataplane} · {usable} prefixes"),
        ];
    }

    private static string ShortName(LabPrefix prefix) => prefix.Kind == AddressType.GracefulReplacement ? "graceful" : prefix.Type;

    private static string Left(LabPrefix prefix, DateTimeOffset now) =>
        prefix.Ends is { } end ? $", {Seconds(end - now)} left" : string.Empty;

    private static string Seconds(TimeSpan span)
    {
        string format = span.TotalSeconds < 10 ? "0.0" : "0";
        return Math.Max(0, span.TotalSeconds).ToString(format, CultureInfo.InvariantCulture) + " s";
    }

    private static void Box(TextWriter output, int width, string[] lines, (int At, char Mark)[] above, (int At, char Mark)[] below)
    {
        output.WriteLine(Edge('┌', '┐', width, above));
        foreach (string line in lines)
        {
            output.WriteLine($"│ {line.PadRight(width - 4)} │");
        }

        output.WriteLine(Edge('└', '┘', width, below));
    }

    private static void Pair(TextWriter output, int half, string[] first, string[] second, int at, bool atFirst, bool atSecond)
    {
        string gap = new(' ', Between.Length);
        output.WriteLine(Edge('┌', '┐', half, [(at, '┴')]) + gap + Edge('┌', '┐', half, [(at, '┴')]));
        for (int i = 0; i < Math.Max(first.Length, second.Length); i++)
        {
            string left = (i < first.Length ? first[i] : string.Empty).PadRight(half - 4);
            string right = (i < second.Length ? second[i] : string.Empty).PadRight(half - 4);
            output.WriteLine(i == 0 ? $"│ {left} ├{Between}┤ {right} │" : $"│ {left} │{gap}│ {right} │");
        }

        output.WriteLine(
            Edge('└', '┘', half, [(at, atFirst ? '┰' : '┬')]) + gap + Edge('└', '┘', half, [(at, atSecond ? '┰' : '┬')]));
    }

    private static string Edge(char left, char right, int width, (int At, char Mark)[] marks)
    {
        char[] line = [left, .. Enumerable.Repeat('─', width - 2), right];
        return Put(line, marks);
    }

    private static string Marks(int width, (int At, char Mark)[] marks) => Put([.. Enumerable.Repeat(' ', width)], marks).TrimEnd();

    private static string Put(char[] line, (int At, char Mark)[] marks)
    {
        foreach ((int at, char mark) in marks)
        {
            line[at] = mark;
        }

        return new string(line);
    }
}
