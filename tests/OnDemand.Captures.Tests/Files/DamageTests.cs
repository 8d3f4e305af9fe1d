using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

public sealed class DamageTests
{
    private static readonly byte[] Data = [1, 2, 3, 4, 5, 6];

    // Name, file, offset of the damage, packets before it, words of the sentence.
    public static TheoryData<string, byte[], long, int, string> Cases
    {
        get
        {
            TheoryData<string, byte[], long, int, string> cases = [];
            foreach (bool big in (bool[])[false, true])
            {
                AddPcap(cases, big);
                AddPcapNg(cases, big);
            }

            cases.Add("empty file", [], 0, 0, "empty");
            cases.Add("two octets", [0xd4, 0xc3], 0, 0, "cut short");
            cases.Add("not a capture", "Hello, world, this is text."u8.ToArray(), 0, 0, "not a capture");
            cases.Add("gzip", [0x1f, 0x8b, 8, 0, 0, 0], 0, 0, "gzip");
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Damage_is_told_with_its_place_after_all_that_is_sound(
        string name,
        byte[] file,
        long offset,
        int packets,
        string words)
    {
        CaptureRun run = await CaptureRun.ReadAsync(file);

        Assert.NotNull(run.Damage);
        Assert.Equal(run.Damage, (await CaptureRun.ReadAsync(file, 1)).Damage);
        Assert.Equal(offset, run.Damage.Offset);
        Assert.Equal(offset, run.End);
        Assert.Equal(packets, run.Packets.Count);
        Assert.Equal(file[..(int)offset], run.Copy);
        Assert.Contains(words, run.Damage.Description, StringComparison.Ordinal);
        Assert.True(run.Damage.Description.Contains("expected", StringComparison.Ordinal), $"{name}: nothing was expected?");
    }

    [Fact]
    public async Task A_file_cut_anywhere_gives_its_whole_records_and_the_place_of_the_one_that_is_cut()
    {
        foreach (byte[] file in (byte[][])[CaptureBytes.Everything(true), CaptureBytes.Pcap(false, CaptureBytes.Modified)])
        {
            CaptureRun whole = await CaptureRun.ReadAsync(file);
            for (int length = 1; length < file.Length; length++)
            {
                CaptureRun cut = await CaptureRun.ReadAsync(file[..length]);

                List<Seen> expected = whole.Records.FindAll(record => record.Offset + (record.Octets.Length / 2) <= length);
                long end = expected.Count == 0 ? 0 : expected[^1].Offset + (expected[^1].Octets.Length / 2);
                Assert.Equal(expected, cut.Records);
                Assert.Equal(end == length ? null : end, cut.Damage?.Offset);
            }
        }
    }

    [Fact]
    public async Task A_length_that_is_only_claimed_takes_no_memory()
    {
        byte[] pcap = new CaptureBytes(false).PcapHeader().PcapRecord(1, 1, new byte[900_000], captured: 16_000_000).ToArray();
        byte[] other = new CaptureBytes(false).Section().Block(10, new byte[900_000], length: 0xFFFF_FFF0).ToArray();
        foreach (byte[] file in (byte[][])[pcap, other])
        {
            await CaptureRun.ReadAsync(file);   // the one-time costs
            int thread = Environment.CurrentManagedThreadId;
            long before = GC.GetAllocatedBytesForCurrentThread();

            CaptureRun run = await CaptureRun.ReadAsync(file);

            long taken = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(thread, Environment.CurrentManagedThreadId);
            Assert.Contains("longer than the file", run.Damage!.Description, StringComparison.Ordinal);
            Assert.InRange(taken, 0, 3_000_000);   // the buffer and the batch of 1 MiB each
        }
    }

    [Fact]
    public async Task A_disagreement_at_the_end_of_a_large_block_is_told_with_the_place_of_the_block()
    {
        CaptureReaderOptions small = new() { BufferLength = 4096, PieceLength = 4096 };
        byte[] file = new CaptureBytes(false).Section().Block(10, new byte[9_000], lengthAgain: 9_000).ToArray();

        CaptureRun run = await CaptureRun.ReadAsync(file, small, null);

        Assert.Equal(28, run.Damage!.Offset);
        Assert.Contains("disagree", run.Damage.Description, StringComparison.Ordinal);
        Assert.Equal([0L, 28L, 28L + 4096L], run.Records.Select(static record => record.Offset));
    }

    [Fact]
    public async Task One_interface_more_than_allowed_is_damage()
    {
        byte[] file = new CaptureBytes(true).Section().Interface().Interface().Section().Interface().ToArray();

        CaptureRun run = await CaptureRun.ReadAsync(file, new CaptureReaderOptions { MaxInterfaces = 2 }, null);

        Assert.Equal(28 + 20 + 20 + 28, run.Damage!.Offset);
        Assert.Equal(2, run.Interfaces.Count);
    }

    private static void AddPcap(TheoryData<string, byte[], long, int, string> cases, bool big)
    {
        CaptureBytes Begin() => new CaptureBytes(big).PcapHeader().PcapRecord(1, 1, Data);
        string order = big ? " (big-endian)" : " (little-endian)";
        cases.Add("pcap header cut" + order, new CaptureBytes(big).PcapHeader().ToArray()[..23], 0, 0, "expected 24 octets");
        cases.Add("pcap version" + order, new CaptureBytes(big).PcapHeader(major: 3).ToArray(), 0, 0, "version 3.4; expected version 2");
        cases.Add("record header cut" + order, Begin().Raw(new byte[15]).ToArray(), 46, 1, "expected 16 octets, 15 are left");
        cases.Add(
            "record longer than the file" + order,
            Begin().PcapRecord(2, 2, Data, captured: 7).ToArray(),
            46,
            1,
            "expected 7 captured octets, 6 are left");
        cases.Add(
            "record longer than allowed" + order,
            Begin().PcapRecord(2, 2, Data, captured: 0xFFFF_FFFF).ToArray(),
            46,
            1,
            "expected at most 16777200");
        cases.Add(
            "modified record header cut" + order,
            new CaptureBytes(big).PcapHeader(CaptureBytes.Modified).ModifiedRecord(1, 1, Data).Raw(new byte[23]).ToArray(),
            54,
            1,
            "expected 24 octets");
    }

    private static void AddPcapNg(TheoryData<string, byte[], long, int, string> cases, bool big)
    {
        const int At = 28 + 20 + 40;
        CaptureBytes Begin() => new CaptureBytes(big).Section().Interface().Enhanced(0, 1, Data);
        void Add(string name, CaptureBytes file, long offset, int packets, string words) =>
            cases.Add(name + (big ? " (big-endian)" : " (little-endian)"), file.ToArray(), offset, packets, words);

        Add("magic", new CaptureBytes(big).Section(magic: 0x1A2B3C4E), 0, 0, "expected 1a2b3c4d");
        Add("magic of a later section", Begin().Section(magic: 0), At, 1, "byte-order magic");
        Add("section version", Begin().Section(major: 2), At, 1, "version 2.0; expected version 1");
        Add("section too short", Begin().Block(0x0A0D0D0A, new CaptureBytes(big).U32(0x1A2B3C4D).ToArray()), At, 1, "expected at least 28");
        Add("stray octets", Begin().Raw(new byte[11]), At, 1, "11 are left");
        Add("block longer than the file", Begin().Block(4, new byte[8], length: 24), At, 1, "expected 24 octets, 20 are left");
        Add("packet longer than allowed", Begin().Block(6, new byte[8], length: 0x7FFF_FFFC), At, 1, "expected at most 16777216");
        Add("lengths disagree", Begin().Block(4, new byte[8], lengthAgain: 24), At, 1, "expected 20 at its end, found 24");
        Add("length not a multiple of four", Begin().Block(4, new byte[9]), At, 1, "claims 21 octets; expected a multiple of four");
        Add("neither multiple of four nor in the file", Begin().Block(4, new byte[9], length: 9_999), At, 1, "expected a multiple of four");
        Add("length under twelve", Begin().Block(4, new byte[9], length: 8), At, 1, "claims 8 octets");
        Add("unknown interface", Begin().Enhanced(1, 1, Data), At, 1, "names interface 1; expected one of the 1");
        Add("unknown interface, obsolete block", Begin().Obsolete(7, 0, 1, Data), At, 1, "names interface 7");
        Add("interface of an earlier section", Begin().Section().Enhanced(0, 1, Data), At + 28, 1, "expected one of the 0");
        Add("simple packet without interface", Begin().Section().Simple(Data), At + 28, 1, "names interface 0");
        Add("captured more than the block", Begin().Enhanced(0, 1, Data, captured: 9), At, 1, "9 captured octets; expected at most 8");
        Add("simple packet longer than the block", Begin().Simple(Data, original: 9), At, 1, "claims 9 captured octets");
        Add("interface too short", Begin().Block(1, new byte[4]), At, 1, "expected at least 20 octets, it has 16");
        Add("packet too short", Begin().Block(6, new byte[16]), At, 1, "expected at least 32 octets, it has 28");
        Add("simple packet too short", Begin().Block(3, []), At, 1, "expected at least 16 octets, it has 12");
    }
}
