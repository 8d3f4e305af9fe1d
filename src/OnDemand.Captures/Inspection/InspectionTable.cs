using OnDemand.Captures.Reports;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Inspection;

/// <summary>Writes what an inspection found as plain text for a terminal.</summary>
public static class InspectionTable
{
    private const int MostHosts = 20;
    private const int MostFlows = 40;
    private const int AddressWidth = 39;
    private const int EndWidth = 34;

    /// <summary>Writes a report.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="report">The report.</param>
    public static void Write(TextWriter output, InspectionReport report)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(report);
        WriteHead(output, report);
        WriteHosts(output, report);
        WriteFlows(output, report);
        WriteInternal(output, report);
    }

    private static void WriteHead(TextWriter output, InspectionReport report)
    {
        string format = report.Format.Length == 0 ? "no capture" : report.Format;
        output.Write(
            $"{ReportText.Printable(report.Input)}: {format}, {ReportText.Count(report.Packets, "packet")}, " +
            $"{ReportText.Size(report.Octets)}");
        output.Write(report is { From: { } from, To: { } to }
            ? $", {ReportText.Since(to, from)} from {ReportText.Seconds(from)} to {ReportText.Seconds(to)}\n"
            : "\n");
        WriteCounts(output, "Link types", report.LinkTypes);
        WriteCounts(output, "Packets", report.Kinds);
        WriteCounts(output, "ICMPv6 errors", report.Errors);
        if (report.CutPackets > 0)
        {
            output.Write($"  {ReportText.Count(report.CutPackets, "packet")} not captured whole\n");
        }

        if (report.OutOfOrder > 0)
        {
            output.Write($"  {ReportText.Count(report.OutOfOrder, "packet")} earlier than the one before\n");
        }
    }

    private static void WriteCounts(TextWriter output, string title, IReadOnlyList<NamedCount> counts)
    {
        if (counts.Count > 0)
        {
            output.Write($"  {title}: {string.Join(", ", counts.Select(count => $"{count.Name} {ReportText.Count(count.Count)}"))}\n");
        }
    }

    private static void WriteHosts(TextWriter output, InspectionReport report)
    {
        if (report.Hosts.Count == 0)
        {
            return;
        }

        output.Write("\nHosts (* likely internal)\n");
        var table = new TextTable(
            new TextColumn("address", AddressWidth + 2), new TextColumn("sent", 12, IsNumber: true),
            new TextColumn("received", 12, IsNumber: true), new TextColumn("size", 8, IsNumber: true),
            new TextColumn("flows", 9, IsNumber: true), new TextColumn("opened", 9, IsNumber: true), new TextColumn("hop limit", 9));
        foreach (HostSummary host in report.Hosts.Take(MostHosts))
        {
            table.Add(
                (host.LooksInternal ? "* " : "  ") + host.Address, ReportText.Count(host.PacketsSent),
                ReportText.Count(host.PacketsReceived), ReportText.Size(host.Octets), ReportText.Count(host.Flows),
                ReportText.Count(host.FlowsOpened),
                host.PacketsSent == 0 ? "-" : host.IsUnrouted ? "initial" : "lowered");
        }

        table.Write(output);
        WriteMore(output, report.Hosts.Count - MostHosts, "host");
        WriteUntracked(output, report.HostsNotTracked, "hosts");
    }

    private static void WriteFlows(TextWriter output, InspectionReport report)
    {
        if (report.Flows.Count == 0)
        {
            return;
        }

        output.Write("\nFlows (in the direction in which they were opened)\n");
        var table = new TextTable(
            new TextColumn("proto", 7), new TextColumn("from", EndWidth), new TextColumn("to", EndWidth), new TextColumn("direction", 9),
            new TextColumn("first", 12, IsNumber: true), new TextColumn("last", 12, IsNumber: true),
            new TextColumn("packets", 11, IsNumber: true), new TextColumn("size", 8, IsNumber: true));
        foreach (FlowSummary flow in report.Flows.Take(MostFlows))
        {
            table.Add(
                flow.Protocol, ReportText.End(flow.Source, flow.SourcePort, EndWidth),
                ReportText.End(flow.Destination, flow.DestinationPort, EndWidth), flow.Direction, Since(flow.From, report),
                Since(flow.To, report), ReportText.Count(flow.Packets), ReportText.Size(flow.Octets));
        }

        table.Write(output);
        WriteMore(output, report.Flows.Count - MostFlows, "flow");
        WriteUntracked(output, report.FlowsNotTracked, "flows");
    }

    private static void WriteInternal(TextWriter output, InspectionReport report)
    {
        output.Write("\nLikely internal addresses\n");
        if (report.Internal.Count == 0)
        {
            output.Write("  none: there is no flow between two IPv6 addresses beyond the link\n");
        }

        foreach (InternalGuess guess in report.Internal)
        {
            output.Write($"  {guess.Address}: {guess.Reason}\n");
        }
    }

    private static string Since(Timestamp? time, InspectionReport report) =>
        time is { } at && report.From is { } from ? ReportText.Since(at, from) : "-";

    private static void WriteMore(TextWriter output, int more, string one)
    {
        if (more > 0)
        {
            output.Write($"  … and {ReportText.Count(more, one)} more\n");
        }
    }

    private static void WriteUntracked(TextWriter output, long packets, string what)
    {
        if (packets > 0)
        {
            output.Write(
                $"  More {what} than can be remembered: {ReportText.Count(packets, "packet")} of others counted only in the totals.\n");
        }
    }
}
