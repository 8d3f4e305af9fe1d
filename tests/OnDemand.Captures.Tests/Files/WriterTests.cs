using System.Text;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

public sealed class WriterTests
{
    private const string Comment = "rewritten: Quellé 😀";

    private static readonly byte[] CommentOctets = Encoding.UTF8.GetBytes(Comment);

    private delegate void Step(CaptureWriter writer, in CaptureRecord record);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_batch_of_several_packets_is_rewritten_in_place_even_after_it_grew(bool bigEndian)
    {
        CaptureBytes bytes = new CaptureBytes(bigEndian).Section().Interface();
        CaptureBytes wanted = new CaptureBytes(bigEndian).Section().Interface();
        for (int i = 0; i < 300; i++)
        {
            byte[] data = new byte[i];
            bytes.Enhanced(0, 5, data, [.. bytes.Option(1, 0x61), .. bytes.End]);
            data = (byte[])data.Clone();
            Array.Fill(data, (byte)i);
            wanted.Enhanced(0, 5, data, [.. wanted.Option(1, 0x61), .. wanted.End]);
        }

        List<(int At, int Length)> packets = [];
        byte[] written = await CopyAsync(
            bytes.ToArray(),
            (CaptureWriter writer, in CaptureRecord record) =>
            {
                int at = writer.Append(record);
                if (at != CaptureWriter.NoPacket)
                {
                    packets.Add((at, record.CapturedLength));
                }
            },
            new CaptureWriterOptions { BatchLength = 4096, FlushThreshold = 4096 },
            writer =>
            {
                for (int i = 0; i < packets.Count; i++)
                {
                    writer.Batch.Slice(packets[i].At, packets[i].Length).Fill((byte)i);
                }
            });

        Assert.Equal(300, packets.Count);
        Assert.Equal(wanted.ToArray(), written);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_comment_is_added_before_all_options_there_are(bool bigEndian)
    {
        CaptureBytes input = new(bigEndian);
        byte[] options = [.. input.Option(1, 0x61), .. input.Option(2, 0, 0, 0, 1), .. input.End];
        input.Section().Interface().Interface().Enhanced(1, 7, [1, 2, 3], options, original: 99).Enhanced(0, 8, [4]);
        CaptureBytes wanted = new(bigEndian);
        byte[] comment = wanted.Option(1, CommentOctets);
        wanted.Section().Interface().Interface()
            .Enhanced(1, 7, [1, 2, 3], [.. comment, .. options], original: 99)
            .Enhanced(0, 8, [4], [.. comment, .. wanted.End]);

        byte[] written = await CopyAsync(input.ToArray(), WithComment);

        Assert.Equal(wanted.ToArray(), written);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_obsolete_block_becomes_an_enhanced_one_for_a_comment_and_a_simple_one_without_time_does_not(bool bigEndian)
    {
        CaptureBytes input = new(bigEndian);
        byte[] options = [.. input.Option(2, 0, 0, 0, 1), .. input.End];
        input.Section().Interface().Obsolete(0, 3, 7, [1, 2], options).Obsolete(0, 0xFFFF, 8, []).Simple([5, 6, 7, 8, 9]);
        CaptureBytes wanted = new(bigEndian);
        byte[] comment = wanted.Option(1, CommentOctets);
        byte[] drops = bigEndian ? [0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3] : [4, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        wanted.Section().Interface()
            .Enhanced(0, 7, [1, 2], [.. comment, .. drops, .. options], original: 3)
            .Enhanced(0, 8, [], [.. comment, .. wanted.End], original: 1)
            .Simple([5, 6, 7, 8, 9]);

        byte[] written = await CopyAsync(input.ToArray(), WithComment);

        Assert.Equal(wanted.ToArray(), written);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_simple_block_that_is_given_a_time_becomes_an_enhanced_one_for_a_comment(bool bigEndian)
    {
        byte[] input = new CaptureBytes(bigEndian).Section().Interface(snapLength: 3).Simple([5, 6, 7], original: 50).ToArray();
        CaptureBytes wanted = new(bigEndian);
        wanted.Section().Interface(snapLength: 3)
            .Enhanced(0, 9, [5, 6, 7], [.. wanted.Option(1, CommentOctets), .. wanted.End], original: 50);

        byte[] written = await CopyAsync(
            input,
            (CaptureWriter writer, in CaptureRecord record) => writer.Append(record, newTimestamp: 9_999, Comment));

        Assert.Equal(wanted.ToArray(), written);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_new_time_changes_nothing_but_the_time(bool bigEndian)
    {
        CaptureBytes input = new(bigEndian);
        byte[] options = [.. input.Option(9, 3), .. input.OffsetOption(100), .. input.End];
        byte[] ng = input.Section().Interface(options: options).Enhanced(0, 1, [1]).Obsolete(0, 2, 1, [2]).Simple([3]).ToArray();
        byte[] pcap = new CaptureBytes(bigEndian).PcapHeader().PcapRecord(1, 2, [1]).ToArray();
        const long Time = 101_234_567_890;   // 1.234567890 seconds after the interface's origin

        Step step = static (CaptureWriter writer, in CaptureRecord record) => writer.Append(record, Time, default);
        byte[] newNg = await CopyAsync(ng, step);
        byte[] newPcap = await CopyAsync(pcap, step);

        Assert.Equal(
            new CaptureBytes(bigEndian).Section().Interface(options: options)
                .Enhanced(0, 1_234, [1]).Obsolete(0, 2, 1_234, [2]).Simple([3]).ToArray(),
            newNg);
        Assert.Equal(new CaptureBytes(bigEndian).PcapHeader().PcapRecord(101, 234_567, [1]).ToArray(), newPcap);
    }

    [Fact]
    public async Task An_added_packet_takes_resolution_and_offset_of_its_interface_in_the_section_under_way()
    {
        CaptureBytes input = new(bigEndian: true);
        byte[] options = [.. input.Option(9, 0x80 | 10), .. input.OffsetOption(-1), .. input.End];
        input.Section().Interface().Section().Interface().Interface(options: options);
        CaptureBytes wanted = new(bigEndian: true);
        wanted.Section().Interface().Section().Interface().Interface(options: options)
            .Enhanced(1, 1_024 + 512, [1, 2, 3], [.. wanted.Option(1, CommentOctets), .. wanted.End], original: 4);

        byte[] written = await CopyAsync(
            input.ToArray(),
            (CaptureWriter writer, in CaptureRecord record) =>
            {
                writer.Append(record);
                if (record.Kind == CaptureRecordKind.Interface && record.InterfaceIndex == 2)
                {
                    int at = writer.AppendPacket(2, 500_000_000, 4, [1, 2, 3], Comment);
                    Assert.Equal([1, 2, 3], writer.Batch.Slice(at, 3).ToArray());
                    Assert.Throws<ArgumentOutOfRangeException>(() => writer.AppendPacket(0, 0, 0, []));
                    Assert.Throws<ArgumentOutOfRangeException>(() => writer.AppendPacket(3, 0, 0, []));
                }
            });

        Assert.Equal(wanted.ToArray(), written);
    }

    [Fact]
    public async Task A_section_length_is_withdrawn_only_when_lengths_may_change()
    {
        byte[] input = new CaptureBytes(false).Section(length: 0).Interface().ToArray();

        Assert.Equal(input, await CopyAsync(input, Plain));
        Assert.Equal(
            new CaptureBytes(false).Section().Interface().ToArray(),
            await CopyAsync(input, Plain, new CaptureWriterOptions { ChangesLengths = true }));
    }

    [Theory]
    [InlineData(65_535, 65_535)]
    [InlineData(65_536, 65_535)]
    [InlineData(65_537, 65_535)]
    public async Task A_comment_that_is_too_long_ends_with_its_last_whole_character_that_fits(int octets, int longest)
    {
        // Four-octet characters after so many of one octet that the last does not end at the limit.
        string text = new string('x', octets % 4) + string.Concat(Enumerable.Repeat("😀", octets / 4));
        int expected = octets <= longest ? octets : longest - ((longest - (octets % 4)) % 4);
        byte[] input = new CaptureBytes(false).Section().Interface().Enhanced(0, 1, []).ToArray();

        byte[] written = await CopyAsync(
            input,
            (CaptureWriter writer, in CaptureRecord record) => writer.Append(record, null, text));

        CaptureBytes wanted = new(false);
        byte[] comment = Encoding.UTF8.GetBytes(text)[..expected];
        wanted.Section().Interface().Enhanced(0, 1, [], [.. wanted.Option(1, comment), .. wanted.End]);
        Assert.Equal(wanted.ToArray(), written);
    }

    [Fact]
    public async Task Nothing_is_added_between_the_pieces_of_a_large_block()
    {
        byte[] input = new CaptureBytes(false).Section().Interface().Block(10, new byte[9_000]).ToArray();
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(input), new CaptureReaderOptions { PieceLength = 4096 });
        await using CaptureWriter writer = CaptureWriter.Create(Stream.Null);
        int refused = 0;
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                writer.Append(record);
                if (record.Remaining > 0)
                {
                    Assert.Throws<InvalidOperationException>(() => writer.AppendPacket(0, 0, 0, []));
                    refused++;
                }
            }
        }

        Assert.Equal(2, refused);
        Assert.NotEqual(CaptureWriter.NoPacket, writer.AppendPacket(0, 0, 0, [1]));
    }

    [Theory]
    [InlineData(CaptureFormat.Pcap)]
    [InlineData(CaptureFormat.PcapNanoseconds)]
    [InlineData(CaptureFormat.PcapModified)]
    [InlineData(CaptureFormat.PcapNg)]
    public async Task A_file_can_be_begun_from_nothing(CaptureFormat format)
    {
        using MemoryStream output = new();
        await using CaptureWriter writer = CaptureWriter.Create(output);
        Assert.Throws<InvalidOperationException>(() => writer.AppendPacket(0, 0, 0, []));

        writer.Begin(format, linkType: 101, bigEndian: true);
        writer.AppendPacket(0, 1_000_002_000, 9, [0x60, 1]);
        if (format == CaptureFormat.PcapNg)
        {
            writer.AppendPacket(writer.AddInterface(1, TimestampResolution.Microseconds), 5_000, 1, [2]);
        }

        await writer.CompleteAsync(TestContext.Current.CancellationToken);

        CaptureRun run = await CaptureRun.ReadAsync(output.ToArray());
        Assert.Null(run.Damage);
        Assert.Equal(format == CaptureFormat.PcapNg ? [101, 1] : [101], run.Packets.Select(static packet => packet.LinkType));
        Assert.Equal(1_000_002_000, run.Packets[0].Timestamp);
        Assert.Equal(9U, run.Packets[0].Original);
        Assert.Equal("6001", run.Packets[0].Octets.Substring(run.Packets[0].DataOffset * 2, 4));
    }

    [Fact]
    public async Task Flush_tells_when_nobody_reads_any_more()
    {
        System.IO.Pipelines.Pipe pipe = new();
        await using CaptureWriter writer = CaptureWriter.Create(pipe.Writer);
        writer.Begin(CaptureFormat.Pcap, 1);
        Assert.True(await writer.FlushAsync(TestContext.Current.CancellationToken));

        await pipe.Reader.CompleteAsync();

        writer.AppendPacket(0, 0, 1, [1]);
        Assert.False(await writer.FlushAsync(TestContext.Current.CancellationToken));
    }

    private static void Plain(CaptureWriter writer, in CaptureRecord record) => writer.Append(record);

    private static void WithComment(CaptureWriter writer, in CaptureRecord record) => writer.Append(record, newTimestamp: null, Comment);

    private static async Task<byte[]> CopyAsync(
        byte[] input,
        Step step,
        CaptureWriterOptions? options = null,
        Action<CaptureWriter>? beforeFlush = null)
    {
        using MemoryStream output = new();
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(input));
        await using CaptureWriter writer = CaptureWriter.Create(output, options);
        while (await reader.ReadAsync())
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                step(writer, record);
            }
        }

        Assert.Null(reader.Damage);
        beforeFlush?.Invoke(writer);
        await writer.CompleteAsync();
        return output.ToArray();
    }
}
