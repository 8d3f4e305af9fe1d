using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Captures.Reports;

/// <summary>How much of a report goes to the terminal.</summary>
/// <param name="Rows">The most flows to show.</param>
/// <param name="Explain">Whether each flow's decision, addresses and events follow it.</param>
public sealed record ReportTableOptions(int Rows, bool Explain)
{
    /// <summary>Forty flows, without explanations.</summary>
    public static readonly ReportTableOptions Default = new(40, Explain: false);

    /// <summary>As many flows as a report holds, each with its explanation.</summary>
    public static readonly ReportTableOptions Everything = new(int.MaxValue, Explain: true);
}

/// <summary>Writes a report as plain text for a terminal of 120 columns or more.</summary>
public sealed class ReportTable
{
    private const int AddressWidth = 21;
    private const int MostSpans = 9;
    private const int MostMoves = 40;

    private readonly TextWriter _output;
    private readonly ReplayReport _report;
    private readonly ReportTableOptions _options;

    private ReportTable(TextWriter output, ReplayReport report, ReportTableOptions options)
    {
        _output = output;
        _report = report;
        _options = options;
    }

    /// <summary>Writes a report.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="report">The report.</param>
    /// <param name="options">How much of it.</param>
    public static void Write(TextWriter output, ReplayReport report, ReportTableOptions options)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(report);
        ArgumentNullException.ThrowIfNull(options);
        var table = new ReportTable(output, report, options);
        table.WriteHead();
        table.WriteMoves();
        table.WriteFlows();
        table.WriteTypes();
        table.WriteDropReasons();
        table.WriteTotals();
        table.WriteVerification();
    }

    private void WriteHead()
    {
        Line(
            $"{ReportText.Printable(_report.Input)} with {ReportText.Printable(_report.Scenario)}, " +
            $"{ReportText.Since(_report.To, _report.From)} from {ReportText.Seconds(_report.From)}");
        Line(string.Empty);
    }

    private void WriteMoves()
    {
        if (_report.Moves.Count == 0)
        {
            return;
        }

        Line("Network");
        var table = new TextTable(
            new TextColumn("time", 14, IsNumber: true), new TextColumn("event", 9), new TextColumn("name", 43),
            new TextColumn("kept", 12, IsNumber: true), new TextColumn("went over", 12, IsNumber: true),
            new TextColumn("stranded", 12, IsNumber: true));
        foreach (ReportMove move in _report.Moves.Take(MostMoves))
        {
            table.Add(
                Since(move.Time), Name(move.Kind), move.Name, ReportText.Count(move.Kept), ReportText.Count(move.WentOver),
                ReportText.Count(move.Stranded));
        }

        table.Write(_output);
        WriteMore(_report.Moves.Count - MostMoves, "event");
        foreach (ReportWindow window in _report.Windows.Take(MostMoves))
        {
            Line($"  Window from {Since(window.From)} to {Since(window.To)}: {window.Prefix} is being replaced.");
        }

        Line(string.Empty);
    }

    private void WriteFlows()
    {
        if (_report.Flows.Count == 0)
        {
            return;
        }

        Line("Flows");
        if (_options.Explain)
        {
            foreach (ReportFlow flow in _report.Flows.Take(_options.Rows))
            {
                Explain(flow);
            }
        }
        else
        {
            WriteFlowTable();
        }

        WriteMore(Math.Max(0, _report.Flows.Count - _options.Rows) + _report.FlowsLeftOut, "flow");
        Line(string.Empty);
    }

    // One row a flow, and one more for each further typed address; what happened at the moves stands last.
    private void WriteFlowTable()
    {
        var table = new TextTable(
            new TextColumn("#", 8, IsNumber: true), new TextColumn("proto", 7), new TextColumn("internal", AddressWidth),
            new TextColumn("", 2), new TextColumn("remote", AddressWidth), new TextColumn("type", 13), new TextColumn("from", 9, IsNumber: true),
            new TextColumn("typed address", AddressWidth), new TextColumn("out", 7, IsNumber: true), new TextColumn("in", 7, IsNumber: true),
            new TextColumn("size", 7, IsNumber: true), new TextColumn("moves", 25));
        foreach (ReportFlow flow in _report.Flows.Take(_options.Rows))
        {
            ReportSpan? first = flow.Spans.Count > 0 ? flow.Spans[0] : null;
            table.Add(
                flow.Id.ToString(CultureInfo.InvariantCulture), flow.Protocol, ReportText.End(flow.Internal, flow.LocalPort, AddressWidth),
                flow.Inbound ? "<-" : "->", ReportText.End(flow.Remote, flow.RemotePort, AddressWidth), ShortName(flow.Type),
                Since(first?.From ?? flow.First), first?.Typed.ToString() ?? "-",
                ReportText.ShortCount(flow.PacketsOut), ReportText.ShortCount(flow.PacketsIn), ReportText.Size(flow.OctetsOut + flow.OctetsIn),
                Moves(flow));
            foreach (ReportSpan span in flow.Spans.Skip(1).Take(MostSpans))
            {
                table.Add("", "", "", "", "", "", Since(span.From), span.Typed.ToString(), "", "", "", "");
            }
        }

        table.Write(_output);
    }

    private void Explain(ReportFlow flow)
    {
        Line(
            $"  #{flow.Id} {flow.Protocol} {ReportText.End(flow.Internal, flow.LocalPort)} {(flow.Inbound ? "<-" : "->")} " +
            $"{ReportText.End(flow.Remote, flow.RemotePort)}");
        Line($"     {AddressTypes.ToName(flow.Type)}: {ReportText.Printable(flow.Decision)}");
        foreach (ReportSpan span in flow.Spans)
        {
            Line($"     {Since(span.From)} to {Since(span.To)}  {span.Typed}");
        }

        foreach (ReportFlowEvent next in flow.Events)
        {
            Line(
                $"     {Since(next.Time)}  " +
                $"{Name(next.What)}{(next.Detail is null ? string.Empty : ": " + ReportText.Printable(next.Detail))}");
        }

        Line(
            $"     {ReportText.Count(flow.PacketsOut)} packets out ({ReportText.Size(flow.OctetsOut)}), " +
            $"{ReportText.Count(flow.PacketsIn)} in " +
            $"({ReportText.Size(flow.OctetsIn)}){(flow.Dropped == 0 ? string.Empty : $", {ReportText.Count(flow.Dropped)} dropped")}");
    }

    private void WriteTypes()
    {
        if (_report.Types.Count == 0)
        {
            return;
        }

        Line("Types");
        var table = new TextTable(
            new TextColumn("type", 20), new TextColumn("flows", 12, IsNumber: true), new TextColumn("packets", 14, IsNumber: true),
            new TextColumn("size", 8, IsNumber: true), new TextColumn("went over", 12, IsNumber: true),
            new TextColumn("stranded", 12, IsNumber: true), new TextColumn("refused", 12, IsNumber: true));
        foreach (ReportType type in _report.Types)
        {
            table.Add(
                AddressTypes.ToName(type.Type), ReportText.Count(type.Flows), ReportText.Count(type.Packets), ReportText.Size(type.Octets),
                ReportText.Count(type.WentOver), ReportText.Count(type.Stranded), ReportText.Count(type.Refused));
        }

        table.Write(_output);
        Line(string.Empty);
    }

    private void WriteDropReasons()
    {
        if (_report.DropReasons.Count == 0)
        {
            return;
        }

        Line("Dropped");
        var table = new TextTable(new TextColumn("packets", 14, IsNumber: true), new TextColumn("reason", 60));
        IEnumerable<NamedCount> reasons = _report.DropReasons.OrderByDescending(drop => drop.Count);
        foreach (NamedCount reason in reasons)
        {
            table.Add(ReportText.Count(reason.Count), reason.Name);
        }

        table.Write(_output);
        Line(string.Empty);
    }

    private void WriteTotals()
    {
        ReportTotals totals = _report.Totals;
        Line(
            $"{ReportText.Count(totals.PacketsRead, "packet")} read ({ReportText.Size(totals.OctetsRead)}): " +
            $"{ReportText.Count(totals.Rewritten)} rewritten, {ReportText.Count(totals.Untouched)} untouched, " +
            $"{ReportText.Count(totals.Dropped)} dropped; {ReportText.Count(totals.Held)} waited, {ReportText.Count(totals.Replies)} " +
            "made by the engine.");
        Line(
            $"{ReportText.Count(totals.Flows, "flow")}: {ReportText.Count(totals.WentOver)} went over, " +
            $"{ReportText.Count(totals.Stranded)} stranded, {ReportText.Count(totals.Refused)} refused.");
        double seconds = _report.Elapsed.TotalSeconds;
        if (seconds > 0)
        {
            Line($"{ReportText.Count((long)(totals.PacketsRead / seconds), "packet")}/s ({seconds:0.00} s).");
        }
    }

    private void WriteVerification()
    {
        if (_report.Verification is not { } verification)
        {
            return;
        }

        if (verification.Passed)
        {
            Line($"Verified: {ReportText.Count(verification.Checked, "packet")} checked, none wrong.");
            return;
        }

        Line(
            $"VERIFICATION FAILED: {ReportText.Count(verification.Violations)} of {ReportText.Count(verification.Checked, "packet")} " +
            "wrong.");
        foreach (string example in verification.Examples)
        {
            Line("  " + ReportText.Printable(example));
        }
    }

    // In the order of time: what each move did to the flow, and how it ended.
    private string Moves(ReportFlow flow)
    {
        List<string> words = [];
        foreach (ReportFlowEvent next in flow.Events)
        {
            string? word = next.What switch
            {
                FlowEventKind.Kept => "kept",
                FlowEventKind.Held => "held",
                FlowEventKind.WentOver => "went over",
                FlowEventKind.Opened => null,
                _ => $"{Name(next.What)} {Since(next.Time)}",
            };
            if (word is null)
            {
                continue;
            }

            // The same again is counted, not repeated.
            int at = words.Count - 1;
            if (at >= 0 && (words[at] == word || words[at].StartsWith(word + " ×", StringComparison.Ordinal)))
            {
                int times = words[at] == word ? 1 : int.Parse(words[at][(word.Length + 2)..], CultureInfo.InvariantCulture);
                words[at] = string.Create(CultureInfo.InvariantCulture, $"{word} ×{times + 1}");
            }
            else
            {
                words.Add(word);
            }
        }

        return words.Count == 0 ? "-" : string.Join(", ", words);
    }

    private void WriteMore(long more, string one)
    {
        if (more > 0)
        {
            Line($"  … and {ReportText.Count(more, one)} more");
        }
    }

    private string Since(Timestamp time) => ReportText.Since(time, _report.From);

    private static string ShortName(AddressType type) => type switch
    {
        AddressType.GracefulReplacement => "graceful",
        AddressType.SessionLasting => "session",
        _ => AddressTypes.ToName(type),
    };

    internal static string Name(ReportMoveKind kind) => kind switch
    {
        ReportMoveKind.Attach => "attach",
        ReportMoveKind.Withdraw => "withdraw",
        ReportMoveKind.Detach => "detach",
        _ => "advertise",
    };

    internal static string Name(FlowEventKind kind) => kind switch
    {
        FlowEventKind.Opened => "opened",
        FlowEventKind.Held => "held",
        FlowEventKind.Refused => "refused",
        FlowEventKind.Kept => "kept",
        FlowEventKind.WentOver => "went over",
        FlowEventKind.Stranded => "stranded",
        FlowEventKind.Closed => "closed",
        _ => "expired",
    };

    private void Line(string text) => _output.Write(text + "\n");
}
