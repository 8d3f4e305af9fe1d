using System.Text.Json;
using OnDemand.Captures.Inspection;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using OnDemand.Captures.Tests.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Inspection;

public class InspectorTests
{
    private const byte Syn = 2;
    private const byte SynAck = 18;
    private const byte Ack = 16;

    private static readonly string[] Recorded =
    [
        "dns", "four-types", "fragmented-udp", "icmp-errors", "interactive", "message-flow", "offload", "server", "short-flows", "two-hosts", "web-download",
    ];

    public static TheoryData<string> RecordedCaptures => [.. Recorded];

    [Theory]
    [MemberData(nameof(RecordedCaptures))]
    public async Task The_internal_addresses_of_every_recorded_capture_are_found(string name)
    {
        Inspector inspector = await Inspect(await Read(name));

        string[] expected = name == "two-hosts" ? ["fd00:db8::1", "fd00:db8::2"] : ["fd00:db8::1"];
        Assert.Equal(expected, inspector.Report.Internal.Select(guess => guess.Address.ToString()).Order());
        Assert.All(inspector.Report.Internal, guess => Assert.StartsWith("a unique local address", guess.Reason, StringComparison.Ordinal));
        Assert.Null(inspector.Report.Damage);
        Assert.DoesNotContain(inspector.Report.Flows, flow => flow.Direction == "unknown");
    }

    [Theory]
    [MemberData(nameof(RecordedCaptures))]
    public async Task A_scenario_to_start_from_is_a_scenario(string name)
    {
        Inspector inspector = await Inspect(await Read(name));

        Scenario scenario = ScenarioReaderTests.Parse(Text(inspector.Scenario!));

        Assert.Equal(inspector.Report.Internal.Select(guess => guess.Address), scenario.Internal.Select(prefix => prefix.Address));
        AttachEvent attach = Assert.IsType<AttachEvent>(Assert.Single(scenario.Network));
        Assert.Equal(
            [AddressType.Fixed, AddressType.SessionLasting, AddressType.Nonpersistent, AddressType.GracefulReplacement],
            attach.Prefixes.Select(given => given.Type).Order());
        Assert.All(attach.Prefixes, given => Assert.DoesNotContain(inspector.Report.Hosts, host => given.Prefix.Contains(host.Address)));
        Assert.Equal(AddressType.None, scenario.Policy.Default);
    }

    [Fact]
    public async Task The_example_of_a_move_is_valid_once_its_comment_signs_are_gone()
    {
        Inspector inspector = await Inspect(await Read("four-types"));
        string text = Text(inspector.Scenario!);

        int begin = text.IndexOf("  # - at: ", StringComparison.Ordinal);
        int end = text.IndexOf("\npolicy:", StringComparison.Ordinal);
        string moved = text[..begin] + text[begin..end].Replace("  # ", "  ", StringComparison.Ordinal) + text[end..];
        Scenario scenario = ScenarioReaderTests.Parse(moved);

        Assert.Equal(2, scenario.Network.Count);
        Assert.Equal("ar2", Assert.IsType<AttachEvent>(scenario.Network[1]).Name);
        Assert.InRange(scenario.Network[1].At.Nanoseconds, 5_900_000_000, 6_100_000_000);   // the capture is twelve seconds long
    }

    [Fact]
    public async Task What_came_in_unasked_gets_a_rule_for_each_of_its_ports()
    {
        Inspector inspector = await Inspect(await Read("server"));
        ServicePolicy policy = inspector.Scenario!.Scenario.BuildPolicy();

        ScenarioInbound[] rules = [.. inspector.Scenario.Scenario.Policy.Inbound];
        Assert.Contains(new ScenarioInbound { Protocol = 6, LocalPort = new PortRange(8080) }, rules);
        Assert.Contains(new ScenarioInbound { Protocol = 17, LocalPort = new PortRange(5300) }, rules);
        Assert.Contains(new ScenarioInbound { Protocol = 58 }, rules);
        foreach (FlowSummary flow in inspector.Report.Flows.Where(flow => flow.Direction == "inbound"))
        {
            Assert.True(ScenarioText.TryProtocol(flow.Protocol, out byte protocol));
            var facts = new FlowFacts(protocol, flow.Destination, flow.DestinationPort, flow.Source, flow.SourcePort);
            Assert.All(Enum.GetValues<AddressType>(), type => Assert.True(policy.AllowsInbound(type, facts, out _)));
        }
    }

    [Fact]
    public async Task Who_opened_a_flow_is_told_by_its_packets()
    {
        byte[] capture = new MadeCapture()
            .Tcp("fd00::1", 1000, "2001:db8::80", 443, Syn)
            .Tcp("2001:db8::80", 443, "fd00::1", 1000, SynAck)
            .Tcp("fd00::1", 22, "2001:db8::22", 5000, SynAck)          // the SYN was not captured
            .Tcp("2001:db8::25", 25, "fd00::1", 40000, Ack)            // picked up in the middle: port 25 is the server's
            .Echo("fd00::1", "2001:db8::1", 129, 7)                    // an answer: the other end asked
            .Udp("2001:db8::53", 53, "fd00::1", 5353)
            .ToArray();

        InspectionReport report = (await Inspect(capture)).Report;

        Assert.Equal(
            ["tcp outbound 443", "tcp inbound 22", "tcp outbound 25", "icmpv6 inbound 7", "udp inbound 5353"],
            report.Flows.Select(flow => $"{flow.Protocol} {flow.Direction} {(flow.Protocol == "icmpv6" ? flow.SourcePort : flow.DestinationPort)}"));
        Assert.Equal(2, report.Flows[0].Packets);
    }

    [Fact]
    public async Task Without_unique_local_addresses_the_common_end_of_the_flows_is_internal()
    {
        byte[] capture = new MadeCapture()
            .Udp("2001:db8:1::80", 80, "2001:db8:2::5", 1, hopLimit: 55)
            .Udp("2001:db8:2::5", 2, "2001:db8:1::81", 80)
            .Udp("2001:db8:2::6", 3, "2001:db8:1::81", 80)
            .Udp("2001:db8:2::5", 4, "2001:db8:1::82", 80)
            .ToArray();

        InspectionReport report = (await Inspect(capture)).Report;

        Assert.Equal(["2001:db8:2::5", "2001:db8:2::6"], report.Internal.Select(guess => guess.Address.ToString()));
        Assert.Contains("3 of 4 flows and opened 2; no router has lowered the Hop Limit", report.Internal[0].Reason, StringComparison.Ordinal);
        Assert.Contains("in the /64 of the first", report.Internal[1].Reason, StringComparison.Ordinal);
        Assert.False(report.Hosts.Single(host => host.Address == IpAddress.Parse("2001:db8:1::80")).IsUnrouted);
    }

    [Fact]
    public async Task Two_ends_of_one_flow_are_never_both_internal()
    {
        byte[] capture = new MadeCapture().Udp("fd00::1", 1, "fd00::2", 2).Udp("fd00::1", 1, "fd00::3", 2).Udp("fd00::3", 2, "fd00::1", 1).ToArray();

        Assert.Equal(["fd00::1"], (await Inspect(capture)).Report.Internal.Select(guess => guess.Address.ToString()));
    }

    [Fact]
    public async Task Prefixes_that_occur_in_the_capture_are_not_chosen()
    {
        byte[] capture = new MadeCapture().Udp("fd00::1", 1, "2001:db8:a100::1", 2).Udp("fd00::1", 1, "2001:db8:a103:7::1", 2).ToArray();

        Scenario scenario = (await Inspect(capture)).Scenario!.Scenario;

        Assert.Equal(
            ["2001:db8:a101::/64", "2001:db8:a102::/64", "2001:db8:a104::/64", "2001:db8:a105::/64"],
            Assert.IsType<AttachEvent>(scenario.Network[0]).Prefixes.Select(given => given.Prefix.ToString()));
    }

    [Fact]
    public async Task Very_many_open_ports_become_one_rule_for_each_protocol()
    {
        var capture = new MadeCapture();
        for (ushort port = 1; port <= 300; port++)
        {
            capture.Udp("2001:db8::1", 9, "fd00::1", port).Udp("fd00::1", port, "2001:db8::1", 9);
        }

        StartingScenario scenario = (await Inspect(capture.ToArray())).Scenario!;

        Assert.Equal([new ScenarioInbound { Protocol = 17 }], scenario.Scenario.Policy.Inbound);
        Assert.Contains("whole protocols may come in", Text(scenario), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_finds_no_room_is_counted_and_said()
    {
        var capture = new MadeCapture();
        for (ushort port = 1; port <= 100; port++)
        {
            capture.Udp("fd00::1", port, $"2001:db8::{port:x}", 9);
        }

        InspectionReport report = (await Inspect(capture.ToArray(), new InspectionLimits(Hosts: 10, Flows: 20))).Report;

        Assert.Equal((100, 10, 20), (report.Packets, report.Hosts.Count, report.Flows.Count));
        Assert.Equal(91, report.HostsNotTracked);
        Assert.Equal(80, report.FlowsNotTracked);
        using var text = new StringWriter();
        InspectionTable.Write(text, report);
        Assert.Contains("More hosts than can be remembered: 91 packets of others", text.ToString(), StringComparison.Ordinal);
        Assert.Contains("More flows than can be remembered: 80 packets of others", text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fragments_errors_and_what_is_not_ipv6_are_counted()
    {
        InspectionReport errors = (await Inspect(await Read("icmp-errors"))).Report;
        InspectionReport fragments = (await Inspect(await Read("fragmented-udp"))).Report;

        Assert.Equal(["destination-unreachable", "packet-too-big", "time-exceeded"], errors.Errors.Select(error => error.Name));
        Assert.Equal(errors.Errors.Sum(error => error.Count), errors.Kinds.Single(kind => kind.Name == "icmpv6-errors").Count);
        Assert.InRange(fragments.Kinds.Single(kind => kind.Name == "fragments").Count, 2, fragments.Packets);
        Assert.Equal(fragments.Packets, fragments.Kinds.Where(kind => kind.Name is "ipv6" or "not-ipv6").Sum(kind => kind.Count));
    }

    [Fact]
    public async Task Every_public_capture_is_inspected_whatever_is_wrong_with_it()
    {
        Assert.SkipUnless(Shared.Captures is not null, "The shared captures are not beside the repository.");
        foreach (string path in Directory.GetFiles(Shared.Captures, "*.pcap*"))
        {
            Inspector inspector = await Inspect(await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken));
            using var text = new StringWriter();
            InspectionTable.Write(text, inspector.Report);
            Assert.NotEmpty(text.ToString());
            if (inspector.Scenario is { } scenario)
            {
                Assert.NotEmpty(ScenarioReaderTests.Parse(Text(scenario)).Internal);
            }
        }
    }

    [Fact]
    public async Task The_json_has_its_documented_shape()
    {
        using var output = new MemoryStream();
        InspectionJson.Write(output, (await Inspect(new MadeCapture().Udp("fd00::1", 1, "2001:db8::1", 2).ToArray())).Report);

        using JsonDocument json = JsonDocument.Parse(output.ToArray());
        Assert.Equal(
            [
                "input", "format", "packets", "octets", "cutPackets", "from", "to", "outOfOrder", "linkTypes", "kinds", "errors", "hosts", "flows",
                "hostsNotTracked", "flowsNotTracked", "internal",
            ],
            json.RootElement.EnumerateObject().Select(property => property.Name));
        Assert.Equal("1700000000.000000000", json.RootElement.GetProperty("from").GetString());
        Assert.Equal("fd00::1", json.RootElement.GetProperty("internal")[0].GetProperty("address").GetString());
        Assert.Equal("outbound", json.RootElement.GetProperty("flows")[0].GetProperty("direction").GetString());
    }

    [Fact]
    public async Task The_table_is_as_it_was_approved()
    {
        byte[] capture = new MadeCapture()
            .Tcp("fd00::1", 1000, "2001:db8::80", 443, Syn)
            .Tcp("2001:db8::80", 443, "fd00::1", 1000, SynAck, hopLimit: 57)
            .Echo("2001:db8::9", "fd00::1", 128, 7)
            .Packet("fe80::1", "ff02::1", 58, [134, 0, 0, 0, 0, 0, 0, 0], 255)
            .ToArray();
        using var text = new StringWriter();

        InspectionTable.Write(text, (await Inspect(capture)).Report);

        Assert.Equal(
            """
            made.pcap: pcap, 4 packets, 216B, 3.000s from 1700000000.000000000 to 1700000003.000000000
              Link types: raw 4
              Packets: ipv6 4, link-scope 1, neighbor-discovery 1

            Hosts (* likely internal)
              address         sent  received  size  flows  opened  hop limit
              * fd00::1          1         2  168B      2       1  initial
                2001:db8::80     1         1  120B      1       0  lowered
                2001:db8::9      1         0   48B      1       1  initial

            Flows (in the direction in which they were opened)
              proto   from           to                direction   first    last  packets  size
              tcp     fd00::1.1000   2001:db8::80.443  outbound   0.000s  1.000s        2  120B
              icmpv6  2001:db8::9.7  fd00::1           inbound    2.000s  2.000s        1   48B

            Likely internal addresses
              fd00::1: a unique local address, which stays behind the capture point (RFC 4193); it is an end of 2 of 2 flows and opened 1

            """,
            text.ToString());
    }

    private static async Task<byte[]> Read(string name)
    {
        string folder = Path.Combine(Repository.Root, "captures", name);
        return await File.ReadAllBytesAsync(Directory.GetFiles(folder, "input.pcap*").Single(), TestContext.Current.CancellationToken);
    }

    private static async Task<Inspector> Inspect(byte[] capture, InspectionLimits? limits = null)
    {
        using var input = new MemoryStream(capture);
        return await Inspector.InspectAsync("made.pcap", input, limits ?? InspectionLimits.Default, TestContext.Current.CancellationToken);
    }

    private static string Text(StartingScenario scenario)
    {
        using var output = new StringWriter();
        scenario.Write(output);
        return output.ToString();
    }
}
