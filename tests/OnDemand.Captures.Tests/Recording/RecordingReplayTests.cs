using System.Buffers.Binary;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Files;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using OnDemand.Cli;
using OnDemand.Dataplane.Control;
using Xunit;

namespace OnDemand.Captures.Tests.Recording;

/// <summary>A recording holds everything that went into the engine and came out: its replay makes it again, octet for octet.</summary>
public sealed class RecordingReplayTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("recording");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Any_walk_of_frames_moves_and_time_replays_octet_for_octet() =>
        Prop.ForAll<int>(seed =>
        {
            byte[] recording = RecordedWalk.Record(seed, 60, out _);
            Result again = Replay(recording);
            Assert.Null(again.Damage);
            Assert.Equal([], again.Report.Verification!.Examples);
            return again.Output.AsSpan().SequenceEqual(recording);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_walk_meets_what_a_recording_has_to_keep()
    {
        RecordedWalk.Record(1, 3000, out RecordedWalk walk);

        Assert.True(walk.Outputs > 20, $"{walk.Outputs} outputs");
        Assert.True(walk.SocketsAsked > 20, $"{walk.SocketsAsked} flows whose socket was asked for");
        Assert.True(walk.PoliciesSet > 20, $"{walk.PoliciesSet} policies");
        foreach (EngineEventKind kind in (EngineEventKind[])
            [EngineEventKind.FlowOpened, EngineEventKind.FlowWentOver, EngineEventKind.FlowStranded, EngineEventKind.FlowRefused, EngineEventKind.NetworkAsked,
            EngineEventKind.NetworkGranted, EngineEventKind.NetworkRefused, EngineEventKind.NetworkSilent, EngineEventKind.WindowOpened, EngineEventKind.PrefixEnded])
        {
            Assert.True(walk.Seen.ContainsKey(kind), $"no {kind}");
        }
    }

    [Fact]
    public void One_octet_of_a_forwarded_frame_that_is_another_is_found_and_named()
    {
        byte[] recording = RecordedWalk.Record(5, 40, out _);
        Block forwarded = Blocks(recording).Last(block => block.Comment.StartsWith("ondemand: out ", StringComparison.Ordinal));
        recording[forwarded.Offset + 28 + 30] ^= 1;

        Result again = Replay(recording);

        ReportVerification verification = again.Report.Verification!;
        Assert.False(verification.Passed);
        Assert.Equal(1, verification.Violations);
        string difference = Assert.Single(verification.Examples);
        Assert.StartsWith($"record {forwarded.Number} at octet {forwarded.Offset}: octet 30 of the frame was expected to be 0x", difference, StringComparison.Ordinal);
        Assert.Contains(forwarded.Comment["ondemand: ".Length..], difference, StringComparison.Ordinal);
    }

    [Fact]
    public void A_frame_that_was_recorded_and_does_not_come_is_named()
    {
        byte[] recording = RecordedWalk.Record(5, 40, out _);
        Block[] blocks = Blocks(recording);
        Block forwarded = blocks.Last(block => block.Comment.StartsWith("ondemand: out ", StringComparison.Ordinal));
        byte[] without = [.. recording[..(int)forwarded.Offset], .. recording[(int)(forwarded.Offset + forwarded.Length)..]];

        string difference = Assert.Single(Replay(without).Report.Verification!.Examples);

        Assert.StartsWith($"record {forwarded.Number} at octet {forwarded.Offset}: expected ", difference, StringComparison.Ordinal);
        Assert.Contains($"found '{forwarded.Comment["ondemand: ".Length..].Split(';')[0]}", difference, StringComparison.Ordinal);
    }

    [Fact]
    public void A_recording_cut_anywhere_is_replayed_up_to_there_and_is_damaged()
    {
        byte[] recording = RecordedWalk.Record(8, 30, out _);
        Block[] blocks = Blocks(recording);
        var random = new Random(1);
        int first = (int)blocks[4].Offset;
        for (int i = 0; i < 60; i++)
        {
            int cut = i % 2 == 0 ? random.Next(first, recording.Length - 1) : (int)blocks[random.Next(5, blocks.Length)].Offset;

            Result again = Replay(recording[..cut]);

            Assert.NotNull(again.Damage);
            Assert.True(again.Report.Verification!.Passed, string.Join(' ', again.Report.Verification.Examples));
            int whole = (int)blocks.Last(block => block.BeginsStep && block.Offset + block.Length <= cut).Offset;
            Assert.True(again.Output.AsSpan().StartsWith(recording.AsSpan(0, whole)));
        }
    }

    [Fact]
    public void Octets_that_are_anything_never_do_more_than_say_so()
    {
        byte[] recording = RecordedWalk.Record(3, 25, out _);
        var random = new Random(2);
        for (int i = 0; i < 300; i++)
        {
            byte[] broken = [.. recording];
            for (int change = random.Next(1, 4); change > 0; change--)
            {
                broken[random.Next(broken.Length)] = (byte)random.Next(256);
            }

            try
            {
                Result again = Replay(broken);
                Assert.True(again.Damage is not null || again.Report.Verification is null or { Passed: false } || again.Output.AsSpan().SequenceEqual(broken));
            }
            catch (ScenarioException said)
            {
                Assert.EndsWith(".", said.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task A_control_record_that_is_not_understood_is_one_sentence_and_status_2()
    {
        byte[] recording = RecordedWalk.Record(4, 30, out _);
        int at = recording.AsSpan().IndexOf("{advance: true}"u8);
        "{advent: true} "u8.CopyTo(recording.AsSpan(at));

        (int status, string error) = await CommandAsync(recording, "--output", PathOf("X.pcapng"));

        Assert.Equal(ExitStatus.Usage, status);
        Assert.Matches(@"^ondemand: .*REC\.pcapng, record \d+:1:2: found the unknown key in a control record 'advent', expected 'advance'.*\n$", error);
    }

    [Fact]
    public async Task The_command_knows_a_recording_writes_it_anew_and_reports_on_it()
    {
        byte[] recording = RecordedWalk.Record(6, 80, out _);

        (int status, string error) = await CommandAsync(
            recording, "--output", PathOf("X.pcapng"), "--report", PathOf("R.json"), "--timeline", PathOf("T.html"), "--explain", "--quiet");

        Assert.Equal((ExitStatus.Done, string.Empty), (status, error));
        Assert.Equal(recording, await File.ReadAllBytesAsync(PathOf("X.pcapng"), Stop));
        string report = await File.ReadAllTextAsync(PathOf("R.json"), Stop);
        Assert.Contains("\"attach\"", report, StringComparison.Ordinal);
        Assert.Contains("\"passed\": true", report, StringComparison.Ordinal);
        Assert.Contains("<svg", await File.ReadAllTextAsync(PathOf("T.html"), Stop), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_command_names_the_difference_with_status_1_and_a_cut_with_status_3()
    {
        byte[] recording = RecordedWalk.Record(6, 80, out _);
        byte[] changed = [.. recording];
        Block forwarded = Blocks(recording).Last(block => block.Comment.StartsWith("ondemand: out ", StringComparison.Ordinal));
        changed[forwarded.Offset + 28 + 20] ^= 0x80;

        (int differs, string difference) = await CommandAsync(changed, "--output", PathOf("X.pcapng"), "--quiet");
        (int cut, string damage) = await CommandAsync(recording[..^4], "--output", PathOf("X.pcapng"), "--quiet");

        Assert.Equal(ExitStatus.VerificationFailed, differs);
        Assert.Contains($"first: record {forwarded.Number} at octet {forwarded.Offset}: octet 20 of the frame", difference, StringComparison.Ordinal);
        Assert.Equal(ExitStatus.DamagedInput, cut);
        Assert.Contains("is longer than the file", damage, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--host-output", "H.pcapng")]
    [InlineData("--translations", "T.json")]
    [InlineData("--taken", "outside")]
    public async Task What_only_a_capture_can_have_is_refused(string option, string value)
    {
        byte[] recording = RecordedWalk.Record(6, 5, out _);

        (int status, string error) = await CommandAsync(recording, "--output", PathOf("X.pcapng"), option, option == "--taken" ? value : PathOf(value));

        Assert.Equal(ExitStatus.Usage, status);
        Assert.Contains("is a recording and shows both sides already: leave " + option, error, StringComparison.Ordinal);
        Assert.False(File.Exists(PathOf("X.pcapng")));
    }

    [Fact]
    public async Task Wireshark_reads_a_recording_with_its_interfaces_directions_and_comments()
    {
        byte[] recording = RecordedWalk.Record(6, 200, out _);
        string path = PathOf("REC.pcapng");
        await File.WriteAllBytesAsync(path, recording, Stop);

        string? table = await Tool.RunAsync(
            "tshark", "-r", path, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name", "-e", "frame.packet_flags_direction", "-e", "frame.comment");

        Assert.SkipUnless(table is not null, "tshark is not installed.");
        string[][] rows = [.. table.TrimEnd('\n').Split('\n').Select(line => line.Split('|', 3))];
        Block[] packets = [.. Blocks(recording).Where(block => block.IsPacket)];
        Assert.Equal(packets.Length, rows.Length);
        for (int i = 0; i < rows.Length; i++)
        {
            Assert.Equal(packets[i].Interface switch { 0 => "od0 host side", 1 => "od0 network side", _ => "control" }, rows[i][0]);
            Assert.Equal(packets[i].Direction, rows[i][1].Length == 0 ? 0 : Convert.ToInt32(rows[i][1], 16));
            if (i > 0)
            {
                Assert.Equal(packets[i].Comment, rows[i][2]);   // the first one has many lines
            }
        }
    }

    private static Result Replay(byte[] recording)
    {
        using var output = new MemoryStream();
        ReplayResult result = RecordingRun.RunAsync(
            new ReplayOptions { Input = "REC.pcapng", Scenario = string.Empty, Output = "X.pcapng" },
            _ => new MemoryStream(recording), _ => output, null, Stop).GetAwaiter().GetResult();
        return new Result(output.ToArray(), result.Report, result.Damage);
    }

    private static Block[] Blocks(byte[] file)
    {
        List<Block> blocks = [];
        for (int at = 0; at < file.Length;)
        {
            ReadOnlySpan<byte> block = file.AsSpan(at, BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at + 4)));
            bool isPacket = BinaryPrimitives.ReadUInt32LittleEndian(block) == 6;
            string comment = string.Empty;
            var direction = FrameDirection.None;
            if (isPacket)
            {
                RecordingBlocks.ReadOptions(
                    new CaptureRecord { Octets = block, DataOffset = 28, CapturedLength = BinaryPrimitives.ReadInt32LittleEndian(block[20..]) },
                    out direction, out comment);
            }

            blocks.Add(new Block(blocks.Count + 1, at, block.Length, isPacket, isPacket ? block[8] : -1, (int)direction, comment));
            at += block.Length;
        }

        return [.. blocks];
    }

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private async Task<(int Status, string Error)> CommandAsync(byte[] recording, params string[] arguments)
    {
        string input = PathOf("REC.pcapng");
        await File.WriteAllBytesAsync(input, recording, Stop);
        using var output = new MemoryStream();
        using var error = new StringWriter();
        using var nothing = new MemoryStream();
        var streams = new CommandStreams(nothing, output, error);
        int status = await CommandLine.RunAsync(["replay", input, .. arguments], streams, ReplayJob.RunAsync);
        return (status, error.ToString());
    }

    private sealed record Result(byte[] Output, ReplayReport Report, CaptureDamage? Damage);

    private sealed record Block(int Number, long Offset, int Length, bool IsPacket, int Interface, int Direction, string Comment)
    {
        public bool BeginsStep => Interface == 2 || Comment == "ondemand: in 0" || Comment.StartsWith("ondemand: in 0;", StringComparison.Ordinal);
    }
}
