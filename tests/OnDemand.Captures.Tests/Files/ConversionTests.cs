using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

public sealed class ConversionTests
{
    [Theory]
    [InlineData(false, CaptureBytes.Microseconds, 6)]
    [InlineData(true, CaptureBytes.Microseconds, 6)]
    [InlineData(false, CaptureBytes.Nanoseconds, 9)]
    [InlineData(true, CaptureBytes.Nanoseconds, 9)]
    [InlineData(true, CaptureBytes.Modified, 6)]
    public async Task Pcap_becomes_pcapng_with_the_resolution_it_had(bool bigEndian, uint magic, byte resolution)
    {
        CaptureBytes input = new CaptureBytes(bigEndian).PcapHeader(magic, snapLength: 96, network: 101);
        _ = magic == CaptureBytes.Modified ? input.ModifiedRecord(2, 34, [1, 2]) : input.PcapRecord(2, 34, [1, 2], original: 9);
        ulong ticks = resolution == 6 ? 2_000_034UL : 2_000_000_034UL;
        CaptureBytes wanted = new(bigEndian);
        wanted.Section().Interface(101, 96, [.. wanted.Option(9, resolution), .. wanted.End]).Enhanced(0, ticks, [1, 2], original: 9);

        CaptureRun run = await ConvertAsync(input, CaptureFormat.PcapNg);

        Assert.Equal(wanted.ToArray(), run.Copy);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Pcapng_of_one_link_type_becomes_pcap(bool bigEndian)
    {
        CaptureBytes input = new(bigEndian);
        byte[] nanoseconds = [.. input.Option(9, 9), .. input.End];
        input.Section().Interface(113).Interface(101, 1_000_000, nanoseconds).Interface(101)
            .Block(4, [0, 0, 0, 0])
            .Enhanced(1, 1_000_000_999, [1, 2, 3], [.. input.Option(1, 0x61), .. input.End])
            .Enhanced(2, 5_000_007, [4], original: 1_500);

        CaptureRun micro = await ConvertAsync(input, CaptureFormat.Pcap);
        CaptureRun nano = await ConvertAsync(input, CaptureFormat.PcapNanoseconds);

        Assert.Null(micro.Failure);
        Assert.Equal(
            new CaptureBytes(bigEndian).PcapHeader(snapLength: 1_000_000, network: 101)
                .PcapRecord(1, 0, [1, 2, 3]).PcapRecord(5, 7, [4], original: 1_500).ToArray(),
            micro.Copy);
        Assert.Equal(
            new CaptureBytes(bigEndian).PcapHeader(CaptureBytes.Nanoseconds, snapLength: 1_000_000, network: 101)
                .PcapRecord(1, 999, [1, 2, 3]).PcapRecord(5, 7_000, [4], original: 1_500).ToArray(),
            nano.Copy);
    }

    [Fact]
    public async Task Pcapng_with_packets_of_two_link_types_cannot_become_pcap_and_one_sentence_says_so()
    {
        CaptureBytes input = new CaptureBytes(false).Section().Interface(1).Interface(101)
            .Enhanced(0, 1, [1]).Enhanced(1, 2, [2]).Enhanced(0, 3, [3]);

        CaptureRun run = await ConvertAsync(input, CaptureFormat.Pcap);

        Assert.Equal(
            "A pcap file holds one link type, but the input has packets of link types 1 and 101; write pcapng.",
            run.Failure);
        Assert.Single((await CaptureRun.ReadAsync(run.Copy)).Packets);
    }

    [Fact]
    public async Task Nothing_becomes_modified_pcap()
    {
        CaptureRun run = await ConvertAsync(new CaptureBytes(false).PcapHeader().PcapRecord(1, 1, [1]), CaptureFormat.PcapModified);

        Assert.Contains("write pcap or pcapng instead", run.Failure, StringComparison.Ordinal);
        Assert.Empty(run.Copy);
    }

    [Theory]
    [InlineData(CaptureFormat.PcapNanoseconds, CaptureBytes.Nanoseconds, 34_000U)]
    [InlineData(CaptureFormat.Pcap, CaptureBytes.Microseconds, 34U)]
    public async Task Modified_pcap_becomes_plain_pcap(CaptureFormat format, uint magic, uint fraction)
    {
        CaptureBytes input = new CaptureBytes(true).PcapHeader(CaptureBytes.Modified, network: 276).ModifiedRecord(2, 34, [1, 2]);

        CaptureRun run = await ConvertAsync(input, format);

        Assert.Equal(
            new CaptureBytes(true).PcapHeader(magic, snapLength: 262_144, network: 276)
                .PcapRecord(2, fraction, [1, 2], original: 9).ToArray(),
            run.Copy);
    }

    [Theory]
    [InlineData(true, 229)]
    [InlineData(false, 1)]
    public async Task Pcapng_without_packets_becomes_a_pcap_header(bool hasInterface, uint linkType)
    {
        CaptureBytes input = new CaptureBytes(false).Section();
        _ = hasInterface ? input.Interface(229) : input;

        CaptureRun run = await ConvertAsync(input, CaptureFormat.Pcap);

        Assert.Equal(new CaptureBytes(false).PcapHeader(snapLength: 262_144, network: linkType).ToArray(), run.Copy);
    }

    [Fact]
    public async Task Times_outside_the_range_of_pcap_go_to_its_ends()
    {
        CaptureBytes input = new(false);
        byte[] before = [.. input.OffsetOption(-10), .. input.End];
        byte[] after = [.. input.OffsetOption(5_000_000_000), .. input.End];
        input.Section().Interface(1, 0, before).Interface(1, 0, after).Enhanced(0, 1, []).Enhanced(1, 1, []).Simple([]);

        CaptureRun run = await ConvertAsync(input, CaptureFormat.PcapNanoseconds);

        Assert.Equal(
            new CaptureBytes(false).PcapHeader(CaptureBytes.Nanoseconds, snapLength: 262_144)
                .PcapRecord(0, 0, []).PcapRecord(uint.MaxValue, 999_999_999, []).PcapRecord(0, 0, []).ToArray(),
            run.Copy);
    }

    [Fact]
    public async Task An_added_packet_follows_the_conversion()
    {
        using MemoryStream output = new();
        byte[] input = new CaptureBytes(false).Section().Interface(101).Interface(1).ToArray();
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(input));
        await using CaptureWriter writer = CaptureWriter.Create(output, new CaptureWriterOptions { Format = CaptureFormat.Pcap });
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                writer.Append(record);
            }
        }

        Assert.NotEqual(CaptureWriter.NoPacket, writer.AppendPacket(0, 3_000_004_999, 7, [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.AppendPacket(2, 0, 0, []));
        Assert.Equal(CaptureWriter.NoPacket, writer.AppendPacket(1, 0, 0, []));
        Assert.NotNull(writer.Failure);
        await writer.CompleteAsync(TestContext.Current.CancellationToken);

        Assert.Equal(
            new CaptureBytes(false).PcapHeader(snapLength: 262_144, network: 101).PcapRecord(3, 4, [1], original: 7).ToArray(),
            output.ToArray());
    }

    private static Task<CaptureRun> ConvertAsync(CaptureBytes input, CaptureFormat format) =>
        CaptureRun.ReadAsync(input.ToArray(), null, new CaptureWriterOptions { Format = format });
}
