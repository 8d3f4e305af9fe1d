using System.Globalization;
using System.Text.RegularExpressions;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>The captures of other projects that lie beside the repository.</summary>
public sealed partial class PublicCaptureTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_public_capture_is_read_as_its_manifest_says_and_copied_octet_by_octet()
    {
        Assert.SkipUnless(Shared.Captures is not null, "../shared/captures-public is not there.");
        string[] lines = await File.ReadAllLinesAsync(Path.Combine(Shared.Captures!, "MANIFEST.tsv"), Stop);
        string[] columns = lines[0].Split('\t');
        int seen = 0;
        foreach (string line in lines.Skip(1))
        {
            string[] fields = line.Split('\t');
            string Field(string name) => fields[Array.IndexOf(columns, name)];
            byte[] file = await File.ReadAllBytesAsync(Path.Combine(Shared.Captures!, Field("file")), Stop);

            CaptureRun run = await CaptureRun.ReadAsync(file, 1_000);

            Assert.Equal(Field("packets"), run.Packets.Count.ToString(CultureInfo.InvariantCulture));
            string damage = Field("damage");
            long? offset = damage == "-" ? null : long.Parse(ByteNumber().Match(damage).Groups[1].Value, CultureInfo.InvariantCulture);
            Assert.Equal(offset, run.Damage?.Offset);
            Assert.Equal(file[..(int)(offset ?? file.Length)], run.Copy);
            IEnumerable<int> linkTypes = run.Interfaces.Select(static description => (int)description.LinkType).Distinct().Order();
            Assert.Equal(Field("linktypes").Replace("-", string.Empty, StringComparison.Ordinal), string.Join(',', linkTypes));
            seen++;
        }

        Assert.True(seen > 30, "The manifest is shorter than it was.");
    }

    [Fact]
    public async Task Every_public_capture_survives_the_way_to_pcapng_and_back()
    {
        Assert.SkipUnless(Shared.Captures is not null, "../shared/captures-public is not there.");
        foreach (string path in Directory.GetFiles(Shared.Captures!, "*.pcap"))
        {
            byte[] file = await File.ReadAllBytesAsync(path, Stop);
            CaptureRun first = await CaptureRun.ReadAsync(file);
            bool nanoseconds = file.AsSpan(0, 4).ContainsAny((byte)0x4d, (byte)0x3c);
            CaptureFormat format = nanoseconds ? CaptureFormat.PcapNanoseconds : CaptureFormat.Pcap;

            CaptureRun there = await CaptureRun.ReadAsync(file, null, new CaptureWriterOptions { Format = CaptureFormat.PcapNg });
            CaptureRun back = await CaptureRun.ReadAsync(there.Copy, null, new CaptureWriterOptions { Format = format });
            CaptureRun again = await CaptureRun.ReadAsync(back.Copy);

            Assert.Null(again.Damage);
            Assert.Equal(first.Packets.Select(Essence), again.Packets.Select(Essence));
        }
    }

    private static (long? Timestamp, uint Original, int LinkType, string Data) Essence(Seen packet) =>
        (packet.Timestamp, packet.Original, packet.LinkType, packet.Octets.Substring(packet.DataOffset * 2, packet.Captured * 2));

    [GeneratedRegex(@"at byte (\d+)")]
    private static partial Regex ByteNumber();
}
