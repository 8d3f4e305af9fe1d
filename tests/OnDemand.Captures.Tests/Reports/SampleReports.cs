using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Tests.Reports;

/// <summary>Made-up reports that show everything a report can say.</summary>
internal static class SampleReports
{
    private static readonly Timestamp Start = Timestamp.FromSeconds(1_700_000_000);

    /// <summary>A host that moves twice and is then detached: every type, every event.</summary>
    public static ReplayReport Move() => new()
    {
        Input = "lab.pcapng",
        Scenario = "move.yaml",
        Output = "out.pcapng",
        Seed = 42,
        From = Start,
        To = At(12),
        Totals = new ReportTotals
        {
            PacketsRead = 12_345,
            OctetsRead = 9_876_543,
            PacketsWritten = 12_300,
            Rewritten = 12_000,
            Untouched = 300,
            Dropped = 45,
            Held = 7,
            Replies = 2,
            Flows = 6,
            Stranded = 2,
            WentOver = 2,
            Refused = 1,
        },
        Verdicts = [new("forward", 12_300), new("reply", 2), new("hold", 7), new("drop", 45)],
        DropReasons = [new("unsolicited", 5), new("address-ended", 40)],
        Verification = new ReportVerification(Passed: true, 12_345, 0, []),
        Moves =
        [
            new(At(0), ReportMoveKind.Attach, "ar1", 0, 0, 0), new(At(2.5), ReportMoveKind.Attach, "ar2", 3, 1, 1),
            new(At(2.6), ReportMoveKind.Advertise, "2001:db8:a2:1::/64", 0, 0, 0), new(At(8), ReportMoveKind.Withdraw, "2001:db8:a2:1::/64", 1, 0, 1),
            new(At(8.4), ReportMoveKind.Attach, "a point of attachment with a rather long name", 1, 1, 0), new(At(11.9), ReportMoveKind.Detach, "", 1, 0, 0),
        ],
        Windows = [new(At(2.5), At(7.5), Prefix("2001:db8:6a:1::/64"))],
        Prefixes =
        [
            new(Prefix("2001:db8:a1:1::/64"), AddressType.Nonpersistent, [new(At(0), "preferred", null), new(At(2.5), "ended", "moved")]),
            new(Prefix("2001:db8:6a:1::/64"), AddressType.GracefulReplacement,
                [new(At(0), "preferred", null), new(At(1.5), "deprecated", null), new(At(2.5), "closing", null), new(At(7.5), "ended", "window-closed")]),
            new(Prefix("2001:db8:a2:1::/64"), AddressType.Nonpersistent, [new(At(2.5), "preferred", null), new(At(8), "ended", "withdrawn")]),
            new(Prefix("2001:db8:f1::7/128"), AddressType.Fixed, [new(At(0), "preferred", null)]),
        ],
        Flows = [Ssh(), Download(), Dns(), Graceful(), Server(), Refused()],
    };

    /// <summary>Very many flows of very many addresses.</summary>
    public static ReplayReport Many(int flows) => Move() with
    {
        Flows =
        [
            .. Enumerable.Range(1, flows).Select(i => Ssh() with
            {
                Id = i,
                LocalPort = (ushort)i,
                Spans = [new(Address($"2001:db8:a1:1::{i:x}"), At(0.01 * (i % 300)), At(11))],
                Events = i % 10 == 0 ? [new(At(5), FlowEventKind.Stranded)] : [],
            }),
        ],
        FlowsLeftOut = 5,
    };

    public static Timestamp At(double seconds) => new(Start.Nanoseconds + (long)(seconds * Timestamp.NanosecondsPerSecond));

    public static IpAddress Address(string text) => IpAddress.Parse(text);

    private static IpPrefix Prefix(string text) => IpPrefix.Parse(text);

    private static ReportFlow Ssh() => Flow(1, "tcp", 50_000, "2001:db8:9::22", 22, AddressType.SessionLasting, 0.2, 11.8) with
    {
        Decision = "policy rule 1",
        Spans = [new(Address("2001:db8:51:1:1234:5678:9abc:def0"), At(0.2), At(11.8))],
        Events = [new(At(0.2), FlowEventKind.Opened), new(At(2.5), FlowEventKind.Kept), new(At(11.8), FlowEventKind.Closed)],
        Density = Density(0.2, 11.8, 300),
    };

    private static ReportFlow Download() => Flow(2, "tcp", 50_001, "2001:db8:9::80", 443, AddressType.Nonpersistent, 0.5, 2.5) with
    {
        Decision = "default type, rule 8: longest matching prefix",
        Spans = [new(Address("2001:db8:a1:1::beef"), At(0.5), At(2.5))],
        Events = [new(At(0.5), FlowEventKind.Opened), new(At(2.5), FlowEventKind.Stranded, "the prefix was gone")],
        Density = Density(0.5, 2.5, 4_000),
        Dropped = 40,
    };

    private static ReportFlow Dns() => Flow(3, "udp", 5353, "2001:db8:9::53", 53, AddressType.Nonpersistent, 1, 11) with
    {
        Decision = "default type",
        Spans = [new(Address("2001:db8:a1:1::beef"), At(1), At(2.7)), new(Address("2001:db8:a2:1::cafe"), At(2.7), At(11))],
        Events = [new(At(1), FlowEventKind.Opened), new(At(2.7), FlowEventKind.WentOver, "2001:db8:a2:1::cafe")],
        Density = Density(1, 11, 60),
    };

    private static ReportFlow Graceful() => Flow(4, "udplite", 6000, "2001:db8:1234:5678:9abc:def0:1234:5678", 6001, AddressType.GracefulReplacement, 1.2, 12) with
    {
        Decision = "setsc() at 1.000s",
        Spans = [new(Address("2001:db8:6a:1::1"), At(1.2), At(7.5)), new(Address("2001:db8:6a:2::1"), At(7.5), At(12))],
        Events = [new(At(1.2), FlowEventKind.Opened), new(At(7.5), FlowEventKind.WentOver, "the window ended")],
        Density = Density(1.2, 12, 500),
    };

    private static ReportFlow Server() => Flow(5, "tcp", 8080, "2001:db8:77::5", 61_234, AddressType.Fixed, 3, 10) with
    {
        Inbound = true,
        Decision = "inbound to a Fixed address",
        Spans = [new(Address("2001:db8:f1::7"), At(3), At(10))],
        Events = [new(At(3), FlowEventKind.Opened), new(At(10), FlowEventKind.Closed)],
    };

    private static ReportFlow Refused() => Flow(6, "icmpv6", 77, "2001:db8:9::1", 0, AddressType.Fixed, 9, 9) with
    {
        Decision = "policy rule 3 <of & \"two\">",
        Events = [new(At(9), FlowEventKind.Held), new(At(9.5), FlowEventKind.Refused)],
    };

    private static ReportFlow Flow(long id, string protocol, ushort localPort, string remote, ushort remotePort, AddressType type, double first, double last) => new()
    {
        Id = id,
        Protocol = protocol,
        Internal = Address("fd00:db8::1"),
        LocalPort = localPort,
        Remote = Address(remote),
        RemotePort = remotePort,
        Type = type,
        First = At(first),
        Last = At(last),
        PacketsOut = 100 * id,
        PacketsIn = 90 * id,
        OctetsOut = 100_000 * id,
        OctetsIn = 1_234 * id,
    };

    private static PacketDensity Density(double from, double to, int packets)
    {
        var density = new PacketDensity(Start);
        for (int i = 0; i < packets; i++)
        {
            density.Add(At(from + ((to - from) * i / packets)));
        }

        return density;
    }
}
