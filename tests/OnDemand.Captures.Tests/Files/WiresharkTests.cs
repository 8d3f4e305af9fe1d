using System.Globalization;
using System.Text;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>Files as they are written, read by programs that share nothing with this one.</summary>
public sealed class WiresharkTests
{
    private const string Columns = "frame.number frame.time_epoch frame.len frame.cap_len frame.interface_id frame.comment";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Capinfos_reads_every_conversion_as_the_format_it_is(bool bigEndian)
    {
        byte[] micro = CaptureBytes.Pcap(bigEndian, CaptureBytes.Microseconds);
        byte[] nano = CaptureBytes.Pcap(bigEndian, CaptureBytes.Nanoseconds);
        (byte[] Input, CaptureFormat Format, string Type)[] cases =
        [
            (micro, CaptureFormat.PcapNg, "pcapng"), (nano, CaptureFormat.PcapNg, "pcapng"),
            (micro, CaptureFormat.PcapNanoseconds, "nsecpcap"), (nano, CaptureFormat.Pcap, "pcap"),
            (CaptureBytes.Pcap(bigEndian, CaptureBytes.Modified), CaptureFormat.Pcap, "pcap"),
        ];
        foreach ((byte[] input, CaptureFormat format, string type) in cases)
        {
            CaptureRun run = await CaptureRun.ReadAsync(input, null, new CaptureWriterOptions { Format = format });

            string[] lines = await RunAsync(run.Copy, "capinfos", "-T", "-t", "-c", "-E", "-r", "-B");

            string[] fields = Assert.Single(lines).Split('\t');
            Assert.Equal([type, "rawip", "5"], fields[1..4]);
        }
    }

    [Fact]
    public async Task Tshark_sees_the_same_packets_before_and_after_the_way_through_pcapng()
    {
        byte[] input = CaptureBytes.Pcap(true, CaptureBytes.Nanoseconds);
        CaptureRun converted = await CaptureRun.ReadAsync(input, null, new CaptureWriterOptions { Format = CaptureFormat.PcapNg });

        string[] before = await TsharkAsync(input);
        string[] after = await TsharkAsync(converted.Copy);

        Assert.Equal(5, before.Length);
        Assert.Equal(before.Select(static line => line.Split('\t')[..4]), after.Select(static line => line.Split('\t')[..4]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tshark_reads_the_comments_and_the_packets_that_were_added(bool bigEndian)
    {
        CaptureBytes bytes = new(bigEndian);
        byte[] resolution = [.. bytes.Option(9, 0x80 | 20), .. bytes.OffsetOption(1_000), .. bytes.End];
        byte[] input = bytes.Section(length: 4_711).Interface(101).Interface(101, 0, resolution)
            .Enhanced(0, 2_000_003, [0x60, 1, 2], [.. bytes.Option(1, 0x61), .. bytes.Option(2, 0, 0, 0, 1), .. bytes.End]).ToArray();
        using MemoryStream output = new();
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(input));
        await using CaptureWriter writer = CaptureWriter.Create(output, new CaptureWriterOptions { ChangesLengths = true });
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                writer.Append(record, null, "neu: ü");
            }
        }

        writer.AppendPacket(1, 1_005_250_000_000, 60, [0x60, 3], "added");
        await writer.CompleteAsync(TestContext.Current.CancellationToken);

        string[] lines = await TsharkAsync(output.ToArray());

        Assert.Equal(2, lines.Length);
        Assert.Equal(["1", "2.000003", "3", "3", "0", "neu: ü,a"], Normalize(lines[0]));
        Assert.Equal(["2", "1005.25", "60", "2", "1", "added"], Normalize(lines[1]));
    }

    private static string[] Normalize(string line)
    {
        string[] fields = line.Split('\t');
        fields[1] = decimal.Parse(fields[1], CultureInfo.InvariantCulture).ToString("0.#########", CultureInfo.InvariantCulture);
        return fields;
    }

    private static Task<string[]> TsharkAsync(byte[] file) =>
        RunAsync(file, "tshark", ["-n", "-T", "fields", .. Columns.Split(' ').SelectMany(static column => (string[])["-e", column]), "-r"]);

    private static async Task<string[]> RunAsync(byte[] file, string program, params string[] arguments)
    {
        string path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, file);
            string? output = await Tool.RunAsync(program, [.. arguments, path]);
            Assert.SkipWhen(output is null, $"{program} is not installed.");
            return output!.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
