using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

public sealed class FormatTests
{
    public static TheoryData<bool, uint, CaptureFormat> PcapKinds => new()
    {
        { false, CaptureBytes.Microseconds, CaptureFormat.Pcap },
        { true, CaptureBytes.Microseconds, CaptureFormat.Pcap },
        { false, CaptureBytes.Nanoseconds, CaptureFormat.PcapNanoseconds },
        { true, CaptureBytes.Nanoseconds, CaptureFormat.PcapNanoseconds },
        { false, CaptureBytes.Modified, CaptureFormat.PcapModified },
        { true, CaptureBytes.Modified, CaptureFormat.PcapModified },
    };

    [Theory]
    [MemberData(nameof(PcapKinds))]
    public async Task Every_kind_of_pcap_is_read_in_both_byte_orders_and_copied_octet_by_octet(
        bool bigEndian,
        uint magic,
        CaptureFormat format)
    {
        byte[] file = CaptureBytes.Pcap(bigEndian, magic);
        int header = format == CaptureFormat.PcapModified ? 24 : 16;
        int unit = format == CaptureFormat.PcapNanoseconds ? 1 : 1_000;

        CaptureRun run = await CaptureRun.ReadAsync(file);

        Assert.Null(run.Damage);
        Assert.Equal(file, run.Copy);
        Assert.Equal(5, run.Packets.Count);
        int offset = 24;
        for (int i = 0; i < 5; i++)
        {
            Seen packet = run.Packets[i];
            Assert.Equal(offset, packet.Offset);
            Assert.Equal(header, packet.DataOffset);
            Assert.Equal(i * 3, packet.Captured);
            Assert.Equal((i * 3) + (format == CaptureFormat.PcapModified ? 7 : 0), (int)packet.Original);
            Assert.Equal(101, packet.LinkType);
            Assert.Equal(((1_000L + i) * 1_000_000_000) + ((999_999L - i) * unit), packet.Timestamp);
            Assert.Equal(string.Concat(Enumerable.Repeat($"{i + 1:X2}", i * 3)), packet.Octets[(header * 2)..]);
            offset += header + (i * 3);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_kind_of_pcapng_block_is_read_and_copied_octet_by_octet(bool bigEndian)
    {
        byte[] file = CaptureBytes.Everything(bigEndian);

        CaptureRun run = await CaptureRun.ReadAsync(file);

        Assert.Null(run.Damage);
        Assert.Equal(file, run.Copy);
        Assert.Equal(
            "Header Interface Interface Packet Other Packet Packet Other Other Other Other Header Interface Packet Packet",
            string.Join(' ', run.Records.Select(static record => record.Kind)));
        Assert.Equal([1, 0, 0, 2, 2], run.Packets.Select(static packet => packet.Interface));
        Assert.Equal([101, 1, 1, 276, 276], run.Packets.Select(static packet => packet.LinkType));
        Assert.Equal([5, 96, 3, 0, 1], run.Packets.Select(static packet => packet.Captured));
        Assert.Equal([5U, 1_500U, 4U, 60U, 1U], run.Packets.Select(static packet => packet.Original));
        Assert.Equal(
            [1_700_000_000_123_456_000, null, 0x1122334455667788 - 5_000_000_000, 42_000, 43_000],
            run.Packets.Select(static packet => packet.Timestamp));
        Assert.Equal([0, 1, 2], run.Interfaces.Select(static description => description.Index));
        Assert.Equal(96U, run.Interfaces[0].SnapLength);
        Assert.Equal(-5, run.Interfaces[0].OffsetSeconds);
        Assert.Equal(TimestampResolution.Nanoseconds, run.Interfaces[0].Resolution);
    }

    [Fact]
    public async Task The_format_is_known_after_the_first_read_and_not_before()
    {
        await using CaptureReader reader = CaptureReader.Create(new MemoryStream(CaptureBytes.Everything(bigEndian: true)));

        Assert.Throws<InvalidOperationException>(() => reader.Format);
        Assert.False(reader.TryRead(out _));
        Assert.True(await reader.ReadAsync(TestContext.Current.CancellationToken));
        Assert.Equal(CaptureFormat.PcapNg, reader.Format);
    }

    [Fact]
    public async Task A_large_block_passes_in_pieces_of_one_length_and_comes_out_whole()
    {
        CaptureReaderOptions small = new() { BufferLength = 4096, PieceLength = 4096, MaxRecordLength = 4096 };
        CaptureBytes bytes = new(bigEndian: true);
        byte[] body = new byte[10_000];
        new Random(1).NextBytes(body);
        byte[] file = bytes.Section(options: body).Interface().Block(10, body).Enhanced(0, 1, [1, 2, 3]).ToArray();

        CaptureRun run = await CaptureRun.ReadAsync(file, small, null, 700);

        Assert.Null(run.Damage);
        Assert.Equal(file, run.Copy);
        Assert.Equal(
            [(CaptureRecordKind.Header, 4096), (CaptureRecordKind.Other, 4096), (CaptureRecordKind.Other, 1836)],
            run.Records.Take(3).Select(static record => (record.Kind, record.Octets.Length / 2)));
        Assert.Equal([5932L, 1836L, 0L], run.Records.Take(3).Select(static record => record.Remaining));
        Assert.Equal(1, Assert.Single(run.Packets).Timestamp / 1_000);
    }

    [Fact]
    public async Task Too_much_room_after_the_data_is_carried_through()
    {
        CaptureBytes bytes = new(bigEndian: false);
        byte[] file = bytes.Section().Interface(snapLength: 4).Simple(new byte[40], original: 40).ToArray();

        CaptureRun run = await CaptureRun.ReadAsync(file);

        Assert.Equal(4, Assert.Single(run.Packets).Captured);
        Assert.Equal(file, run.Copy);
    }
}
