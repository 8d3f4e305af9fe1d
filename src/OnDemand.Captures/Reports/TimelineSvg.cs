using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Captures.Reports;

/// <summary>The picture in a timeline: labels of moves on top, then prefixes, then flows, then the axis.</summary>
internal sealed class TimelineSvg
{
    private const double Width = 1360;
    private const double Left = 372;          // flows and prefixes have their names left of this
    private const double Right = 1190;        // and what became of them right of this
    private const double LabelHeight = 15;
    private const double PrefixHeight = 18;
    private const double FlowHeight = 26;
    private const double BarHeight = 14;
    private const double ShortestBar = 4;     // still seen beside its closing mark
    private const double LetterWidth = 7;     // of the monospaced font; a little more than it is, so that nothing ever touches
    private const int NameLetters = 50;
    private const int OutcomeLetters = 23;
    private const int MostLabelRows = 8;
    private const int MostPrefixes = 40;
    private const int MostMoves = 200;

    private readonly TextWriter _output;
    private readonly ReplayReport _report;
    private readonly ReportFlow[] _flows;
    private readonly ReportPrefix[] _prefixes;
    private readonly TimelinePalette _palette;
    private readonly TimelineScale _scale;
    private readonly (ReportMove Move, int Row, bool ToTheLeft)[] _labels;
    private readonly double _top;             // where the first lane begins
    private readonly double _flowsTop;
    private readonly double _bottom;

    public TimelineSvg(TextWriter output, ReplayReport report, ReportFlow[] flows, TimelinePalette palette)
    {
        _output = output;
        _report = report;
        _flows = flows;
        _palette = palette;
        _prefixes = [.. report.Prefixes.Take(MostPrefixes)];
        _scale = new TimelineScale(report.From, report.To, Left, Right - Left);
        _labels = PlaceLabels(out int rows);
        _top = (rows * LabelHeight) + 10;
        _flowsTop = _top + (_prefixes.Length * PrefixHeight) + (_prefixes.Length > 0 ? 10 : 0);
        _bottom = _flowsTop + (_flows.Length * FlowHeight);
    }

    public void Write()
    {
        string height = N(_bottom + 24);
        Line(
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{N(Width)}\" height=\"{height}\" viewBox=\"0 0 {N(Width)} {height}\" " +
            "role=\"img\" aria-label=\"Flows over time\">");
        Line(
            "<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">" +
            "<line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern>");
        Line(
            "<pattern id=\"stripes\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><line " +
            "x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" stroke=\"#000\" stroke-opacity=\".45\" stroke-width=\"2\"/></pattern></defs>");
        WriteLanes();
        WriteAxis();
        WriteWindows();
        WritePrefixes();
        WriteMoves();
        for (int i = 0; i < _flows.Length; i++)
        {
            WriteFlow(_flows[i], _flowsTop + (i * FlowHeight));
        }

        Line("</svg>");
    }

    private void WriteLanes()
    {
        for (int i = 0; i < _flows.Length; i += 2)
        {
            Line($"<rect class=\"lane\" x=\"0\" y=\"{N(_flowsTop + (i * FlowHeight))}\" width=\"{N(Width)}\" height=\"{N(FlowHeight)}\"/>");
        }
    }

    private void WriteAxis()
    {
        foreach ((double x, string label) in _scale.Ticks())
        {
            Line($"<line class=\"grid\" x1=\"{N(x)}\" y1=\"{N(_top)}\" x2=\"{N(x)}\" y2=\"{N(_bottom + 4)}\"/>");
            Line($"<text class=\"muted\" x=\"{N(x)}\" y=\"{N(_bottom + 17)}\" text-anchor=\"middle\">{label}</text>");
        }
    }

    private void WriteWindows()
    {
        // The opacity is the group's: windows that overlap do not become darker.
        Line("<g class=\"windows\">");
        foreach (ReportWindow window in _report.Windows.Take(MostMoves))
        {
            double x = _scale.X(window.From);
            string about = $"Replacement window from {Since(window.From)} to {Since(window.To)}: {window.Prefix} is being replaced";
            Line(
                $"<rect class=\"window\" x=\"{N(x)}\" y=\"{N(_top)}\" width=\"{N(Math.Max(1, _scale.X(window.To) - x))}\" " +
                $"height=\"{N(_bottom - _top)}\"><title>{about}</title></rect>");
        }

        Line("</g>");
    }

    private void WritePrefixes()
    {
        for (int i = 0; i < _prefixes.Length; i++)
        {
            ReportPrefix prefix = _prefixes[i];
            double y = _top + (i * PrefixHeight);
            string name = ReportText.Elide($"{prefix.Prefix} {AddressTypes.ToName(prefix.Type)}", NameLetters);
            Line($"<g class=\"prefix\"><text x=\"4\" y=\"{N(y + 12)}\">{name}</text>");
            for (int j = 0; j < prefix.States.Count; j++)
            {
                ReportPrefixState state = prefix.States[j];
                Timestamp until = j + 1 < prefix.States.Count ? prefix.States[j + 1].Time : _report.To;
                if (state.State is "preferred" or "deprecated" or "closing")
                {
                    double x = _scale.X(state.Time);
                    Line(
                        $"<rect class=\"{state.State}\" x=\"{N(x)}\" y=\"{N(y + 5)}\" width=\"{N(Math.Max(1.5, _scale.X(until) - x))}\" " +
                        $"height=\"8\"><title>{state.State} from {Since(state.Time)} to {Since(until)}</title></rect>");
                }
            }

            string last = prefix.States is [.., { } end]
                ? end.Reason is { } reason ? $"{end.State}: {reason}" : end.State
                : string.Empty;
            Line($"<text class=\"muted\" x=\"{N(Right + 10)}\" y=\"{N(y + 12)}\">{T(ReportText.Elide(last, OutcomeLetters))}</text></g>");
        }
    }

    private void WriteFlow(ReportFlow flow, double y)
    {
        string number = string.Create(CultureInfo.InvariantCulture, $"#{flow.Id} ");
        Line(
            $"<g class=\"flow\" id=\"flow{flow.Id}\"><title>" +
            $"{T($"{number}{TimelineHtml.Name(flow)}\n{AddressTypes.ToName(flow.Type)}: {flow.Decision}")}</title>");
        Line($"<text x=\"4\" y=\"{N(y + 13)}\">{T(number + ShortName(flow, NameLetters - number.Length))}</text>");
        foreach (ReportSpan span in flow.Spans)
        {
            WriteSpan(span, y + 2, isOnly: flow.Spans.Count == 1);
        }

        if (flow.Density is { } density)
        {
            WriteDensity(density, y + FlowHeight - 1);
        }

        foreach (ReportFlowEvent next in flow.Events)
        {
            // The end of a bar that is drawn longer than it was is where the bar ends.
            double shortest = flow.Spans is [.., { } last] ? _scale.X(last.From) + ShortestBar : 0;
            WriteMark(next, Math.Max(_scale.X(next.Time), IsEnd(next) ? shortest : 0), y + 2 + (BarHeight / 2));
        }

        (string outcome, bool isBad) = Outcome(flow);
        Line(
            $"<text class=\"{(isBad ? "warn" : "muted")}\" x=\"{N(Right + 10)}\" y=\"{N(y + 13)}\">" +
            $"{T(ReportText.Elide(outcome, OutcomeLetters))}</text></g>");
    }

    private void WriteSpan(ReportSpan span, double y, bool isOnly)
    {
        TimelineLook look = _palette[span.Typed];
        double x = _scale.X(span.From);
        double width = Math.Max(ShortestBar, _scale.X(span.To) - x);
        string box = $"x=\"{N(x)}\" y=\"{N(y)}\" width=\"{N(width)}\" height=\"{N(BarHeight)}\"";
        Line(
            $"<rect class=\"b{look.Color}\" {box}><title>{look.Letter} {span.Typed} from {Since(span.From)} to " +
            $"{Since(span.To)}</title></rect>");
        if (look.Round % 2 == 1)
        {
            Line($"<rect fill=\"url(#stripes)\" pointer-events=\"none\" {box}/>");
        }

        double letters = look.Letter.Length * LetterWidth;
        if (width >= letters + 14)   // room left for a mark at either end
        {
            Line(
                $"<text class=\"letter t{look.Color}\" pointer-events=\"none\" x=\"{N(x + (width / 2))}\" y=\"{N(y + 11)}\">" +
                $"{look.Letter}</text>");
        }
        else if (isOnly)
        {
            // Beside the bar and its mark there is nothing else in the lane, at one side at least.
            double center = x + width + 10 + letters <= _scale.Right ? x + width + 10 + (letters / 2) : x - 10 - (letters / 2);
            Line($"<text class=\"letter\" pointer-events=\"none\" x=\"{N(center)}\" y=\"{N(y + 11)}\">{look.Letter}</text>");
        }
    }

    private void WriteDensity(PacketDensity density, double bottom)
    {
        IReadOnlyList<ushort> counts = density.Counts;
        var path = new System.Text.StringBuilder();
        for (int i = 0; i < counts.Count; i++)
        {
            if (counts[i] > 0)
            {
                double x = _scale.X(density.Origin.Add(new Duration((i * density.Interval) + (density.Interval / 2))));
                double height = Math.Min(8, 2 + Math.Log2(counts[i]));
                path.Append(CultureInfo.InvariantCulture, $"M{N(x)} {N(bottom)}v{N(-height)}");
            }
        }

        if (path.Length > 0)
        {
            Line($"<path class=\"ticks\" d=\"{path}\"/>");
        }
    }

    private static bool IsEnd(ReportFlowEvent next) => next.What is FlowEventKind.Closed or FlowEventKind.Expired;

    private void WriteMark(ReportFlowEvent next, double x, double y)
    {
        string title = T($"{Since(next.Time)} {ReportTable.Name(next.What)}{(next.Detail is null ? string.Empty : ": " + next.Detail)}");
        switch (next.What)
        {
            case FlowEventKind.Stranded:
                string cross = $"d=\"M{N(x - 5)} {N(y - 5)}l10 10M{N(x + 5)} {N(y - 5)}l-10 10\"";
                Line($"<path class=\"halo\" {cross}/><path class=\"stranded\" {cross}><title>{title}</title></path>");
                break;
            case FlowEventKind.Refused:
                Line(
                    $"<path class=\"stranded\" d=\"M{N(x - 5)} {N(y)}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0M{N(x - 3.5)} {N(y + 3.5)}l7 -7\">" +
                    $"<title>{title}</title></path>");
                break;
            case FlowEventKind.WentOver:
                Line($"<path class=\"over\" d=\"M{N(x)} {N(y - 6)}l5 6l-5 6l-5 -6z\"><title>{title}</title></path>");
                break;
            case FlowEventKind.Closed or FlowEventKind.Expired:
                Line($"<path class=\"mark\" d=\"M{N(x)} {N(y - 7)}v14\"><title>{title}</title></path>");
                break;
            default:
                break;   // opening and keeping show in the bars
        }
    }

    private void WriteMoves()
    {
        foreach (ReportMove move in _report.Moves.Take(MostMoves))
        {
            double x = _scale.X(move.Time);
            string what = $"{Since(move.Time)} {ReportTable.Name(move.Kind)} {move.Name}";
            string about = T($"{what}: {move.Kept} kept, {move.WentOver} went over, {move.Stranded} stranded");
            Line(
                $"<line class=\"move {ReportTable.Name(move.Kind)}\" x1=\"{N(x)}\" y1=\"{N(_top - 6)}\" x2=\"{N(x)}\" " +
                $"y2=\"{N(_bottom)}\"><title>{about}</title></line>");
        }

        foreach ((ReportMove move, int row, bool toTheLeft) in _labels)
        {
            double x = _scale.X(move.Time) + (toTheLeft ? -3 : 3);
            double y = (row + 1) * LabelHeight;
            Line(
                $"<line class=\"move\" x1=\"{N(_scale.X(move.Time))}\" y1=\"{N(y - 9)}\" x2=\"{N(_scale.X(move.Time))}\" " +
                $"y2=\"{N(_top - 6)}\"/>");
            Line($"<text class=\"move\" x=\"{N(x)}\" y=\"{N(y)}\" text-anchor=\"{(toTheLeft ? "end" : "start")}\">{T(Label(move))}</text>");
        }
    }

    // Each label goes into the topmost row where its text touches neither another text nor another's line, and its own line, which goes
    // down to the lanes, crosses no text. What finds no row keeps its line in the lanes alone.
    private (ReportMove Move, int Row, bool ToTheLeft)[] PlaceLabels(out int rows)
    {
        var placed = new List<(ReportMove Move, int Row, bool ToTheLeft)>();
        var taken = new List<(double From, double To, double X, int Row)>();
        foreach (ReportMove move in _report.Moves.Take(MostMoves))
        {
            double x = _scale.X(move.Time);
            double width = (Label(move).Length * LetterWidth) + 8;
            bool toTheLeft = x + width > Width;
            (double from, double to) = toTheLeft ? (x - width, x + 2) : (x - 2, x + width);
            int row = Enumerable.Range(0, MostLabelRows).FirstOrDefault(
                candidate => !taken.Exists(other =>
                    (other.Row == candidate && from < other.To && other.From < to)
                    || (other.Row < candidate && other.X > from && other.X < to)
                    || (other.Row > candidate && x > other.From && x < other.To)),
                -1);
            if (row >= 0)
            {
                taken.Add((from, to, x, row));
                placed.Add((move, row, toTheLeft));
            }
        }

        rows = taken.Select(label => label.Row + 1).DefaultIfEmpty().Max();
        return [.. placed];
    }

    private string Label(ReportMove move) =>
        $"{ReportTable.Name(move.Kind)} {ReportText.Elide(move.Name, 26)} {Since(move.Time)}".Replace("  ", " ", StringComparison.Ordinal);

    private static string ShortName(ReportFlow flow, int letters)
    {
        string arrow = flow.Inbound ? " ← " : " → ";
        int each = (letters - flow.Protocol.Length - 1 - arrow.Length) / 2;
        string local = ReportText.End(flow.Internal, flow.LocalPort, each);
        return $"{flow.Protocol} {local}{arrow}{ReportText.End(flow.Remote, flow.RemotePort, each)}";
    }

    private (string Text, bool IsBad) Outcome(ReportFlow flow)
    {
        ReportFlowEvent? worst = flow.Events.LastOrDefault(next => next.What is FlowEventKind.Stranded or FlowEventKind.Refused);
        ReportFlowEvent? last = worst ?? flow.Events.LastOrDefault(next => next.What is FlowEventKind.Closed or FlowEventKind.Expired);
        int over = flow.Events.Count(next => next.What == FlowEventKind.WentOver);
        string moves = over == 0 ? string.Empty : $"{ReportText.Count(over)}× over";
        return last is null
            ? (over == 0 ? "open" : moves, false)
            : ($"{ReportTable.Name(last.What)} {Since(last.Time)}{(over == 0 ? string.Empty : ", " + moves)}", worst is not null);
    }

    private string Since(Timestamp time) => ReportText.Since(time, _report.From);

    private static string N(double value) => TimelineScale.Number(value);

    private static string T(string text) => TimelineHtml.Text(text);

    private void Line(string text) => _output.Write(text + "\n");
}
