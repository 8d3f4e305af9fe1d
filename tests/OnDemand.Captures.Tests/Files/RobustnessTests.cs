using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

public sealed class RobustnessTests
{
    // Small enough for the files here to meet every limit.
    private static readonly CaptureReaderOptions Small = new()
    {
        BufferLength = 4096,
        PieceLength = 4096,
        MaxRecordLength = 8192,
        MaxInterfaces = 3,
    };

    [Fact]
    public void However_the_input_is_cut_into_pieces_the_records_are_the_same() =>
        Prop.ForAll<byte[], bool, int>((chunks, ng, seed) =>
        {
            byte[] file = ng
                ? new CaptureBytes(false).Raw(CaptureBytes.Everything(true)).Block(10, new byte[9_000]).Enhanced(0, 7, []).ToArray()
                : CaptureBytes.Pcap(true, CaptureBytes.Microseconds);
            file = Mutation.Of(file, new Random(seed));
            CaptureRun whole = Run(file, Small);
            CaptureRun chopped = Run(file, Small, [.. chunks.Select(static chunk => (int)chunk)]);
            return whole.Records.SequenceEqual(chopped.Records)
                && whole.Copy.SequenceEqual(chopped.Copy)
                && whole.Damage == chopped.Damage;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void No_mutation_throws_and_what_is_delivered_is_the_file_up_to_the_damage()
    {
        Random random = new(2026);
        byte[] large = new CaptureBytes(false).Section().Interface().Block(10, new byte[9_000]).Enhanced(0, 7, new byte[5_000]).ToArray();
        byte[][] seeds =
        [
            CaptureBytes.Everything(false), CaptureBytes.Everything(true), CaptureBytes.Pcap(false, CaptureBytes.Microseconds),
            CaptureBytes.Pcap(true, CaptureBytes.Modified), large,
        ];
        for (int i = 0; i < 4_000; i++)
        {
            byte[] file = Mutation.Of(seeds[i % seeds.Length], random);

            CaptureRun run = Run(file, Small, i % 3 == 0 ? [] : [random.Next(1, 300), random.Next(1, 5_000)]);

            Assert.Equal(run.End, run.Copy.Length);
            Assert.Equal(file[..run.Copy.Length], run.Copy);
            Assert.Equal(run.Damage is null, run.End == file.Length && file.Length > 0);
            Assert.True(run.Damage is null || run.Damage.Offset <= run.End, "Damage lies beyond what was delivered.");
        }
    }

    [Fact]
    public void No_mutation_makes_a_conversion_throw()
    {
        Random random = new(6724);
        byte[][] seeds = [CaptureBytes.Everything(false), CaptureBytes.Pcap(true, CaptureBytes.Nanoseconds)];
        CaptureFormat[] formats = [CaptureFormat.Pcap, CaptureFormat.PcapNg, CaptureFormat.PcapNanoseconds, CaptureFormat.PcapModified];
        for (int i = 0; i < 2_000; i++)
        {
            byte[] file = Mutation.Of(seeds[i % seeds.Length], random);

            CaptureRun run = Run(file, Small, [], new CaptureWriterOptions { Format = formats[random.Next(4)] });

            CaptureRun written = Run(run.Copy);
            Assert.True(run.Records.Count == 0 || run.Failure is not null || written.Damage is null, $"{written.Damage}");
            Assert.True(run.Failure is not null || run.Packets.Count == written.Packets.Count, "A packet was lost.");
        }
    }

    // Everything these runs wait for is there already.
    private static CaptureRun Run(
        byte[] file,
        CaptureReaderOptions? reading = null,
        int[]? chunks = null,
        CaptureWriterOptions? writing = null) =>
        CaptureRun.ReadAsync(file, reading, writing, chunks ?? []).GetAwaiter().GetResult();
}
