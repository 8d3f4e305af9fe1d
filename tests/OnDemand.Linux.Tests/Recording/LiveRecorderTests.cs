using System.Globalization;
using System.Text;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Recording;
using OnDemand.Linux.Run;
using OnDemand.Linux.Service;
using OnDemand.Linux.State;
using OnDemand.Linux.Tap;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Recording;

/// <summary>A recording made by the live loop replays offline to the same octets, whatever happened, and never gets in the loop's way.</summary>
public sealed class LiveRecorderTests : IDisposable
{
    private const string Configuration = """
        seed: 11
        internal: [fd00:a::2]
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}, {prefix: "2001:db8:9::7/128", type: fixed}]}
          - {at: 10s, attach: ar2, window: 3s, prefixes: [{prefix: "2001:db8:a2::/64", type: nonpersistent}, {prefix: "2001:db8:9::7/128", type: fixed}]}
        on-demand:
          session-lasting: {answer: grant, prefix: "2001:db8:51::/64"}
          graceful-replacement: [{answer: grant, prefix: "2001:db8:61::/64", delay: 20ms}, {answer: refuse}]
        policy:
          default: nonpersistent
          rules:
            - {remote-port: 1, type: session-lasting}
            - {remote-port: 2, type: graceful-replacement}
            - {remote-port: 3, type: fixed}
        sockets:
          - {at: 2s, close: 30s, protocol: udp, local-port: 1001, type: session-lasting}
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("recording");
    private readonly List<string> _said = [];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_folder.FullName, "REC.pcapng");

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task A_recording_made_live_replays_offline_octet_for_octet(int seed)
    {
        var recorder = Recorder(new RecordingOptions { File = File });
        using (var rig = new HostRig(Configuration, recorder))
        {
            new Walk(rig, seed).Go(400);
            recorder.OnStop(new Timestamp(long.MaxValue - 1));
        }

        recorder.Dispose();

        (ReplayReport report, byte[] again) = await ReplayAsync();
        Assert.Equal([], report.Verification!.Examples);
        Assert.Equal(await System.IO.File.ReadAllBytesAsync(File, Stop), again);
        Assert.True(report.Totals.PacketsRead > 400, $"{report.Totals.PacketsRead} packets");
        Assert.True(report.Totals.Flows > 10);
        Assert.NotEmpty(report.Moves);
        Assert.Empty(_said);
    }

    [Fact]
    public async Task Two_moves_in_one_command_are_two_steps()
    {
        var recorder = Recorder(new RecordingOptions { File = File });
        using (var rig = new HostRig(Configuration, recorder))
        {
            rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Syn, 1, 0));
            rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 2, new byte[20]));
            rig.Command(context =>
            {
                context.Network.Detach(context.Now);
                context.Network.Attach("elsewhere", [new PrefixAdvertisement(IpPrefix.Parse("2001:db8:a5::/64"), AddressType.GracefulReplacement)], null, context.Now);
                return context.Network.Withdraw(IpPrefix.Parse("2001:db8:a5::/64"), Duration.Zero, context.Now);
            });
            recorder.OnStop(rig.Host.Start.Add(Duration.FromSeconds(60)));
        }

        recorder.Dispose();

        (ReplayReport report, byte[] again) = await ReplayAsync();
        Assert.Equal([], report.Verification!.Examples);
        Assert.Equal(await System.IO.File.ReadAllBytesAsync(File, Stop), again);
        Assert.Equal([ReportMoveKind.Attach, ReportMoveKind.Detach, ReportMoveKind.Attach, ReportMoveKind.Withdraw], report.Moves.Select(move => move.Kind));
    }

    [Fact]
    public async Task A_run_that_goes_on_where_another_stopped_replays_too()
    {
        SavedState saved = StateOf(seed: 9);
        Assert.NotEmpty(saved.Flows);
        AddressSnapshot had = saved.Addresses.Values.First(address => address.Type != AddressType.None && address.Internal == IpAddress.Parse(HostRig.Inside)
            && saved.Prefixes.Exists(prefix => prefix.Prefix == address.Prefix && prefix.State != PrefixState.Ended));
        saved.Bindings[77] = new SavedBinding("boot", new SocketBinding(
            77, 1000, had.Address, had.Type, had.Prefix, Timestamp.Never, Timestamp.Never, Map: true, Timestamp.FromSeconds(1)));
        saved.Prefixes.Add(new PrefixSnapshot
        {
            Prefix = IpPrefix.Parse("2001:db8:99:1::/64"),
            Type = AddressType.GracefulReplacement,
            State = PrefixState.Closing,
            PreferredUntil = Timestamp.Never,
            ValidUntil = Timestamp.Never,
            ClosesAt = new Timestamp(long.MaxValue - 1),
            IsClosedByDetachment = true,
        });
        var recorder = Recorder(new RecordingOptions { File = File });
        await using var services = new SocketServices();
        using (var rig = new HostRig(Configuration, recorder, saved: saved, services: services))
        {
            Assert.True(rig.Host.Restored.Flows > 0);
            rig.Host.Adopt(rig.Host.Now);
            Assert.True(SpinWait.SpinUntil(() => services.Find(77) is not null, TimeSpan.FromSeconds(30)));
            Assert.Equal((had.Address, Timestamp.FromSeconds(1)), (services.Find(77)!.Address, services.Find(77)!.Since));
            new Walk(rig, 10).Go(60);
            recorder.OnStop(new Timestamp(long.MaxValue - 1));
        }

        recorder.Dispose();

        (ReplayReport report, byte[] again) = await ReplayAsync();
        Assert.Equal([], report.Verification!.Examples);
        Assert.Equal(await System.IO.File.ReadAllBytesAsync(File, Stop), again);
        Assert.Contains("{restore: flow,", Encoding.UTF8.GetString(again), StringComparison.Ordinal);
        Assert.Contains($"kept: \"{had.Address}\"", Encoding.UTF8.GetString(again), StringComparison.Ordinal);
        Assert.Contains("detached: true}", Encoding.UTF8.GetString(again), StringComparison.Ordinal);
    }

    [Fact]
    public async Task At_its_limit_a_recording_ends_whole_and_says_so_once()
    {
        var recorder = Recorder(new RecordingOptions { File = File, Limit = RecordingOptions.SmallestLimit });
        using (var rig = new HostRig(Configuration, recorder))
        {
            Steady(rig, 2000);
            recorder.OnStop(rig.Host.Start.Add(Duration.FromSeconds(60)));
            Assert.True(rig.Counters.FramesWritten >= 2000);
        }

        recorder.Dispose();

        long length = new FileInfo(File).Length;
        Assert.InRange(length, RecordingOptions.SmallestLimit - 4096, RecordingOptions.SmallestLimit);
        Assert.Equal([$"The recording {File} has reached its limit of 64KiB and ends here, whole; packets go on."], _said);
        (ReplayReport report, byte[] again) = await ReplayAsync();
        Assert.True(report.Verification!.Passed);
        Assert.Equal(length, again.Length);
        Assert.Contains("{end: limit}", Encoding.UTF8.GetString(again), StringComparison.Ordinal);
    }

    [Fact]
    public async Task When_the_file_is_too_slow_the_recording_ends_with_a_whole_step_and_packets_go_on()
    {
        var recorder = Recorder(new RecordingOptions { File = File, RingLength = 1 << 20 });
        using (var rig = new HostRig(Configuration, recorder))
        {
            Flood(rig);
            recorder.OnStop(rig.Host.Start.Add(Duration.FromSeconds(60)));
        }

        recorder.Dispose();

        Assert.Equal([$"The recording {File} could not be written as fast as frames came and ends here, whole; packets go on."], _said);
        (ReplayReport report, byte[] again) = await ReplayAsync();
        Assert.Equal([], report.Verification!.Examples);
        Assert.Contains("{end: slow}", Encoding.UTF8.GetString(again), StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_disk_ends_the_recording_and_packets_go_on()
    {
        Assert.SkipUnless(System.IO.File.Exists("/dev/full"), "There is no /dev/full.");
        var recorder = Recorder(new RecordingOptions { File = "/dev/full" });
        using (var rig = new HostRig(Configuration, recorder))
        {
            Steady(rig, 500);
            Assert.True(rig.Counters.FramesWritten >= 500);
            recorder.OnStop(rig.Host.Start.Add(Duration.FromSeconds(60)));
        }

        recorder.Dispose();

        Assert.Equal(["The recording /dev/full could not be written and ends here; the disk may be full; packets go on."], _said);
    }

    [Fact]
    public void Recording_allocates_nothing_on_the_engine_s_thread()
    {
        using var recorder = Recorder(new RecordingOptions { File = File });
        using var rig = new HostRig(Configuration, recorder);
        Steady(rig, 200);
        byte[] frame = new byte[1500];
        Tell(recorder, 0, frame);

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            Tell(recorder, i, frame);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        recorder.OnStop(rig.Host.Start.Add(Duration.FromSeconds(60)));
    }

    [Fact]
    public void A_file_that_cannot_be_created_is_one_sentence()
    {
        string nowhere = Path.Combine(_folder.FullName, "none", "REC.pcapng");

        HostException said = Assert.Throws<HostException>(() => Recorder(new RecordingOptions { File = nowhere }));

        Assert.StartsWith("The recording cannot be written: ", said.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_its_owner_may_read_a_recording()
    {
        System.IO.File.WriteAllText(File, "old");
        using LiveRecorder recorder = Recorder(new RecordingOptions { File = File });

        Assert.SkipWhen(OperatingSystem.IsWindows(), "Only Unix has modes.");
        Assert.True(!OperatingSystem.IsWindows() && System.IO.File.GetUnixFileMode(File) == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
    }

    [Theory]
    [InlineData("REC", "256MiB", 256L << 20)]
    [InlineData("REC", null, RecordingOptions.DefaultLimit)]
    public void A_limit_is_a_size(string file, string? limit, long octets) => Assert.Equal(octets, RecordingOptions.Read(file, limit)!.Limit);

    [Theory]
    [InlineData("REC", "much", "Found --record-limit 'much', expected a size of at least 64KiB such as 256MiB.")]
    [InlineData("REC", "1KiB", "Found --record-limit '1KiB', expected a size of at least 64KiB such as 256MiB.")]
    [InlineData(null, "1MiB", "--record-limit limits a recording; name its file with --record.")]
    public void What_is_no_limit_is_one_sentence(string? file, string limit, string sentence) =>
        Assert.Equal(sentence, Assert.Throws<ScenarioException>(() => RecordingOptions.Read(file, limit)).Message);

    private LiveRecorder Recorder(RecordingOptions options)
    {
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(Configuration));
        return new LiveRecorder(options, config.Scenario, "od0", MemoryTap.Address, _said.Add);
    }

    private async Task<(ReplayReport Report, byte[] Again)> ReplayAsync()
    {
        using var output = new MemoryStream();
        ReplayResult result = await RecordingRun.RunAsync(
            new ReplayOptions { Input = File, Scenario = string.Empty, Output = "X.pcapng" }, System.IO.File.OpenRead, _ => output, null, Stop);
        Assert.Null(result.Damage);
        return (result.Report, output.ToArray());
    }

    // What a run leaves that was killed.
    private static SavedState StateOf(int seed)
    {
        using var rig = new HostRig(Configuration);
        new Walk(rig, seed).Go(60);
        return rig.Command(context =>
        {
            var saved = new SavedState { HasNetwork = true, Attachment = context.Network.Current };
            var prefixes = new PrefixSnapshot[64];
            var addresses = new AddressSnapshot[64];
            var flows = new FlowSnapshot[256];
            int cursor = 0;
            saved.Prefixes.AddRange(prefixes.AsSpan(0, context.Engine.CopyPrefixes(ref cursor, prefixes)));
            cursor = 0;
            foreach (AddressSnapshot address in addresses.AsSpan(0, context.Engine.CopyAddresses(ref cursor, addresses)))
            {
                saved.Addresses[address.Address] = address;
            }

            cursor = 0;
            foreach (FlowSnapshot flow in flows.AsSpan(0, context.Engine.CopyFlows(ref cursor, flows)))
            {
                saved.Flows[flow.Identity] = flow;
            }

            return saved;
        });
    }

    private static void Steady(HostRig rig, int frames)
    {
        rig.Tap.Keeps = false;
        byte[] question = TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[40]);
        for (int i = 0; i < frames; i++)
        {
            rig.Time.Pass(TimeSpan.FromMilliseconds(1));
            rig.Put(question);
        }
    }

    // More in one turn than the ring can hold.
    private static void Flood(HostRig rig)
    {
        rig.Tap.Keeps = false;
        byte[] large = TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[60_000]);
        for (int i = 0; i < 100; i++)
        {
            for (int place = 0; place < 32; place++)
            {
                rig.Tap.Put(large);
            }

            rig.Settle();
        }
    }

    private static void Tell(LiveRecorder recorder, int i, byte[] frame)
    {
        var now = new Timestamp(2_000_000_000_000_000_000 + i);
        recorder.OnArrival(0, frame, new Arrival(false, new FrameInfo(14), default), now);
        recorder.OnVerdict(0, frame, default, FrameFate.Sent, now);
        recorder.OnEvent(default);
        recorder.OnAdvance(now);
    }

    // Frames, moves, commands and time as they come, on a rig.
    private sealed class Walk(HostRig rig, int seed)
    {
        private readonly Random _random = new(seed);

        public void Go(int steps)
        {
            for (int step = 0; step < steps; step++)
            {
                rig.Time.Pass(TimeSpan.FromTicks(_random.Next(3) == 0 ? 0 : _random.Next(3_000_000)));
                switch (_random.Next(24))
                {
                    case 0:
                        rig.Command(context => Attach(context.Network, context.Now));
                        break;
                    case 1 when _random.Next(3) == 0:
                        rig.Command(context =>
                        {
                            context.Network.Detach(context.Now);
                            return true;
                        });
                        break;
                    case 2:
                        rig.Command(context => context.Network.Withdraw(AnyPrefix(), Duration.FromMilliseconds(_random.Next(3000)), context.Now));
                        break;
                    case 3:
                        rig.Command(context => context.Engine.Counters.Of(DropReason.Detached));
                        break;
                    case 4:
                        rig.Tap.WriteResult = rig.Tap.WriteResult == 0 ? -Errno.Enobufs : 0;
                        break;
                    case 5:
                        rig.Time.Pass(TimeSpan.FromSeconds(_random.Next(100)));
                        rig.Settle();
                        break;
                    default:
                        Frames();
                        break;
                }
            }
        }

        private bool Attach(OnDemand.Linux.Control.IAttachmentControl network, Timestamp now)
        {
            PrefixAdvertisement[] prefixes =
            [
                new(AnyPrefix(), AddressType.Nonpersistent, Duration.FromSeconds(60), Duration.FromSeconds(100)),
                new(IpPrefix.Parse("2001:db8:9::7/128"), AddressType.Fixed),
                new(IpPrefix.Parse(string.Create(CultureInfo.InvariantCulture, $"2001:db8:6{_random.Next(3)}::/64")), AddressType.GracefulReplacement),
            ];
            network.Attach($"ar{_random.Next(4)}", prefixes.AsSpan(_random.Next(3)), _random.Next(2) == 0 ? null : Duration.FromSeconds(_random.Next(4)), now);
            return true;
        }

        private IpPrefix AnyPrefix() => IpPrefix.Parse(string.Create(CultureInfo.InvariantCulture, $"2001:db8:a{_random.Next(5)}::/64"));

        private void Frames()
        {
            for (int frames = _random.Next(1, 40); frames > 0; frames--)
            {
                string remote = $"2001:db8:5::{_random.Next(1, 4)}";
                ushort local = (ushort)(1000 + _random.Next(4));
                ushort port = (ushort)_random.Next(1, 6);
                bool inbound = rig.Tap.Written.Count > 0 && _random.Next(3) == 0;
                string inside = inbound ? TestFrames.SourceOf(rig.Tap.Written[_random.Next(rig.Tap.Written.Count)].AsSpan(VirtioNetHeader.Length)).ToString() : HostRig.Inside;
                (string from, string to) = inbound ? (remote, inside) : (inside, remote);
                (ushort fromPort, ushort toPort) = inbound ? (port, local) : (local, port);
                byte[] frame = _random.Next(3) == 0
                    ? TestFrames.Udp(from, to, fromPort, toPort, new byte[_random.Next(200)])
                    : TestFrames.Tcp(from, to, fromPort, toPort, (byte)(_random.Next(3) == 0 ? TestFrames.Syn : _random.Next(32)), (uint)_random.Next(50), (uint)_random.Next(50), _random.Next(80));
                var header = _random.Next(6) == 0 ? new VirtioNetHeader(1, (byte)(_random.Next(2) * 4), 74, 1428, 54, 16) : default;
                rig.Tap.Put(frame, header);
            }

            rig.Settle();
        }
    }
}
