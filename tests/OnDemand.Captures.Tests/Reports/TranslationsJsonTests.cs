using System.Text;
using System.Text.Json;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Tests.Files;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Reports;

public class TranslationsJsonTests
{
    private static readonly Translation Tcp = new(
        IpAddress.Parse("fd00:db8::1"), IpAddress.Parse("2001:db8:a1:1::5"), new Timestamp(1_700_000_000_000_000_001), new Timestamp(1_700_000_002_500_000_000), 6,
        50_000, IpAddress.Parse("2001:db8:9::80"), 443);

    [Fact]
    public void An_entry_has_every_name_that_the_format_asks_for()
    {
        using JsonDocument map = JsonDocument.Parse(Json(TranslationDirection.Engine, Tcp));

        Assert.Equal("engine", map.RootElement.GetProperty("direction").GetString());
        JsonElement entry = Assert.Single(map.RootElement.GetProperty("entries").EnumerateArray());
        Assert.Equal(
            """{"internal":"fd00:db8::1","typed":"2001:db8:a1:1::5","from":"1700000000.000000001","to":"1700000002.500000000","proto":"tcp","local_port":50000,"peer":"2001:db8:9::80","peer_port":443}""",
            JsonSerializer.Serialize(entry));
    }

    [Fact]
    public void Protocols_without_ports_have_none_and_an_open_end_is_null()
    {
        using JsonDocument map = JsonDocument.Parse(Json(
            TranslationDirection.Out, Tcp with { Protocol = 58, To = null }, Tcp with { Protocol = 253 }));

        JsonElement echo = map.RootElement.GetProperty("entries")[0];
        Assert.Equal("icmpv6", echo.GetProperty("proto").GetString());
        Assert.Equal(JsonValueKind.Null, echo.GetProperty("to").ValueKind);
        Assert.False(echo.TryGetProperty("local_port", out _));
        Assert.False(map.RootElement.GetProperty("entries")[1].TryGetProperty("proto", out _));
    }

    [Fact]
    public void Many_entries_go_out_as_they_come()
    {
        using var output = new MemoryStream();
        using (var translations = new TranslationsJson(output, TranslationDirection.In))
        {
            for (int i = 0; i < 2_000; i++)
            {
                translations.Add(Tcp);
            }

            Assert.InRange(output.Length, 100_000, long.MaxValue);
            Assert.Equal(2_000, translations.Count);
        }

        using JsonDocument map = JsonDocument.Parse(output.ToArray());
        Assert.Equal(2_000, map.RootElement.GetProperty("entries").GetArrayLength());
    }

    [Fact]
    public async Task The_independent_checker_reads_the_format()
    {
        Assert.SkipUnless(Shared.Oracles is not null && Shared.Captures is not null, "The shared checker and captures are not beside the repository.");
        string checker = Path.Combine(Shared.Oracles, "check_replay.py");
        string capture = Path.Combine(Shared.Captures, "sharppcap__ipv6_http.pcap");
        DirectoryInfo folder = Directory.CreateTempSubdirectory("ondemand-translations");
        try
        {
            string map = Path.Combine(folder.FullName, "map.json");
            string made = Path.Combine(folder.FullName, "made.pcap");
            var entry = new Translation(
                IpAddress.Parse("2001:6f8:102d:0:2d0:9ff:fee3:e8de"), IpAddress.Parse("2001:db8:a1:1::5"), new Timestamp(0), null, 6, 59_201,
                IpAddress.Parse("2001:6f8:900:7c0::2"), 80);
            await File.WriteAllTextAsync(map, Json(TranslationDirection.Out, entry), TestContext.Current.CancellationToken);

            string? emitted = await Tool.RunAsync("python3", checker, "--emit", made, "--orig", capture, "--map", map);
            Assert.SkipUnless(emitted is not null, "python3 is not installed.");
            Assert.NotNull(await Tool.RunAsync("python3", checker, "--new", made, "--orig", capture, "--map", map));
            Assert.True((await File.ReadAllBytesAsync(made, TestContext.Current.CancellationToken)).AsSpan().IndexOf(Octets(entry.Typed)) > 0);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static byte[] Octets(IpAddress address)
    {
        byte[] octets = new byte[IpAddress.Length];
        address.Write(octets);
        return octets;
    }

    private static string Json(TranslationDirection direction, params Translation[] entries)
    {
        using var output = new MemoryStream();
        using (var translations = new TranslationsJson(output, direction))
        {
            foreach (Translation entry in entries)
            {
                translations.Add(entry);
            }
        }

        return Encoding.UTF8.GetString(output.ToArray());
    }
}
