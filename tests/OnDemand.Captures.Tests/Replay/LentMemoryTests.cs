using System.Text;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using Xunit;
using static OnDemand.Captures.Tests.Replay.MadePackets;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>
/// Where only OUT is wanted, packets are rewritten in the memory they were read into; with a host output they are copied. Nothing else may
/// differ, wherever a record lies in a block and whatever becomes of it.
/// </summary>
public sealed class LentMemoryTests
{
    public static TheoryData<string> Made => [.. MadeCaptures.All().Select(made => made.Name)];

    public static TheoryData<string> Shipped => ShippedScenario.Names;

    [Theory]
    [MemberData(nameof(Made))]
    public async Task A_made_capture_becomes_the_same_with_and_without_copying(string name) =>
        await CompareAsync(MadeCaptures.All().Single(made => made.Name == name).Octets, Parse(MadeCaptures.Scenario));

    [Theory]
    [MemberData(nameof(Shipped))]
    public async Task A_shipped_capture_becomes_the_same_with_and_without_copying(string name)
    {
        var shipped = new ShippedScenario(name);
        await CompareAsync(await File.ReadAllBytesAsync(shipped.InputPath, TestContext.Current.CancellationToken), ScenarioReader.Load(shipped.Path));
    }

    [Fact]
    public async Task A_capture_of_many_blocks_becomes_the_same_with_and_without_copying()
    {
        byte[] capture = MadeCaptures.Pcap(Mixture(4 * ReplayRun.BlockLength));

        ReplayOf lent = await CompareAsync(capture, Parse(MadeCaptures.Scenario));

        Assert.True(lent.Report.Totals.Dropped > 0 && lent.Report.Totals.Untouched > 0 && lent.Report.Totals.Rewritten > 1_000);
        Assert.Equal(0, lent.Report.Verification?.Violations);
    }

    [Fact]
    public async Task Everything_before_the_damage_is_written_without_copying_too()
    {
        byte[] whole = MadeCaptures.Pcap(Mixture(2 * ReplayRun.BlockLength));

        ReplayOf lent = await CompareAsync(whole[..^5], Parse(MadeCaptures.Scenario));

        Assert.NotNull(lent.Result.Damage);
        Assert.InRange(lent.Report.Totals.OctetsRead, ReplayRun.BlockLength, whole.Length);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Long_runs_of_common_packets_with_moves_and_oddities_between_become_the_same(int seed)
    {
        ReplayOf lent = await CompareAsync(Runs(new Random(seed)), Parse(Moves));

        Assert.True(lent.Report.Totals is { Rewritten: > 7_000, Untouched: > 400, Dropped: > 3_000, Stranded: 20, WentOver: > 40 });
        Assert.Equal(3, lent.Report.Moves.Count);
        Assert.Equal(0, lent.Report.Verification?.Violations);
    }

    [Fact]
    public async Task Damage_in_a_run_is_told_where_it_is_and_nothing_before_it_is_lost()
    {
        byte[] packet = Udp(Host, 5000, Remote, 53);
        CaptureBytes file = new CaptureBytes(false).Section().Interface(101);
        for (uint i = 0; i < 40; i++)
        {
            file.Enhanced(0, 1_700_000_000_000_000UL + i, packet);
        }

        byte[] whole = [.. file.ToArray(), .. new CaptureBytes(false).Block(6, new byte[40], lengthAgain: 4).ToArray(), .. packet];

        ReplayOf lent = await CompareAsync(whole, Parse(MadeCaptures.Scenario));

        Assert.Equal(file.ToArray().Length, lent.Result.Damage?.Offset);
        Assert.Equal(40, lent.Report.Totals.PacketsRead);
    }

    private static async Task<ReplayOf> CompareAsync(byte[] capture, Scenario scenario)
    {
        string path = Path.GetTempFileName();
        try
        {
            await File.WriteAllBytesAsync(path, capture);
            ReplayOf copied = await ReplayOf.RunAsync(new MemoryStream(capture), scenario);
            ReplayOf piped = await ReplayOf.RunAsync(new MemoryStream(capture), scenario, Alone);
            await using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
            ReplayOf lent = await ReplayOf.RunAsync(file, scenario, Alone);

            Assert.Equal(ReplayOf.Digest(copied.Output), ReplayOf.Digest(piped.Output));
            Assert.Equal(ReplayOf.Digest(copied.Output), ReplayOf.Digest(lent.Output));
            Assert.Equal(copied.Result.Damage, lent.Result.Damage);
            Assert.Equal(copied.Table, lent.Table);
            return lent;
        }
        finally
        {
            File.Delete(path);
        }
    }

    private const string Moves = """
        internal: ["fd00::1"]
        pickup: true
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: "3fff:ffff:0:1::/64", type: graceful-replacement}]}
          - {at: 20s, attach: ar2, prefixes: [{prefix: "3fff:ffff:0:2::/64", type: graceful-replacement}], window: 3s}
          - {at: 40s, attach: ar3, prefixes: [{prefix: "3fff:ffff:0:3::/64", type: graceful-replacement}], window: 3s}
        policy: {default: graceful-replacement}
        """;

    // Sixty seconds of some connections, all of whose packets are common but a few: without a checksum yet, cut short, back in time, of
    // another protocol or version, out of the blue.
    private static byte[] Runs(Random random)
    {
        CaptureBytes file = new CaptureBytes(false).PcapHeader(network: 101);
        for (uint i = 0; i < 12_000; i++)
        {
            int port = 5000 + random.Next(20);
            bool inbound = random.Next(2) == 0;
            int length = random.Next(300);
            byte[] packet = (random.Next(2) == 0, inbound) switch
            {
                (true, false) => Tcp(Host, port, Remote, 80, 0x10, sequence: i, length: length),
                (true, true) => Tcp(Remote, 80, Host, port, 0x10, sequence: i, acknowledgment: i, length: length),
                (false, false) => Udp(Host, port, Remote, 53, length),
                _ => Udp(Remote, 53, Host, port, length),
            };
            switch (random.Next(60))
            {
                case 0:
                    int at = 40 + (packet[6] == 17 ? 6 : 16);
                    ushort partial = Partial(packet);
                    (packet[at], packet[at + 1]) = ((byte)(partial >> 8), (byte)partial);
                    break;
                case 1:
                    packet = Packet(Host, Remote, 132, new byte[30]);
                    break;
                case 2:
                    packet[0] = 0x45;
                    break;
                case 3:
                    packet = Udp(Remote, 53, Host, 9_000, length);
                    break;
                case 4:
                    packet = Udp("fe80::1", 53, Host, port, length);
                    break;
                default:
                    break;
            }

            uint second = 1_700_000_000 + (i / 200);
            int kept = random.Next(50) == 0 ? random.Next(packet.Length + 1) : packet.Length;
            file.PcapRecord(random.Next(40) == 0 ? second - 2 : second, 5_000 * (i % 200), packet[..kept], original: (uint)packet.Length);
        }

        return file.ToArray();
    }

    private static ReplayOptions Alone(ReplayOptions options) => options with { HostOutput = null, Translations = null };

    private static Scenario Parse(string scenario) => ScenarioReader.Parse("test.yaml", Encoding.UTF8.GetBytes(scenario));

    // Of every kind some: opening and going on, both ways, in fragments, cut out, passing by; of lengths that end everywhere in a block.
    private static IEnumerable<byte[]> Mixture(int length)
    {
        for (int i = 0; length > 0; i++)
        {
            int port = 5000 + (i % 97);
            IReadOnlyList<byte[]> fragments = Fragments(Remote, 53, Host, port, (uint)i, 3);
            List<byte[]> packets = [Udp(Host, port, Remote, 53, 1 + (i % 1_301)), Udp(Remote, 53, Host, port, 1 + (i % 701))];
            switch (i % 11)
            {
                case 3:
                    packets.AddRange([fragments[1], fragments[0], fragments[2]]);
                    break;
                case 5:
                    packets.AddRange([Tcp(Host, port, Remote, 80, 2), Tcp(Remote, 80, Host, port, 0x12), Tcp(Host, port, Remote, 80, 0x10, length: i % 1_000)]);
                    break;
                case 7:
                    packets.Add(Udp(Remote, 53, Host, 4_000, 100));      // to a socket that never asked
                    break;
                case 9:
                    packets.Add(Udp(Remote, 53, "2001:db8:77::1", 4_000, 100));
                    break;
                default:
                    break;
            }

            foreach (byte[] packet in packets)
            {
                length -= packet.Length;
                yield return packet;
            }
        }
    }
}
