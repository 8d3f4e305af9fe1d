using System.Net;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Reports;

/// <summary>
/// Draws a report as one HTML file without script and without anything from elsewhere: prefixes and flows as lanes over time, moves as
/// lines, replacement windows as shades. It is legible in light and in dark; every color has a letter or a word beside it. The file is
/// well-formed XML too.
/// </summary>
public static class TimelineHtml
{
    /// <summary>The most flows that are drawn.</summary>
    public const int MostFlows = 200;

    private const int MostLegend = 48;

    /// <summary>Writes the file.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="report">The report.</param>
    public static void Write(TextWriter output, ReplayReport report)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(report);
        ReportFlow[] flows = Choose(report.Flows);
        var palette = new TimelinePalette(flows);
        string title = $"{ReportText.Printable(report.Input)} with {ReportText.Printable(report.Scenario)}";
        output.Write(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"color-scheme\" content=\"light " +
            $"dark\"/>\n<title>{Text(title)}</title>\n");
        output.Write($"<style>\n{Style}{PaletteStyle()}</style>\n</head>\n<body>\n<h1>{Text(title)}</h1>\n");
        WriteSummary(output, report, flows.Length);
        WriteLegend(output, palette);
        output.Write("<div class=\"scroll\">\n");
        new TimelineSvg(output, report, flows, palette).Write();
        output.Write("</div>\n");
        WriteTable(output, report, flows, palette);
        output.Write("</body>\n</html>\n");
    }

    /// <summary>Text as it stands in HTML and XML: escaped, and without characters that XML does not know.</summary>
    internal static string Text(string text) => WebUtility.HtmlEncode(
        string.Create(text.Length, text, static (clean, original) =>
        {
            for (int i = 0; i < clean.Length; i++)
            {
                clean[i] = char.IsControl(original[i]) || char.IsSurrogate(original[i]) || original[i] >= '\uFFFE' ? '\uFFFD' : original[i];
            }
        }));

    // All of them in the order of opening while they fit; else those first to which most has happened.
    private static ReportFlow[] Choose(IReadOnlyList<ReportFlow> flows) => flows.Count <= MostFlows
        ? [.. flows]
        : [.. flows.OrderByDescending(Interest).ThenByDescending(flow => flow.PacketsIn + flow.PacketsOut).ThenBy(flow => flow.Id)
            .Take(MostFlows)];

    private static int Interest(ReportFlow flow) => flow.Events.Select(next => next.What).DefaultIfEmpty().Max(what => what switch
    {
        FlowEventKind.Stranded => 4,
        FlowEventKind.Refused => 3,
        FlowEventKind.WentOver => 2,
        FlowEventKind.Kept or FlowEventKind.Held => 1,
        _ => 0,
    });

    private static void WriteSummary(TextWriter output, ReplayReport report, int shown)
    {
        ReportTotals totals = report.Totals;
        output.Write(
            $"<p>{ReportText.Count(totals.PacketsRead, "packet")} in {ReportText.Since(report.To, report.From)}: " +
            $"{ReportText.Count(totals.Rewritten)} rewritten, {ReportText.Count(totals.Untouched)} untouched, " +
            $"{ReportText.Count(totals.Dropped)} dropped. ");
        output.Write(
            $"{ReportText.Count(totals.Flows, "flow")}: {ReportText.Count(totals.WentOver)} went over, " +
            $"{ReportText.Count(totals.Stranded)} stranded, {ReportText.Count(totals.Refused)} refused.</p>\n");
        long leftOut = report.Flows.Count - shown + report.FlowsLeftOut;
        if (leftOut > 0)
        {
            output.Write(
                $"<p class=\"note\">{ReportText.Count(shown, "flow")} shown, those first to which most has happened; " +
                $"{ReportText.Count(leftOut, "flow")} left out.</p>\n");
        }
    }

    private static void WriteLegend(TextWriter output, TimelinePalette palette)
    {
        output.Write("<ul class=\"legend\" aria-label=\"Legend\">\n");
        foreach ((IpAddress address, TimelineLook look) in palette.Looks.Take(MostLegend))
        {
            output.Write(
                $"<li><span class=\"key b{look.Color}\">{look.Letter}</span> {address} <i>{AddressTypes.ToName(look.Type)}</i></li>\n");
        }

        if (palette.Looks.Count > MostLegend)
        {
            output.Write($"<li>… and {ReportText.Count(palette.Looks.Count - MostLegend, "address", "addresses")} more</li>\n");
        }

        output.Write(
            "<li><b>×</b> stranded</li><li><b>◆</b> went over</li><li><b>⊘</b> refused</li><li><b>|</b> closed</li><li><span " +
            "class=\"key shade\">&#160;</span> replacement window</li><li>ticks below a lane: packets</li><li>prefixes: full " +
            "preferred, pale deprecated, hatched being replaced</li>\n</ul>\n");
    }

    private static void WriteTable(TextWriter output, ReplayReport report, ReportFlow[] flows, TimelinePalette palette)
    {
        output.Write(
            "<details>\n<summary>The same flows as a table</summary>\n<table>\n<thead><tr><th>#</th><th>flow</th><th>type and " +
            "reason</th><th>addresses</th><th>events</th><th>packets out, in</th></tr></thead>\n<tbody>\n");
        foreach (ReportFlow flow in flows)
        {
            string spans = string.Join("<br/>", flow.Spans.Select(span =>
                $"{palette[span.Typed].Letter} {span.Typed} from {Since(span.From)} to {Since(span.To)}"));
            string events = string.Join("<br/>", flow.Events.Select(next =>
                $"{Since(next.Time)} {ReportTable.Name(next.What)}{(next.Detail is null ? string.Empty : Text(": " + next.Detail))}"));
            output.Write(
                $"<tr><td>{flow.Id}</td><td>{Text(Name(flow))}</td><td>{AddressTypes.ToName(flow.Type)}: {Text(flow.Decision)}</td>" +
                $"<td>{spans}</td><td>{events}</td><td>{ReportText.Count(flow.PacketsOut)}, {ReportText.Count(flow.PacketsIn)}</td>" +
                "</tr>\n");
        }

        output.Write("</tbody>\n</table>\n</details>\n");

        string Since(Timestamp time) => ReportText.Since(time, report.From);
    }

    internal static string Name(ReportFlow flow)
    {
        string local = ReportText.End(flow.Internal, flow.LocalPort);
        return $"{flow.Protocol} {local} {(flow.Inbound ? "←" : "→")} {ReportText.End(flow.Remote, flow.RemotePort)}";
    }

    private static string PaletteStyle() => string.Concat(TimelinePalette.Colors.Select((color, i) =>
        $".b{i}{{fill:{color.Fill};background:{color.Fill};color:{color.Text}}}.t{i}{{fill:{color.Text}}}\n"));

    private const string Style = """
        :root{--fg:#1a1a1a;--muted:#595959;--bg:#fff;--grid:#e3e3e3;--lane:#f6f6f6;--move:#7a1f7a;--shade:#ddd;--warn:#b00020}
        @media (prefers-color-scheme:dark){
        :root{--fg:#eee;--muted:#b3b3b3;--bg:#161616;--grid:#333;--lane:#1f1f1f;--move:#e6a3e6;--shade:#3d3d3d;--warn:#ff8a80}}
        body{font:14px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);margin:24px}
        h1{font-size:18px;margin:0 0 8px;overflow-wrap:anywhere}
        p{margin:4px 0}.note{color:var(--muted)}
        .legend{list-style:none;margin:12px 0;padding:0;display:flex;flex-wrap:wrap;gap:4px 18px;font-size:13px}
        .legend i{color:var(--muted);font-style:normal}
        .key{display:inline-block;min-width:20px;padding:0 3px;text-align:center;font:bold 12px/18px ui-monospace,monospace}
        .shade{background:var(--shade)}
        .scroll{overflow-x:auto}
        svg{display:block;font:11px ui-monospace,"DejaVu Sans Mono",monospace}
        svg text{fill:var(--fg)}svg .muted{fill:var(--muted)}svg .warn{fill:var(--warn)}
        .grid{stroke:var(--grid);stroke-width:1}.lane{fill:var(--lane)}.window{fill:var(--shade)}.windows{opacity:.8}
        .move{stroke:var(--move);stroke-width:1.5;fill:none}svg text.move{stroke:none;fill:var(--move);font-weight:bold}
        .withdraw{stroke-dasharray:6 3}.detach{stroke-dasharray:2 3}.advertise{stroke-dasharray:1 4}
        .ticks{stroke:var(--muted);stroke-width:1;fill:none}.mark{stroke:var(--fg);stroke-width:2;fill:none}
        .flow .b0,.flow .b1,.flow .b2,.flow .b3,.flow .b4,.flow .b5,.flow .b6,.flow .b7{fill-opacity:.88}
        .halo{stroke:var(--bg);stroke-width:6;fill:none}.stranded{stroke:var(--warn);stroke-width:2.5;fill:none}
        .over{fill:var(--fg);stroke:var(--bg);stroke-width:1}
        .preferred{fill:var(--fg);fill-opacity:.75}.deprecated{fill:var(--fg);fill-opacity:.35}.closing{fill:url(#hatch)}
        .hatch{stroke:var(--fg);stroke-width:2}
        .letter{font-weight:bold;text-anchor:middle}
        details{margin-top:16px}table{border-collapse:collapse;font-size:12px}
        td,th{border:1px solid var(--grid);padding:3px 6px;text-align:left;vertical-align:top}

        """;
}
