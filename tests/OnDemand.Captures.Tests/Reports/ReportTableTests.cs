using OnDemand.Captures.Reports;
using Xunit;

namespace OnDemand.Captures.Tests.Reports;

public class ReportTableTests
{
    [Fact]
    public void The_table_is_as_it_was_approved() => Assert.Equal(
        """
        lab.pcapng with move.yaml, 12.000s from 1700000000.000000000

        Network
             time  event      name                                         kept  went over  stranded
           0.000s  attach     ar1                                             0          0         0
           2.500s  attach     ar2                                             3          1         1
           2.600s  advertise  2001:db8:a2:1::/64                              0          0         0
           8.000s  withdraw   2001:db8:a2:1::/64                              1          0         1
           8.400s  attach     a point of attachment with…rather long name     1          1         0
          11.900s  detach                                                     1          0         0
          Window from 2.500s to 7.500s: 2001:db8:6a:1::/64 is being replaced.

        Flows
          #  proto    internal               remote                 type             from  typed address          out   in   size  moves
          1  tcp      fd00:db8::1.50000  ->  2001:db8:9::22.22      session        0.200s  2001:db8:51:…abc:def0  100   90  101kB  kept, closed 11.800s
          2  tcp      fd00:db8::1.50001  ->  2001:db8:9::80.443     nonpersistent  0.500s  2001:db8:a1:1::beef    200  180  202kB  stranded 2.500s
          3  udp      fd00:db8::1.5353   ->  2001:db8:9::53.53      nonpersistent  1.000s  2001:db8:a1:1::beef    300  270  304kB  went over
                                                                                   2.700s  2001:db8:a2:1::cafe
          4  udplite  fd00:db8::1.6000   ->  2001:db8:…4:5678.6001  graceful       1.200s  2001:db8:6a:1::1       400  360  405kB  went over
                                                                                   7.500s  2001:db8:6a:2::1
          5  tcp      fd00:db8::1.8080   <-  2001:db8:77::5.61234   fixed          3.000s  2001:db8:f1::7         500  450  506kB  closed 10.000s
          6  icmpv6   fd00:db8::1.77     ->  2001:db8:9::1          fixed          9.000s  -                      600  540  607kB  held, refused 9.500s

        Dropped
          packets  reason
               40  address-ended
                5  unsolicited

        12,345 packets read (9.88MB): 12,000 rewritten, 300 untouched, 45 dropped; 7 waited, 2 made by the engine.
        6 flows: 2 went over, 2 stranded, 1 refused.
        24,690 packets/s (0.50 s).
        Verified: 12,345 packets checked, none wrong.

        """,
        Table(SampleReports.Move() with { Elapsed = TimeSpan.FromSeconds(0.5) }, ReportTableOptions.Default));

    [Fact]
    public void No_line_is_wider_than_160_columns_and_none_ends_in_blanks()
    {
        ReplayReport many = SampleReports.Many(500);
        ReplayReport report = many with
        {
            Flows =
            [
                .. many.Flows.Select(flow => flow with
                {
                    Id = 12_345_678,
                    Internal = SampleReports.Address("fd00:1111:2222:3333:4444:5555:6666:7777"),
                    Remote = SampleReports.Address("2001:1111:2222:3333:4444:5555:6666:7777"),
                    Spans = [.. Enumerable.Repeat(new ReportSpan(SampleReports.Address("2001:db8:2222:3333:4444:5555:6666:7777"), default, default), 30)],
                    Events = [.. flow.Events, .. Enumerable.Repeat(new ReportFlowEvent(default, FlowEventKind.WentOver), 29)],
                    PacketsOut = 123_456,
                    PacketsIn = 1_234_567_890,
                }),
            ],
        };

        string[] lines = Table(report, ReportTableOptions.Default).Split('\n');

        Assert.All(lines, line => Assert.InRange(line.Length, 0, 160));
        Assert.All(lines, line => Assert.Equal(line.TrimEnd(), line));
        Assert.Contains("  … and 465 flows more", lines);
        Assert.Equal(40, lines.Count(line => line.Contains("12345678  tcp", StringComparison.Ordinal)));
    }

    [Fact]
    public void An_explanation_tells_why_and_what_happened()
    {
        string text = Table(SampleReports.Move(), ReportTableOptions.Everything);

        Assert.Contains(
            """
              #2 tcp fd00:db8::1.50001 -> 2001:db8:9::80.443
                 nonpersistent: default type, rule 8: longest matching prefix
                 0.500s to 2.500s  2001:db8:a1:1::beef
                 0.500s  opened
                 2.500s  stranded: the prefix was gone
                 200 packets out (200kB), 180 in (2.47kB), 40 dropped
            """,
            text,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_failed_verification_cannot_be_overlooked()
    {
        ReplayReport report = SampleReports.Move() with { Verification = new ReportVerification(Passed: false, 10, 2, ["packet 5: \u001b[31mwrong"]) };

        string text = Table(report, ReportTableOptions.Default);

        Assert.Contains("VERIFICATION FAILED: 2 of 10 packets wrong.\n  packet 5: \uFFFD[31mwrong\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_report_is_a_table_too() =>
        Assert.Contains("0 packets read", Table(new ReplayReport(), ReportTableOptions.Default), StringComparison.Ordinal);

    internal static string Table(ReplayReport report, ReportTableOptions options)
    {
        using var output = new StringWriter();
        ReportTable.Write(output, report, options);
        return output.ToString();
    }
}
