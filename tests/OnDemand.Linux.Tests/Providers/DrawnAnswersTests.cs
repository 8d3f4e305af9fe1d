using System.Buffers.Binary;
using System.Text;
using OnDemand.Captures.Files;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Recording;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

/// <summary>Prefixes that are drawn (<c>order: random</c>): live, in the replay of the same scenario, and in that of a recording.</summary>
public sealed class DrawnAnswersTests : IDisposable
{
    private const int Rounds = 24;

    // What a socket leaves is given up before the next one comes.
    private const string Configuration = """
        internal: [fd00:a::2]
        network: [{at: 0s, attach: ar1}]
        on-demand:
          order: random
          session-lasting:
            - {answer: grant, prefix: "2001:db8:51::/64"}
            - {answer: grant, prefix: "2001:db8:52::/64"}
            - {answer: grant, prefix: "2001:db8:53::/64"}
            - {answer: grant, prefix: "2001:db8:54::/64"}
        policy: {default: session-lasting}
        linger: 1s
        timers: {udp: 2s}
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("drawn");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_live_run_and_the_replay_of_its_scenario_draw_the_same_and_a_recording_replays_octet_for_octet()
    {
        string yaml = $"seed: 11\n{Configuration}";
        string file = Path.Combine(_folder.FullName, "REC.pcapng");
        var scenario = ScenarioReader.Parse("s.yaml", Encoding.UTF8.GetBytes(yaml));
        using var recorder = new LiveRecorder(
            new RecordingOptions { File = file }, scenario, "od0", MemoryTap.Address, _ => { });
        (List<byte[]> sent, List<byte[]> live) = Run(yaml, recorder);
        recorder.Dispose();

        IReadOnlyList<byte[]> replayed = await ReplayAsync(sent, scenario);
        using var again = new MemoryStream();
        ReplayResult recorded = await RecordingRun.RunAsync(
            new ReplayOptions { Input = file, Scenario = string.Empty, Output = "X.pcapng" }, File.OpenRead, _ => again, null, Stop);

        Assert.Equal(live.Select(Packet), replayed.Select(Packet));
        Assert.Equal([], recorded.Report.Verification!.Examples);
        Assert.Equal(await File.ReadAllBytesAsync(file, Stop), again.ToArray());
    }

    [Fact]
    public void Grants_neither_follow_the_list_nor_give_the_last_prefix_again_and_other_seeds_draw_otherwise()
    {
        string[] first = Prefixes("seed: 11\n");

        Assert.Equal(Rounds, first.Length);
        Assert.Equal(4, first.Distinct().Count());
        Assert.All(first.Zip(first.Skip(1)), pair => Assert.NotEqual(pair.First, pair.Second));
        Assert.NotEqual(first[..4], first[4..8]);
        Assert.Equal(first, Prefixes("seed: 11\n"));
        Assert.NotEqual(first, Prefixes("seed: 12\n"));
    }

    [Fact]
    public void Without_a_seed_of_its_own_each_run_of_a_host_draws_otherwise() =>
        Assert.NotEqual(Prefixes(string.Empty), Prefixes(string.Empty));    // the same by chance once in 10^11 runs

    // Without the addresses of the link, which a TAP changes.
    private static string Packet(byte[] frame) => Convert.ToHexString(frame.AsSpan(14));

    private static string[] Prefixes(string seed) =>
        [.. Run(seed + Configuration, null).Live.Select(frame => new IpPrefix(TestFrames.SourceOf(frame), 64).ToString())];

    private static (List<byte[]> Sent, List<byte[]> Live) Run(string yaml, LiveRecorder? recorder)
    {
        List<byte[]> sent = [];
        List<byte[]> live = [];
        using var rig = new HostRig(yaml, recorder);
        for (int round = 0; round < Rounds; round++)
        {
            byte[] frame = TestFrames.Udp(HostRig.Inside, HostRig.Server, (ushort)(1000 + round), 9, [(byte)round]);
            sent.Add(frame);
            rig.Put(frame);
            live.Add(rig.Last);
            for (int second = 0; second < 10; second++)
            {
                rig.Time.Pass(TimeSpan.FromSeconds(1));
                rig.Settle();
            }
        }

        recorder?.OnStop(rig.Host.Start.Add(Duration.FromSeconds(3600)));
        return (sent, live);
    }

    // The same frames, ten seconds apart, from a capture.
    private static async Task<IReadOnlyList<byte[]>> ReplayAsync(List<byte[]> frames, Scenario scenario)
    {
        using var capture = new MemoryStream();
        capture.Write([0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
        byte[] head = new byte[16];
        foreach ((int number, byte[] frame) in frames.Index())
        {
            BinaryPrimitives.WriteInt32LittleEndian(head, 1_700_000_000 + (10 * number));
            BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(8), frame.Length);
            BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(12), frame.Length);
            capture.Write(head);
            capture.Write(frame);
        }

        using var output = new MemoryStream();
        await ReplayRun.RunAsync(
            new ReplayOptions { Input = "in.pcap", Scenario = "s.yaml", Output = "out.pcap" }, scenario,
            _ => new MemoryStream(capture.ToArray()), _ => output, null, Stop);
        List<byte[]> packets = [];
        await using var reader = CaptureReader.Create(new MemoryStream(output.ToArray()));
        while (await reader.ReadAsync(Stop))
        {
            while (reader.TryRead(out CaptureRecord record))
            {
                if (record.Kind == CaptureRecordKind.Packet)
                {
                    packets.Add(record.Data.ToArray());
                }
            }
        }

        return packets;
    }
}
