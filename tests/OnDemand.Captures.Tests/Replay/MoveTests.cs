using System.Globalization;
using System.Text.Json;
using OnDemand.Captures.Link;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Tests.Files;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>What moves do to packets, read from OUT with nothing of the engine.</summary>
public sealed class MoveTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_packet_of_every_shipped_scenario_has_just_the_address_that_the_translations_claim_for_its_time()
    {
        Judge.SkipUnlessThere();
        using Judge judge = new();
        List<ReportTotals> totals = [];
        foreach (ShippedScenario shipped in ShippedScenario.All)
        {
            ReplayOf replay = await ReplayOf.ShippedAsync(shipped);
            judge.Add(shipped.Name, await File.ReadAllBytesAsync(shipped.InputPath, Stop), replay, strict: false, moves: true);
            totals.Add(replay.Report.Totals);
        }

        IReadOnlyList<Judgment> judgments = await judge.AskAsync();

        Judgment[] refused = [.. judgments.Where(judgment => !judgment.Ok)];
        Assert.True(refused.Length == 0, string.Join('\n', refused.Select(judgment => judgment.ToString())));
        Assert.All(judgments.Zip(totals), pair =>
        {
            // Left out is only what was dropped, and what waited, once on each side.
            (Judgment judgment, ReportTotals total) = pair;
            Assert.Equal(total.PacketsRead - total.PacketsWritten, judgment.LeftOutOfInput - judgment.LeftOutOfOutput);
            Assert.InRange(judgment.LeftOutOfOutput, 0, total.Held);
            Assert.True(judgment.Rewritten > 0, judgment.Name);
        });
    }

    [Fact]
    public async Task No_checksum_that_tshark_calls_good_becomes_bad_in_any_shipped_scenario()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("checksums");
        try
        {
            foreach (ShippedScenario shipped in ShippedScenario.All)
            {
                ReplayOf replay = await ReplayOf.ShippedAsync(shipped);
                int before = await BadChecksumsAsync(shipped.InputPath);
                foreach (byte[] file in (byte[][])[replay.Output, replay.Host])
                {
                    string path = Path.Combine(folder.FullName, "out");
                    await File.WriteAllBytesAsync(path, file, Stop);
                    int after = await BadChecksumsAsync(path);

                    // The offload capture has partial sums, which tshark calls bad; nothing else has any.
                    Assert.True(after <= before, $"{shipped.Name}: {before} bad checksums became {after}.");
                }
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory]
    [InlineData("four-types/move", "2001:db8:a1:1::/64", 4.0)]
    [InlineData("four-types/move", "2001:db8:91:1::/64", 7.0)]
    [InlineData("four-types/move", "2001:db8:a2:1::/64", 8.0)]
    [InlineData("four-types/legacy", "2001:db8:a1:1::/64", 4.0)]
    [InlineData("four-types/detach", "2001:db8:a1:1::/64", 4.0)]
    [InlineData("four-types/detach", "2001:db8:91:1::/64", 8.0)]
    [InlineData("four-types/graceful-at-once", "2001:db8:91:1::/64", 8.0)]
    [InlineData("four-types/withdraw", "2001:db8:a1:1::/64", 3.0)]
    [InlineData("four-types/withdraw", "2001:db8:91:1::/64", 8.0)]
    [InlineData("four-types/withdraw", "2001:db8:51:1::/64", 8.0)]
    [InlineData("four-types/withdraw", "2001:db8:f1::7/128", 10.0)]
    [InlineData("web-download/nonpersistent", "2001:db8:a1:1::/64", 0.3)]
    [InlineData("web-download/graceful", "2001:db8:91:1::/64", 0.8)]
    [InlineData("interactive/graceful", "2001:db8:91:1::/64", 25.0)]
    [InlineData("fragmented-udp/graceful", "2001:db8:91:1::/64", 3.8)]
    [InlineData("fragmented-udp/mid-datagram", "2001:db8:a1:1::/64", 2.999908)]
    [InlineData("dns/nonpersistent", "2001:db8:a1:1::/64", 2.5)]
    [InlineData("message-flow/draft17", "2001:db8:a1:1::/64", 3.5)]
    [InlineData("icmp-errors/nonpersistent", "2001:db8:a1:1::/64", 8.85)]
    [InlineData("icmp-errors/nonpersistent", "2001:db8:a2:1::/64", 11.0)]
    [InlineData("two-hosts/by-address", "2001:db8:a1:1::/64", 3.2)]
    public async Task After_its_end_no_packet_has_an_address_of_a_prefix_and_before_it_some_have(string name, string prefix, double end)
    {
        OutsidePacket[] packets = await OutputAsync(name);
        var ended = IpPrefix.Parse(prefix);
        bool HasIt(OutsidePacket packet) => ended.Contains(packet.Source) || ended.Contains(packet.Destination);

        Assert.Contains(packets, packet => packet.Seconds < end && HasIt(packet));
        Assert.DoesNotContain(packets, packet => packet.Seconds >= end && HasIt(packet));
    }

    [Theory]
    [InlineData("four-types/move", 41004, 4.0, 7.0, "2001:db8:91:1::/64")]
    [InlineData("four-types/graceful-at-once", 41001, 4.0, 8.0, "2001:db8:91:1::/64")]
    [InlineData("web-download/graceful", 40080, 0.3, 0.8, "2001:db8:91:1::/64")]
    [InlineData("interactive/graceful", 35452, 10.0, 25.0, "2001:db8:91:1::/64")]
    [InlineData("four-types/move", 41001, 0.0, 12.0, "2001:db8:f1::7/128")]
    [InlineData("four-types/move", 41002, 0.0, 12.0, "2001:db8:51:1::/64")]
    [InlineData("interactive/session-lasting", 35452, 0.0, 44.0, "2001:db8:51:1::/64")]
    [InlineData("web-download/session-lasting", 40080, 0.0, 2.0, "2001:db8:51:1::/64")]
    public async Task While_its_address_is_there_no_packet_of_a_tcp_flow_is_lost_and_every_one_has_it(
        string name, int localPort, double from, double to, string prefix)
    {
        var shipped = new ShippedScenario($"captures/{name}.yaml");
        OutsidePacket[] before = [.. Read(await ReplayOf.PacketsAsync(await File.ReadAllBytesAsync(shipped.InputPath, Stop))).Where(Is)];

        OutsidePacket[] after = [.. (await OutputAsync(name)).Where(Is)];

        bool Is(OutsidePacket packet) =>
            packet.Protocol == 6 && packet.Seconds >= from && packet.Seconds < to && (packet.SourcePort == localPort || packet.DestinationPort == localPort);
        Assert.True(before.Length > 10, $"Only {before.Length} packets.");
        Assert.Equal(before.Length, after.Length);
        var typed = IpPrefix.Parse(prefix);
        Assert.All(after, packet => Assert.True(typed.Contains(packet.SourcePort == localPort ? packet.Source : packet.Destination)));
    }

    [Theory]
    [MemberData(nameof(ShippedScenario.Names), MemberType = typeof(ShippedScenario))]
    public async Task A_tcp_connection_never_has_two_addresses_and_none_is_internal(string name)
    {
        OutsidePacket[] packets = await OutputAsync(Path.ChangeExtension(Path.GetRelativePath("captures", name), null));
        var hosts = IpPrefix.Parse("fd00:db8::/120");

        // The router's own end of the link is in the same prefix, ff; link-scope packets between the two stay as they are.
        Assert.DoesNotContain(packets, packet => packet.Protocol is 6 or 17 && (hosts.Contains(packet.Source) || hosts.Contains(packet.Destination)));
        var connections = packets.Where(packet => packet.Protocol == 6)
            .Select(packet => (packet.SourcePort, packet.DestinationPort) is var ports && packet.Source.ToString().StartsWith("2001:db8:5::", StringComparison.Ordinal)
                ? (Host: packet.Destination, Local: packet.DestinationPort, Remote: packet.SourcePort) : (Host: packet.Source, Local: packet.SourcePort, Remote: packet.DestinationPort))
            .GroupBy(end => (end.Local, end.Remote));
        int hostsOfCapture = name.Contains("two-hosts", StringComparison.Ordinal) ? 2 : 1;
        if (!name.Contains("server/", StringComparison.Ordinal) && !name.Contains("icmp-errors", StringComparison.Ordinal))
        {
            Assert.All(connections, connection => Assert.InRange(connection.Select(end => end.Host).Distinct().Count(), 1, hostsOfCapture));
        }
    }

    [Fact]
    public async Task Translations_of_one_flow_do_not_overlap_and_end_with_their_prefix()
    {
        ReplayOf replay = await ReplayOf.ShippedAsync(new ShippedScenario("captures/four-types/detach.yaml"));
        using JsonDocument document = JsonDocument.Parse(replay.Translations);
        static decimal Seconds(JsonElement entry, string name) => decimal.Parse(entry.GetProperty(name).GetString()!, CultureInfo.InvariantCulture);
        decimal start = decimal.Parse(ReportText.Seconds(replay.Report.From), CultureInfo.InvariantCulture);

        JsonElement[] entries = [.. document.RootElement.GetProperty("entries").EnumerateArray()
            .Where(entry => entry.TryGetProperty("local_port", out JsonElement port) && port.GetInt32() == 42003)];

        Assert.Equal(2, entries.Length);
        Assert.Equal(4m, Seconds(entries[0], "to") - start);
        Assert.True(Seconds(entries[1], "from") - start > 6m);
        Assert.Equal(JsonValueKind.Null, entries[1].GetProperty("to").ValueKind);
    }

    private static async Task<OutsidePacket[]> OutputAsync(string name)
    {
        ReplayOf replay = await ReplayOf.ShippedAsync(new ShippedScenario($"captures/{name}.yaml"));
        return [.. Read(await ReplayOf.PacketsAsync(replay.Output), replay.Report.From.Nanoseconds)];
    }

    private static IEnumerable<OutsidePacket> Read(IReadOnlyList<SeenPacket> packets, long? start = null)
    {
        long first = start ?? packets[0].Time!.Value;
        foreach (SeenPacket packet in packets)
        {
            if (LinkLayer.TryFindIpv6(packet.LinkType, packet.Data, out int at))
            {
                ReadOnlySpan<byte> data = packet.Data.AsSpan(at);
                bool ports = data[6] is 6 or 17;
                yield return new OutsidePacket(
                    (packet.Time!.Value - first) / 1e9, data[6], IpAddress.Read(data[8..]), IpAddress.Read(data[24..]),
                    ports ? (data[40] << 8) | data[41] : 0, ports ? (data[42] << 8) | data[43] : 0);
            }
        }
    }

    private static async Task<int> BadChecksumsAsync(string path)
    {
        string? output = await Tool.RunAsync(
            "tshark", "-n", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "frame.number",
            "-Y", "tcp.checksum.status==0 || udp.checksum.status==0 || icmpv6.checksum.status==0");
        Assert.SkipWhen(output is null, "tshark is not installed.");
        return output!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
    }

    private sealed record OutsidePacket(double Seconds, int Protocol, IpAddress Source, IpAddress Destination, int SourcePort, int DestinationPort);
}
