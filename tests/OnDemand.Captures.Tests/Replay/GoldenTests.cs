using System.Globalization;
using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>
/// Every shipped scenario gives what lies beside it, octet by octet. With ONDEMAND_UPDATE_GOLDENS=1 in the environment the files are
/// written anew instead: to be read before they are kept.
/// </summary>
public sealed class GoldenTests
{
    private const long MostOctets = 2 << 20;

    private static readonly bool Update = Environment.GetEnvironmentVariable("ONDEMAND_UPDATE_GOLDENS") == "1";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(ShippedScenario.Names), MemberType = typeof(ShippedScenario))]
    public async Task Every_shipped_scenario_gives_what_it_gave(string name)
    {
        var shipped = new ShippedScenario(name);

        ReplayOf replay = await ReplayOf.ShippedAsync(shipped);

        Assert.Null(replay.Result.Damage);
        Assert.Null(replay.Result.Failure);
        Assert.True(replay.Report.Verification!.Passed, string.Join('\n', replay.Report.Verification.Examples));
        string text = string.Create(
            CultureInfo.InvariantCulture, $"{replay.Table}\nout sha256 {ReplayOf.Digest(replay.Output)}\nhost sha256 {ReplayOf.Digest(replay.Host)}\n");
        if (Update)
        {
            await File.WriteAllTextAsync(shipped.ExpectedText, text, Stop);
            if (shipped.IsMain)
            {
                await File.WriteAllBytesAsync(shipped.ExpectedCapture, replay.Output, Stop);
            }
        }

        if (shipped.IsMain)
        {
            Assert.Null(await CaptureDifference.FirstAsync(await File.ReadAllBytesAsync(shipped.ExpectedCapture, Stop), replay.Output));
        }

        Assert.Equal(await File.ReadAllTextAsync(shipped.ExpectedText, Stop), text);
    }

    [Fact]
    public void Every_capture_has_one_whole_expected_output_and_all_of_it_stays_small()
    {
        Assert.True(ShippedScenario.All.Count >= 29, "Scenarios are missing.");
        Assert.Equal(ShippedScenario.Captures, ShippedScenario.All.Where(shipped => shipped.IsMain).Select(shipped => shipped.InputPath));
        Assert.InRange(new DirectoryInfo(ShippedScenario.Folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length), 1, MostOctets);
        string[] kept = Directory.GetFiles(ShippedScenario.Folder, "*.expected.*", SearchOption.AllDirectories);
        Assert.Equal(
            ShippedScenario.All.Select(shipped => shipped.ExpectedText)
                .Concat(ShippedScenario.All.Where(shipped => shipped.IsMain).Select(shipped => shipped.ExpectedCapture)).Order(StringComparer.Ordinal),
            kept.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_difference_is_told_by_packet_and_field()
    {
        byte[] file = await File.ReadAllBytesAsync(ShippedScenario.Captures.Single(path => path.Contains("server", StringComparison.Ordinal)), Stop);
        int secondPacket = 24 + 16 + BitConverter.ToInt32(file, 24 + 8) + 16;   // pcap: file header, record header, octets, record header
        byte[] other = [.. file];
        other[secondPacket + 14 + 8] ^= 1;

        string? difference = await CaptureDifference.FirstAsync(file, other);

        Assert.StartsWith("packet 2: IPv6 source, octet 22: ", difference, StringComparison.Ordinal);
        Assert.Null(await CaptureDifference.FirstAsync(file, file));
    }
}
