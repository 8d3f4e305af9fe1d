using System.Text;
using System.Text.Json;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Wire;
using Xunit;
using static OnDemand.Captures.Tests.Replay.MadePackets;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Captures of every shape, inside and outside.</summary>
public sealed class MadeCaptureTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Captures_of_every_shape_keep_their_packets_places_and_times_and_satisfy_the_oracle()
    {
        Judge.SkipUnlessThere();
        using Judge judge = new();
        foreach ((string name, byte[] octets) in MadeCaptures.All())
        {
            ReplayOf replay = await ReplayOf.RunAsync(octets, MadeCaptures.Scenario);
            Assert.True(replay.Report.Verification!.Passed, name);
            Assert.Null(replay.Result.Damage);

            // The host saw what the capture, taken on it, shows.
            Assert.True(octets.AsSpan().SequenceEqual(replay.Host), $"{name}: {await CaptureDifference.FirstAsync(octets, replay.Host)}");
            Assert.False(octets.AsSpan().SequenceEqual(replay.Output), name);
            judge.Add(name, octets, replay, strict: true);
        }

        IReadOnlyList<Judgment> judgments = await judge.AskAsync();

        Assert.True(judgments.All(judgment => judgment.Ok), string.Join('\n', judgments.Where(judgment => !judgment.Ok)));
    }

    [Fact]
    public async Task What_inside_made_of_a_capture_outside_makes_into_the_capture_again()
    {
        const string Network = """
            network: [{at: 0s, attach: ar1, prefixes: [{prefix: "3fff:ffff:0:1::/64", type: session-lasting}]}]
            policy: {default: session-lasting, inbound: [{type: session-lasting}]}
            """;
        IEnumerable<(string Name, byte[] Octets)> shipped = ShippedScenario.Captures.Select(path => (path, File.ReadAllBytes(path)));
        foreach ((string name, byte[] octets) in shipped.Concat(MadeCaptures.All()))
        {
            string inside = name.StartsWith('/') ? "internal: [\"fd00:db8::1\", \"fd00:db8::2\"]\n" : "internal: [\"fd00::1\"]\n";
            ReplayOf there = await ReplayOf.RunAsync(octets, inside + Network);
            Assert.Equal(0, there.Report.Totals.Dropped);

            ReplayOf back = await ReplayOf.RunAsync(there.Output, $"{inside}{Outside(there)}\n{Network}", options => options with { TakenOutside = true });

            Assert.True(back.Report.Verification!.Passed, $"{name}: {string.Join("; ", back.Report.Verification.Examples)}");
            Assert.True(octets.AsSpan().SequenceEqual(back.Output), $"{name}: {await CaptureDifference.FirstAsync(octets, back.Output)}");
            Assert.False(octets.AsSpan().SequenceEqual(there.Output), name);
        }
    }

    [Fact]
    public async Task A_hairpin_goes_to_the_other_host_and_not_to_the_network()
    {
        byte[] question = Udp("fd00::1", 5000, "2001:db8:f1::7", 53);

        ReplayOf replay = await ReplayOf.RunAsync(
            MadeCaptures.Pcap([question]),
            """
            internal: ["fd00::2", "fd00::1"]
            network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:f1::7/128", type: fixed}, {prefix: "2001:db8:51::/64", type: session-lasting}]}]
            policy: {default: session-lasting}
            """);

        Assert.Empty(await ReplayOf.PacketsAsync(replay.Output));
        IReadOnlyList<SeenPacket> host = await ReplayOf.PacketsAsync(replay.Host);
        Assert.Equal(2, host.Count);
        Assert.Equal(question, host[0].Data);
        Assert.Equal("fd00::2", IpAddress.Read(host[1].Data.AsSpan(24)).ToString());
        Assert.True(IpPrefix.Parse("2001:db8:51::/64").Contains(IpAddress.Read(host[1].Data.AsSpan(8))));
        Assert.True(IsRight(host[1].Data));
    }

    [Fact]
    public async Task An_answer_to_what_never_left_is_left_out_even_if_another_type_would_let_it_in()
    {
        IReadOnlyList<byte[]> fragments = Fragments(Remote, 53, Host, 5000, 3, 3);
        byte[] capture = MadeCaptures.Pcap([Udp(Host, 5000, Remote, 53), fragments[1], fragments[0], fragments[2], Udp(Remote, 53, Host, 5000), Udp(Remote, 9, Host, 9)]);

        ReplayOf replay = await ReplayOf.RunAsync(
            capture,
            """
            internal: ["fd00::1"]
            network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:f1::/64", type: fixed}]}]
            policy: {default: session-lasting}
            """);

        SeenPacket visitor = Assert.Single(await ReplayOf.PacketsAsync(replay.Output));
        Assert.Equal(9, visitor.Data[41]);
        Assert.Equal(4, replay.Report.DropReasons.Single(reason => reason.Name == "no-typed-address").Count);
        Assert.Equal("the network does not have the type", Assert.Single(replay.Report.Flows, flow => flow.LocalPort == 5000).Events[0].Detail);
    }

    [Fact]
    public async Task A_flow_of_its_own_is_counted_for_each_of_fifty_thousand_of_which_ten_thousand_are_listed()
    {
        const int Flows = 50_000;
        byte[] capture = MadeCaptures.Pcap(Enumerable.Range(0, Flows).Select(i => Udp(Host, 10_000 + (i % 50_000), Remote, 53, length: 1)));

        ReplayOf replay = await ReplayOf.RunAsync(capture, MadeCaptures.Scenario);

        Assert.Equal(Flows, replay.Report.Totals.Flows);
        Assert.Equal(10_000, replay.Report.Flows.Count);
        Assert.Equal(Flows - 10_000, replay.Report.FlowsLeftOut);
        Assert.Equal(Flows, replay.Report.Totals.Rewritten);
        using JsonDocument translations = JsonDocument.Parse(replay.Translations);
        Assert.Equal(Flows, translations.RootElement.GetProperty("entries").GetArrayLength());
    }

    [Fact]
    public async Task Packets_that_wait_do_not_wander_into_a_section_that_has_no_such_interface()
    {
        byte[] ask = Udp(Host, 5000, Remote, 53);
        byte[] first = new Files.CaptureBytes(false).Section().Interface(101).Interface(101).Enhanced(1, 1_700_000_000_000_000, ask).ToArray();
        byte[] second = new Files.CaptureBytes(false).Section().Interface(101).Enhanced(0, 1_700_000_001_000_000, Udp("2001:db8::3", 1, "2001:db8::4", 2)).ToArray();

        foreach (string answer in (string[])["grant, prefix: \"2001:db8:51::/64\"", "refuse"])
        {
            ReplayOf replay = await ReplayOf.RunAsync(
                [.. first, .. second],
                $$"""
                internal: ["fd00::1"]
                network: [{at: 0s, attach: ar1}]
                on-demand: {session-lasting: {answer: {{answer}}, delay: 500ms} }
                policy: {default: session-lasting}
                """);

            Assert.Null(replay.Result.Failure);
            Assert.Equal(1, Assert.Single(await ReplayOf.PacketsAsync(replay.Output)).Data[41]);
            Assert.Equal(2, (await ReplayOf.PacketsAsync(replay.Host)).Count);
        }
    }

    [Theory]
    [InlineData("10s")]
    [InlineData("infinite")]
    public async Task What_waits_for_the_network_goes_out_when_it_has_answered_however_long_it_may_take(string longest)
    {
        byte[] ask = Udp(Host, 5000, Remote, 53);

        ReplayOf replay = await ReplayOf.RunAsync(
            MadeCaptures.Pcap([ask, ask, ask, Udp(Host, 5001, Remote, 53), ask, Udp(Remote, 53, Host, 5000)], gap: 1),
            $$"""
            internal: ["fd00::1"]
            network: [{at: 0s, attach: ar1}]
            on-demand: {session-lasting: {answer: grant, prefix: "2001:db8:51::/64", delay: 3500ms} }
            policy: {default: session-lasting}
            timers: {answer: {{longest}}}
            """);

        Assert.Equal(6, (await ReplayOf.PacketsAsync(replay.Output)).Count);
        Assert.Equal((4, 6), (replay.Report.Totals.Held, replay.Report.Totals.Rewritten));
    }

    [Theory]
    [InlineData("5s")]
    [InlineData("infinite")]
    public async Task Fragments_wait_for_their_first_one_however_long_they_may(string longest)
    {
        IReadOnlyList<byte[]> outward = Fragments(Host, 5001, Remote, 53, 7, 3);

        ReplayOf replay = await ReplayOf.RunAsync(
            MadeCaptures.Pcap([outward[1], outward[2], Udp(Host, 5000, Remote, 53), outward[0]], gap: 1),
            MadeCaptures.Scenario + $"\ntimers: {{fragment: {longest}}}\n");

        Assert.Equal([17, 17, 17, 17], (await ReplayOf.PacketsAsync(replay.Output)).Select(packet => packet.Data[6] == 44 ? packet.Data[40] : packet.Data[6]));
        Assert.Equal(4, replay.Report.Totals.Rewritten);
    }

    // A machine without a clock of its own begins in 1970, until somebody tells it the time.
    [Theory]
    [InlineData(0)]
    [InlineData(1_700_000_000 - (10 * 365 * 86_400))]
    [InlineData(1_700_000_000 - 1_000)]
    public async Task Flows_fall_idle_however_far_the_clock_has_jumped(int first)
    {
        Files.CaptureBytes file = new Files.CaptureBytes(false).PcapHeader(network: 101);
        foreach (int second in (int[])[first, 1_700_000_000, 1_700_000_200, 1_700_000_600])
        {
            file.PcapRecord((uint)second, 0, Udp(Host, 5000, Remote, 53)).PcapRecord((uint)second, 1, Udp(Host, 5001, Remote, 53));
        }

        ReplayOf replay = await ReplayOf.RunAsync(file.ToArray(), MadeCaptures.Scenario);

        Assert.Equal(6, replay.Report.Totals.Flows);     // each falls idle after 300 seconds
        Assert.Equal(
            [first + 300, 1_700_000_500],
            replay.Report.Flows.Where(flow => flow.LocalPort == 5000).SelectMany(flow => flow.Events).Where(happened => happened.What == FlowEventKind.Expired)
                .Select(happened => (int)((happened.Time.Nanoseconds + 500_000_000) / 1_000_000_000)));
    }

    [Fact]
    public async Task A_capture_that_ends_within_a_large_block_is_damaged_and_nothing_is_added_there()
    {
        byte[] whole = new Files.CaptureBytes(false).Section().Interface(101).Enhanced(0, 1_700_000_000_000_000, Udp(Host, 5000, Remote, 53))
            .Block(0x0BAD, new byte[3 << 20]).ToArray();

        ReplayOf replay = await ReplayOf.RunAsync(
            whole[..^100],
            """
            internal: ["fd00::1"]
            network: [{at: 0s, attach: ar1}]
            on-demand: {session-lasting: {answer: refuse, delay: 500ms} }
            policy: {default: session-lasting}
            """);

        Assert.NotNull(replay.Result.Damage);
        Assert.Equal((1, 1), (replay.Report.Totals.Replies, replay.Report.Totals.PacketsToHost));
    }

    [Fact]
    public async Task A_place_is_not_kept_for_ever_and_its_packet_comes_later_then()
    {
        const int Large = 65_000;
        IReadOnlyList<byte[]> fragments = Fragments(Remote, 53, Host, 5000, 3, 2);
        byte[] filler = Udp(Host, 5000, Remote, 53, Large);
        byte[][] packets = [Udp(Host, 5000, Remote, 53), fragments[1], .. Enumerable.Repeat(filler, 1_100), fragments[0], Udp(Remote, 53, Host, 5000)];

        ReplayOf replay = await ReplayOf.RunAsync(MadeCaptures.Pcap(packets), MadeCaptures.Scenario);

        IReadOnlyList<SeenPacket> output = await ReplayOf.PacketsAsync(replay.Output);
        Assert.Equal(packets.Length, output.Count);
        int[] fragmentsAt = [.. output.Index().Where(packet => packet.Item.Data[6] == 44).Select(packet => packet.Index)];
        Assert.Equal([packets.Length - 3, packets.Length - 2], fragmentsAt);
        Assert.All(fragmentsAt, at => Assert.True(IpPrefix.Parse("3fff:ffff:0:1::/64").Contains(IpAddress.Read(output[at].Data.AsSpan(24)))));
    }

    private static string Outside(ReplayOf there)
    {
        using JsonDocument document = JsonDocument.Parse(there.Translations);
        var text = new StringBuilder("outside: {");
        HashSet<string> seen = [];
        foreach (JsonElement entry in document.RootElement.GetProperty("entries").EnumerateArray())
        {
            string typed = entry.GetProperty("typed").GetString()!;
            if (seen.Add(typed))
            {
                text.Append(seen.Count > 1 ? ", " : string.Empty).Append('"').Append(typed).Append("\": \"").Append(entry.GetProperty("internal").GetString()).Append('"');
            }
        }

        return text.Append('}').ToString();
    }
}
