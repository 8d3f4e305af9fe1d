using System.Globalization;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary>Resources as tables for people.</summary>
internal static class ControlTables
{
    private const int AddressWidth = 39;

    /// <summary>Where the host is attached, and since when.</summary>
    public static string Attachment(string? name, Timestamp since, Timestamp now) =>
        (name is null ? "detached" : $"attached to {ReportText.Printable(name)}") + $" for {Age(since, now)}";

    /// <summary>What a move led to.</summary>
    public static void Write(TextWriter output, MoveResource move)
    {
        output.Write(move.Attachment is { } name ? $"Attached to {ReportText.Printable(name)}" : "Detached");
        output.Write(move.Moves > 0 ? $" (move {ReportText.Count(move.Moves)}).\n" : ".\n");
        foreach (string prefix in move.NotTaken.Select(prefix => prefix.ToString()))
        {
            output.Write($"There was no room for {prefix}.\n");
        }

        Write(output, move.Prefixes);
    }

    /// <summary>Prefixes.</summary>
    public static void Write(TextWriter output, IReadOnlyList<PrefixResource> prefixes)
    {
        if (prefixes.Count == 0)
        {
            output.Write("There are no prefixes.\n");
            return;
        }

        var table = new TextTable(
            new TextColumn("prefix", 43), new TextColumn("type", 20), new TextColumn("state", 10), Numbers("window"), Numbers("preferred"),
            Numbers("valid"), Numbers("users"), Numbers("addresses"), new TextColumn("from", 22));
        foreach (PrefixResource prefix in prefixes)
        {
            table.Add(
                prefix.Prefix.ToString(),
                AddressTypes.ToName(prefix.Type),
                prefix.State,
                prefix.WindowLeft is { } window ? Short(window) : "-",
                prefix.State == "preferred" ? Short(prefix.PreferredLeft) : "-",
                prefix.State == "ended" ? "-" : Short(prefix.ValidLeft),
                Number(prefix.Users),
                Number(prefix.Addresses),
                From(prefix));
        }

        table.Write(output);
    }

    /// <summary>Flows.</summary>
    public static void Write(TextWriter output, FlowsResource flows)
    {
        if (flows.Flows.Count > 0)
        {
            var table = new TextTable(
                new TextColumn("proto", 7), new TextColumn("internal", AddressWidth), new TextColumn("", 2),
                new TextColumn("remote", AddressWidth), new TextColumn("type", 20), new TextColumn("typed address", AddressWidth),
                new TextColumn("prefix", 10), new TextColumn("state", 13), Numbers("packets"), Numbers("size"), Numbers("idle"));
            foreach (FlowResource flow in flows.Flows)
            {
                table.Add(
                    flow.Protocol, ReportText.End(flow.Internal, flow.LocalPort, AddressWidth), flow.OpenedBy == "host" ? "->" : "<-",
                    ReportText.End(flow.Remote, flow.RemotePort, AddressWidth), AddressTypes.ToName(flow.Type), flow.Address.ToString(),
                    flow.PrefixState, flow.State + (flow.Native ? "*" : string.Empty), ReportText.ShortCount(flow.Packets),
                    ReportText.Size((long)Math.Min(flow.Octets, long.MaxValue)), Age(flow.LastSeen, flows.Time));
                if (flow.OldAddress is { } old)
                {
                    table.Add("", "", "", "", "", old.ToString(), "closing", "also accepted", "", "", "");
                }
            }

            table.Write(output);
        }

        string shown = flows.Flows.Count == flows.Total ? string.Empty : $", {ReportText.Count(flows.Flows.Count)} shown";
        output.Write($"{ReportText.Count(flows.Total, "flow")}{shown}.\n");
    }

    /// <summary>Counters.</summary>
    public static void Write(TextWriter output, CountersResource counters)
    {
        var types = new TextTable(
            new TextColumn("type", 20), Numbers("flows"), Numbers("opened"), Numbers("packets"), Numbers("size"), Numbers("went over"),
            Numbers("stranded"), Numbers("refused"));
        foreach (TypeResource type in counters.Types)
        {
            types.Add(
                AddressTypes.ToName(type.Type), Number(type.Flows), Number(type.FlowsOpened), Number(type.Packets),
                ReportText.Size(type.Octets), Number(type.WentOver), Number(type.Stranded), Number(type.Refused));
        }

        types.Write(output);
        output.Write("\n");
        var frames = new TextTable(Numbers("frames"), new TextColumn("what became of them", 50));
        foreach ((string verdict, long count) in counters.Verdicts)
        {
            frames.Add(Number(count), verdict);
            AddReasons(frames, verdict switch { "forward" => counters.Forwarded, "drop" => counters.Dropped, _ => [] });
        }

        frames.Write(output);
        output.Write("\n");
        Write(output, counters.Tap);
        output.Write(
            $"\n{ReportText.Count(counters.ResetsSent, "reset")} and {ReportText.Count(counters.IcmpErrorsSent, "ICMPv6 error")} sent, " +
            $"{Number(counters.IcmpErrorsSuppressed)} suppressed; " +
            $"{ReportText.Count(counters.NetworkRequests, "question")} to the network; " +
            $"{ReportText.Count(counters.AddressesRenewed, "address", "addresses")} renewed; " +
            $"{ReportText.Count(counters.EventsLost, "event")} lost.\n");
    }

    /// <summary>The state of the whole.</summary>
    public static void Write(TextWriter output, StatusResource status)
    {
        output.Write(
            $"{ReportText.Printable(status.Configuration)}: {Attachment(status.Attachment, status.Since, status.Time)}, " +
            $"{ReportText.Count(status.Moves, "move")}; uplink {(status.UplinkUp ? "up" : "down")}.\n");
        output.Write($"Internal: {string.Join(", ", status.Internal)}; default: {status.Default}.\n");
        output.Write(
            $"{ReportText.Count(status.Flows, "flow")} of {Number(status.FlowCapacity)}, {ReportText.Count(status.Bindings, "binding")}, " +
            $"{ReportText.Count(status.Addresses, "typed address", "typed addresses")}.\n\n");
        Write(output, status.Prefixes);
    }

    /// <summary>How long ago something was, as people say it: in whole seconds beyond ten of them.</summary>
    public static string Age(Timestamp since, Timestamp now) => Short(new Duration(Math.Max(0, now.Since(since).Nanoseconds)));

    /// <summary>A duration in at most nine characters.</summary>
    public static string Short(Duration duration)
    {
        if (duration == Duration.Infinite)
        {
            return "infinite";
        }

        var span = new TimeSpan(duration.Nanoseconds / 100);
        return span switch
        {
            { TotalSeconds: < 10 } => span.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture) + "s",
            { TotalSeconds: < 120 } => span.TotalSeconds.ToString("0", CultureInfo.InvariantCulture) + "s",
            { TotalHours: < 1 } => string.Create(CultureInfo.InvariantCulture, $"{span.Minutes}m{span.Seconds:00}s"),
            { TotalDays: < 2 } => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalHours}h{span.Minutes:00}m"),
            _ => string.Create(CultureInfo.InvariantCulture, $"{(int)span.TotalDays}d{span.Hours:00}h"),
        };
    }

    private static void Write(TextWriter output, TapResource tap)
    {
        var table = new TextTable(Numbers("frames"), new TextColumn("at the TAP", 50));
        table.Add(Number(tap.FramesRead), $"read, {ReportText.Size(tap.OctetsRead)}");
        table.Add(Number(tap.Superpackets), "  superpackets");
        table.Add(Number(tap.NeighborAnswers), "  neighbor solicitations answered");
        AddReasons(table, tap.Ignored);
        table.Add(Number(tap.FramesWritten), $"written, {ReportText.Size(tap.OctetsWritten)}");
        table.Add(Number(tap.FramesJoined), $"  in {ReportText.Count(tap.SuperpacketsMade, "superpacket", "superpackets")} made here");
        for (int queue = 0; queue < tap.Queues.Count && tap.Queues.Count > 1; queue++)
        {
            (long read, long written) = (tap.Queues[queue].FramesRead, tap.Queues[queue].FramesWritten);
            table.Add(Number(read + written), $"queue {queue}: {Number(read)} read, {Number(written)} written");
        }

        table.Add(Number(tap.Lost.Values.Sum()), "lost");
        AddReasons(table, tap.Lost);
        table.Write(output);
        output.Write(
            $"{ReportText.Count(tap.Batches, "batch", "batches")}, {tap.RingBatches} by io_uring, {ReportText.Count(tap.ReadErrors, "read error")}, " +
            $"{ReportText.Count(tap.Commands, "command")}.\n");
    }

    private static void AddReasons(TextTable table, IEnumerable<KeyValuePair<string, long>> reasons)
    {
        foreach ((string reason, long count) in reasons.OrderByDescending(one => one.Value))
        {
            table.Add(Number(count), "  " + reason);
        }
    }

    private static string From(PrefixResource prefix) =>
        (prefix.OnDemand ? "asked for" : prefix.PresentNetwork ? "this network" : "a network before")
        + (prefix.Home ? ", home" : string.Empty);

    private static TextColumn Numbers(string title) => new(title, 18, IsNumber: true);

    private static string Number(long number) => ReportText.Count(number);
}
