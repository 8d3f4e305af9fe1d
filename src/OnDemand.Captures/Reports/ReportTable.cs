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
    private const int AddressWidth = 24;
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

    private void WriteFlowTable()
    {
        var table = new TextTable(
            new TextColumn("#", 8, IsNumber: true), new TextColumn("proto", 7), new TextColumn("internal", AddressWidth),
            new TextColumn("", 2), new TextColumn("remote", AddressWidth), new TextColumn("type", 13),
            new TextColumn("typed address", AddressWidth), new TextColumn("out", 7, IsNumber: true), new TextColumn("in", 7, IsNumber: true),
            new TextColumn("outcome", 24));
        foreach (ReportFlow flow in _report.Flows.Take(_options.Rows))
        {
            table.Add(
                flow.Id.ToString(CultureInfo.InvariantCulture), flow.Protocol, ReportText.End(flow.Internal, flow.LocalPort, AddressWidth),
                flow.Inbound ? "<-" : "->", ReportText.End(flow.Remote, flow.RemotePort, AddressWidth), ShortName(flow.Type), Typed(flow),
                ReportText.ShortCount(flow.PacketsOut), ReportText.ShortCount(flow.PacketsIn), Outcome(flow));
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

    private static string Typed(ReportFlow flow) => flow.Spans.Count switch
    {
        0 => "-",
        1 => flow.Spans[0].Typed.ToString(),
        _ => ReportText.Elide(flow.Spans[^1].Typed.ToString(), AddressWidth - 4) + $" (+{Math.Min(9, flow.Spans.Count - 1)})",
    };

    // What the reader wants to know first: the worst that happened, and how often it moved.
    private static string Outcome(ReportFlow flow)
    {
        int moves = flow.Events.Count(next => next.What == FlowEventKind.WentOver);
        string end = flow.Events.Any(next => next.What == FlowEventKind.Refused) ? "refused"
            : flow.Events.Any(next => next.What == FlowEventKind.Stranded) ? "stranded"
            : flow.Events.Any(next => next.What == FlowEventKind.Closed) ? "closed"
            : flow.Events.Any(next => next.What == FlowEventKind.Expired) ? "expired"
            : "open";
        return moves == 0 ? end : $"{end}, went over {(moves == 1 ? "once" : moves == 2 ? "twice" : $"{moves} times")}";
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
