using System.Text;
using OnDemand.Captures.Files;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Tests.Files;
using OnDemand.Cli;
using Xunit;
using static OnDemand.Captures.Tests.Replay.MadePackets;

namespace OnDemand.Captures.Tests.Replay;

/// <summary><c>ondemand replay</c> from its arguments to its files and its exit status.</summary>
public sealed class ReplayCommandTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("replay");

    private static readonly ShippedScenario Web = new("captures/web-download/graceful.yaml");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Flows_that_nothing_is_told_of_are_counted_and_rewritten_all_the_same()
    {
        ReplayOf told = await ReplayOf.ShippedAsync(Web, options => options with { HostOutput = null, Translations = null });
        ReplayOf quiet = await ReplayOf.ShippedAsync(Web, options => options with { HostOutput = null, Translations = null, Quiet = true });

        Assert.Equal(told.Output, quiet.Output);
        Assert.Equal(told.Report.Totals, quiet.Report.Totals);
        Assert.NotEmpty(told.Report.Flows);
        Assert.Empty(quiet.Report.Flows);
        Assert.Equal(told.Report.Totals.Flows, quiet.Report.FlowsLeftOut);
    }

    [Fact]
    public async Task A_dash_is_standard_input_and_output_and_nothing_else_is_written_there()
    {
        ReplayOf expected = await ReplayOf.ShippedAsync(Web);

        Outcome outcome = await RunAsync(await File.ReadAllBytesAsync(Web.InputPath, Stop), "-", "--scenario", Web.Path, "--output", "-");

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        Assert.Equal(expected.Output, outcome.Output);
    }

    [Fact]
    public async Task A_scenario_can_come_from_standard_input()
    {
        string output = PathOf("out.pcap");

        Outcome outcome = await RunAsync(await File.ReadAllBytesAsync(Web.Path, Stop), Web.InputPath, "--scenario", "-", "--output", output, "--quiet");

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        Assert.Empty(outcome.Output);
        Assert.Equal((await ReplayOf.ShippedAsync(Web)).Output, await File.ReadAllBytesAsync(output, Stop));
    }

    [Fact]
    public async Task The_name_of_the_output_says_its_format()
    {
        string output = PathOf("out.pcapng");

        Outcome outcome = await RunAsync([], Web.InputPath, "--scenario", Web.Path, "--output", output);

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        byte[] file = await File.ReadAllBytesAsync(output, Stop);
        Assert.Equal([0x0a, 0x0d, 0x0d, 0x0a], file[..4]);
        IReadOnlyList<SeenPacket> expected = await ReplayOf.PacketsAsync((await ReplayOf.ShippedAsync(Web)).Output);
        Assert.Equal(
            expected.Select(packet => (packet.Time, packet.OriginalLength, Convert.ToHexString(packet.Data))),
            (await ReplayOf.PacketsAsync(file)).Select(packet => (packet.Time, packet.OriginalLength, Convert.ToHexString(packet.Data))));
    }

    [Theory]
    [InlineData("--output", "--host-output")]
    [InlineData("--host-output", "--output")]
    public async Task Explanations_do_not_fit_into_a_pcap_file_and_nothing_is_overwritten_to_find_that_out(string wrong, string right)
    {
        string old = PathOf("old.pcap");
        string other = PathOf("other.pcapng");
        await File.WriteAllTextAsync(old, "precious", Stop);
        await File.WriteAllTextAsync(other, "precious too", Stop);

        Outcome outcome = await RunAsync([], Web.InputPath, "--scenario", Web.Path, wrong, old, right, other, "--explain");

        Assert.Equal(ExitStatus.Usage, outcome.Status);
        Assert.Equal($"ondemand: '{old}' is named as a pcap file, which cannot hold the comments of --explain; name it .pcapng.\n", outcome.Error);
        Assert.Equal("precious", await File.ReadAllTextAsync(old, Stop));
        Assert.Equal("precious too", await File.ReadAllTextAsync(other, Stop));
    }

    [Fact]
    public async Task The_input_is_not_overwritten_in_another_folder_that_is_the_same()
    {
        string input = PathOf("in.pcap");
        File.Copy(Web.InputPath, input);
        Directory.CreateSymbolicLink(PathOf("here"), _folder.FullName);
        string output = PathOf("here/in.pcap");

        Outcome outcome = await RunAsync([], input, "--scenario", Web.Path, "--output", output);

        Assert.Equal((ExitStatus.Usage, $"ondemand: IN and --output are both '{output}'; give each its own.\n"), (outcome.Status, outcome.Error));
        Assert.Equal(await File.ReadAllBytesAsync(Web.InputPath, Stop), await File.ReadAllBytesAsync(input, Stop));
    }

    [Fact]
    public async Task Two_outputs_are_not_the_same_new_file_under_two_names()
    {
        Directory.CreateSymbolicLink(PathOf("here"), _folder.FullName);

        Outcome outcome = await RunAsync(
            [], Web.InputPath, "--scenario", Web.Path, "--output", PathOf("new.pcap"), "--host-output", PathOf("here/new.pcap"));

        Assert.Equal(ExitStatus.Usage, outcome.Status);
        Assert.False(File.Exists(PathOf("new.pcap")));
    }

    [Fact]
    public async Task Tshark_shows_why_each_packet_became_what_it_is()
    {
        string output = PathOf("out.pcapng");
        string host = PathOf("host.pcapng");
        Outcome outcome = await RunAsync([], Web.InputPath, "--scenario", Web.Path, "--output", output, "--host-output", host, "--explain", "--quiet");
        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));

        string? comments = await Tool.RunAsync("tshark", "-n", "-r", output, "-T", "fields", "-e", "frame.comment");
        string? made = await Tool.RunAsync("tshark", "-n", "-r", host, "-Y", "frame.comment", "-T", "fields", "-e", "tcp.flags.reset", "-e", "frame.comment");

        Assert.SkipWhen(comments is null || made is null, "tshark is not installed.");
        string[] lines = comments!.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal((await ReplayOf.ShippedAsync(Web)).Report.Totals.PacketsWritten, lines.Length);
        Assert.StartsWith("ondemand: new flow, source 2001:db8:91:1:", lines[0], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.StartsWith("ondemand: ", line, StringComparison.Ordinal));
        Assert.All(
            made!.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            line => Assert.Equal("1\tondemand: made by the dataplane, reset because of address-ended", line));
    }

    [Fact]
    public async Task What_comes_before_damage_is_written_and_the_place_is_told()
    {
        byte[] whole = await File.ReadAllBytesAsync(Web.InputPath, Stop);
        string input = PathOf("cut.pcap");
        await File.WriteAllBytesAsync(input, whole[..40_000], Stop);
        string output = PathOf("out.pcap");

        Outcome outcome = await RunAsync([], input, "--scenario", Web.Path, "--output", output, "--quiet");

        Assert.Equal(ExitStatus.DamagedInput, outcome.Status);
        CaptureRun run = await CaptureRun.ReadAsync(whole[..40_000]);
        Assert.StartsWith($"ondemand: {input}: ", outcome.Error, StringComparison.Ordinal);
        Assert.Contains($"{run.Damage!.Offset}", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(1, outcome.Error.Count(character => character == '\n'));
        byte[] written = await File.ReadAllBytesAsync(output, Stop);
        Assert.Equal((await ReplayOf.ShippedAsync(Web)).Output[..written.Length], written);
        Assert.Equal(run.Packets.Count, (await ReplayOf.PacketsAsync(written)).Count);
    }

    [Fact]
    public async Task An_empty_input_gives_an_empty_output_and_status_3()
    {
        string output = PathOf("out.pcap");

        Outcome outcome = await RunAsync([], "-", "--scenario", Web.Path, "--output", output, "--quiet");

        Assert.Equal(ExitStatus.DamagedInput, outcome.Status);
        Assert.Equal(0, new FileInfo(output).Length);
    }

    [Fact]
    public async Task Who_takes_another_file_for_a_capture_loses_no_output_of_before()
    {
        string output = PathOf("out.pcap");
        await File.WriteAllTextAsync(output, "precious", Stop);

        Outcome outcome = await RunAsync("this is no capture"u8.ToArray(), "-", "--scenario", Web.Path, "--output", output, "--quiet");

        Assert.Equal(ExitStatus.DamagedInput, outcome.Status);
        Assert.Equal("precious", await File.ReadAllTextAsync(output, Stop));
    }

    // The capture says that one UDP socket sent from two addresses while both were there, which no scenario without a move explains.
    [Fact]
    public async Task A_capture_that_the_scenario_cannot_explain_gives_status_1_and_a_sentence()
    {
        string input = PathOf("in.pcap");
        string scenario = PathOf("s.yaml");
        string output = PathOf("out.pcap");
        await File.WriteAllBytesAsync(
            input, MadeCaptures.Pcap([Udp("2001:db8:f1::7", 5000, Remote, 53), Udp("2001:db8:f2::7", 5000, Remote, 53)]), Stop);
        await File.WriteAllTextAsync(
            scenario,
            """
            internal: ["fd00::1"]
            network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:f1::/64", type: fixed}, {prefix: "2001:db8:f2::/64", type: fixed}]}]
            """,
            Stop);

        Outcome outcome = await RunAsync([], input, "--scenario", scenario, "--output", output, "--taken", "outside");

        Assert.Equal(ExitStatus.VerificationFailed, outcome.Status);
        Assert.Equal(
            $"ondemand: {output}: verification failed for 1 of 2 packets; first: packet 2: it did not come back from the engine as it was captured.\n", outcome.Error);
        Assert.Contains("VERIFICATION FAILED", Encoding.UTF8.GetString(outcome.Output), StringComparison.Ordinal);
    }

    [Fact]
    public void Progress_is_told_on_standard_error()
    {
        using var error = new StringWriter();
        using (var line = new ProgressLine(error, 1_000))
        {
            line.Show(new ReplayProgress(500, 20_000, TimeSpan.FromSeconds(20)));
        }

        Assert.Contains("50 %, 20,000 packets, 1,000 packets/s, 20 s", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_runs_write_the_same_octets_into_every_file()
    {
        List<byte[][]> runs = [];
        foreach (string run in (string[])["one", "two"])
        {
            DirectoryInfo folder = _folder.CreateSubdirectory(run);
            string[] files = ["out.pcapng", "host.pcapng", "translations.json", "report.json", "timeline.html"];
            string[] paths = [.. files.Select(file => Path.Combine(folder.FullName, file))];
            Outcome outcome = await RunAsync(
                [], Path.Combine(ShippedScenario.Folder, "four-types", "input.pcapng"), "--scenario", Path.Combine(ShippedScenario.Folder, "four-types", "move.yaml"),
                "--output", paths[0], "--host-output", paths[1], "--translations", paths[2], "--report", paths[3], "--timeline", paths[4], "--explain", "--quiet");
            Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
            runs.Add([.. paths.Select(path => Normalize(File.ReadAllText(path, Encoding.Latin1), folder.FullName))]);
        }

        Assert.All(runs[0], file => Assert.NotEmpty(file));
        Assert.Equal(runs[0], runs[1]);
    }

    // The report names the files and how long it took; all else is the same.
    private static byte[] Normalize(string text, string folder) => Encoding.Latin1.GetBytes(string.Join(
        '\n', text.Replace(folder, string.Empty, StringComparison.Ordinal).Split('\n').Where(line => !line.Contains("\"elapsed", StringComparison.Ordinal))));

    private string PathOf(string name) => Path.Combine(_folder.FullName, name);

    private static async Task<Outcome> RunAsync(byte[] input, params string[] arguments)
    {
        using var standardInput = new MemoryStream(input);
        using var output = new MemoryStream();
        using var error = new StringWriter();
        int status = await CommandLine.RunAsync(["replay", .. arguments], new CommandStreams(standardInput, output, error), ReplayJob.RunAsync);
        return new Outcome(status, output.ToArray(), error.ToString());
    }

    private sealed record Outcome(int Status, byte[] Output, string Error);
}
