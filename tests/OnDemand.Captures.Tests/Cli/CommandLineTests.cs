using System.Diagnostics;
using System.Text;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using OnDemand.Captures.Tests.Inspection;
using OnDemand.Captures.Tests.Replay;
using OnDemand.Cli;
using Xunit;

namespace OnDemand.Captures.Tests.Cli;

public sealed class CommandLineTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ondemand-cli");

    private readonly byte[] _capture = new MadeCapture().Udp("fd00::1", 1, "2001:db8::1", 2).Udp("2001:db8::1", 2, "fd00::1", 1).ToArray();

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task The_version_is_one_line()
    {
        Outcome outcome = await Run("--version");

        Assert.Equal((ExitStatus.Done, $"ondemand {CommandLine.Version}\n", string.Empty), outcome);
        Assert.Matches("^[0-9]+\\.[0-9]+\\.[0-9]+$", CommandLine.Version);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("inspect", "--help")]
    [InlineData("replay", "--help")]
    public async Task Help_documents_the_exit_statuses(params string[] arguments)
    {
        Outcome outcome = await Run(arguments);

        Assert.Equal(ExitStatus.Done, outcome.Status);
        Assert.Empty(outcome.Error);
        Assert.Contains("Exit status:\n  0  done\n  1  done, but verification failed\n  2  wrong usage", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replay_has_every_option_that_it_documents()
    {
        string help = (await Run("replay", "--help")).Output;

        Assert.All(
            (string[])["--scenario", "--output", "--host-output", "--taken", "inside|outside", "--translations", "--report", "--timeline", "--explain", "--json", "--quiet"],
            option => Assert.Contains(option, help, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("There is no 'inspct' in 'ondemand'; 'inspect' is near; 'ondemand --help' tells more.", "inspct", "x")]
    [InlineData("There is no '--jsn' in 'ondemand inspect'; '--json' is near; 'ondemand inspect --help' tells more.", "inspect", "x", "--jsn")]
    [InlineData("Required argument missing for command: 'inspect'; 'ondemand inspect --help' tells more.", "inspect")]
    [InlineData("Required command was not provided; 'ondemand --help' tells more.")]
    [InlineData("Found --taken 'upside', expected inside or outside; 'ondemand replay --help' tells more.", "replay", "x", "--taken", "upside")]
    [InlineData("A replay needs --scenario; 'ondemand inspect - --write-scenario S.yaml' writes one to start from.", "replay", "-")]
    [InlineData("A replay needs --output, the capture to write; - is standard output.", "replay", "x", "--scenario", "s")]
    [InlineData("IN and --output are both 'x'; give each its own.", "replay", "x", "--scenario", "s", "--output", "x")]
    [InlineData("--report and --timeline are both 'r'; give each its own.", "replay", "x", "--scenario", "s", "--output", "o", "--report", "r", "--timeline", "r")]
    [InlineData("IN and --scenario are both standard input; give each its own.", "replay", "-", "--scenario", "-", "--output", "o")]
    [InlineData("--output and --json both write to standard output; give --output a file name.", "replay", "x", "--scenario", "s", "--output", "-", "--json")]
    [InlineData("Standard output can take the scenario or the JSON, not both; give --write-scenario a file name.", "inspect", "x", "--json", "--write-scenario", "-")]
    [InlineData("Required argument missing for command: 'exec'; 'ondemand lab exec --help' tells more.", "lab", "exec", "host")]
    [InlineData("There is no 'x' in 'ondemand lab up'; 'ondemand lab up --help' tells more.", "lab", "up", "x")]
    [InlineData("There is no node 'hots' in a lab; the nodes are host, ar1, ar2, anchor, peer; 'ondemand lab exec --help' tells more.", "lab", "exec", "hots", "true")]
    [InlineData("'../x' cannot be a lab's name; take up to 24 of a-z, 0-9 and '-'; 'ondemand lab down --help' tells more.", "lab", "down", "--name", "../x")]
    [InlineData("Found --gap 'infinite', expected a time such as 500ms, 10s or 2m; 'ondemand lab move --help' tells more.", "lab", "move", "ar2", "--gap", "infinite")]
    [InlineData("Found --gap '61m', expected a time such as 500ms, 10s or 2m; 'ondemand lab move --help' tells more.", "lab", "move", "ar2", "--gap", "61m")]
    [InlineData("Found --window 'infinite', expected a time such as 500ms, 10s or 2m; 'ondemand lab move --help' tells more.", "lab", "move", "ar2", "--window", "infinite")]
    [InlineData("Found --window '0s', expected a time such as 500ms, 10s or 2m; 'ondemand lab move --help' tells more.", "lab", "move", "ar2", "--window", "0s")]
    [InlineData("--prefix, --window and --gap are about the network that the host comes to, and nowhere is none: leave them out.", "lab", "move", "nowhere", "--window", "5s")]
    [InlineData("--prefix, --window and --gap are about the network that the host comes to, and nowhere is none: leave them out.", "lab", "move", "nowhere", "--gap", "0s")]
    [InlineData("--prefix, --window and --gap are about the network that the host comes to, and nowhere is none: leave them out.", "lab", "move", "nowhere", "--prefix", "2001:db8::/64,fixed")]
    [InlineData("A lab that is --plain has no dataplane that could --record; leave one of them out.", "lab", "up", "--plain", "--record", "r.pcapng")]
    [InlineData("A lab that is --plain has no dataplane that could --record; leave one of them out.", "lab", "run", "s", "--plain", "--record", "r.pcapng")]
    [InlineData("Cannot parse argument 'many' for option '--limit' as a whole number; 'ondemand flows --help' tells more.", "flows", "--limit", "many")]
    public async Task Wrong_usage_is_one_sentence_and_status_2(string sentence, params string[] arguments) =>
        Assert.Equal((ExitStatus.Usage, string.Empty, $"ondemand: {sentence}\n"), await Run(arguments));

    // What a script hands on when a variable of its is not set.
    [Theory]
    [InlineData("IN", "inspect", "")]
    [InlineData("--write-scenario", "inspect", "x", "--write-scenario", "")]
    [InlineData("IN", "replay", "", "--scenario", "s", "--output", "o")]
    [InlineData("--scenario", "replay", "x", "--scenario", "", "--output", "o")]
    [InlineData("--output", "replay", "x", "--scenario", "s", "--output", "")]
    [InlineData("--report", "replay", "x", "--scenario", "s", "--output", "o", "--report", "")]
    [InlineData("--output", "demo", "--output", "")]
    [InlineData("--config", "run", "--config", "")]
    [InlineData("--record", "run", "--config", "x", "--record", "")]
    [InlineData("--scenario", "lab", "up", "--scenario", "")]
    [InlineData("SCENARIO", "lab", "run", "")]
    [InlineData("--control", "status", "--control", "")]
    public async Task An_empty_name_is_no_file(string name, params string[] arguments)
    {
        Outcome outcome = await Run(arguments);

        Assert.Equal((ExitStatus.Usage, string.Empty), (outcome.Status, outcome.Output));
        Assert.StartsWith($"ondemand: What is given for {name} is empty; 'ondemand ", outcome.Error, StringComparison.Ordinal);
        AssertOneSentence(outcome);
    }

    [Theory]
    [InlineData("in.pcap")]
    [InlineData("soft.pcap")]
    [InlineData("hard.pcap")]
    public async Task The_input_is_never_overwritten_whatever_it_is_called(string output)
    {
        string path = Save("in.pcap", _capture);
        File.CreateSymbolicLink(Path.Combine(_folder.FullName, "soft.pcap"), path);
        using (var link = Process.Start("ln", [path, Path.Combine(_folder.FullName, "hard.pcap")]))
        {
            await link.WaitForExitAsync(TestContext.Current.CancellationToken);
        }

        output = Path.Combine(_folder.FullName, output);

        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: IN and --write-scenario are both '{output}'; give each its own.\n"),
            await Run("inspect", path, "--write-scenario", output));
        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: IN and --output are both '{output}'; give each its own.\n"),
            await Run("replay", path, "--scenario", "s", "--output", output));
        Assert.Equal(_capture, await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("--config", "run", "--config")]
    [InlineData("the scenario", "lab", "up", "--scenario")]
    [InlineData("the scenario", "lab", "run")]
    public async Task A_recording_is_never_written_over_what_it_is_a_recording_of(string name, params string[] command)
    {
        string path = Save("s.yaml", "internal: [fd00::1]\n"u8.ToArray());

        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: {name} and --record are both '{path}'; give each its own.\n"),
            await Run([.. command, path, "--record", path]));
        Assert.Equal(20, new FileInfo(path).Length);
    }

    [Theory]
    [InlineData("--output")]
    [InlineData("--host-output")]
    [InlineData("--translations")]
    [InlineData("--report")]
    [InlineData("--timeline")]
    public async Task Where_an_output_cannot_be_nothing_is_done(string option)
    {
        string folder = Path.Combine(_folder.FullName, "no");
        string path = Path.Combine(folder, "file");
        string[] replay = ["replay", Save("in.pcap", _capture), "--scenario", "s", .. option == "--output" ? (string[])[] : ["--output", "o"]];

        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: There is no directory '{folder}' for the {option} '{path}'.\n"),
            await Run([.. replay, option, path]));
        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: The {option} '{_folder.FullName}' is a directory, expected a file.\n"),
            await Run([.. replay, option, _folder.FullName]));
    }

    [Fact]
    public async Task A_recording_that_is_not_there_needs_no_scenario()
    {
        string path = Path.Combine(_folder.FullName, "nothing.pcapng");

        Assert.Equal((ExitStatus.Usage, string.Empty, $"ondemand: There is no file '{path}'.\n"), await Run("replay", path, "--output", "o"));
    }

    [Fact]
    public async Task A_file_that_is_not_there_is_named()
    {
        string path = Path.Combine(_folder.FullName, "nothing.pcap");

        Assert.Equal((ExitStatus.Usage, string.Empty, $"ondemand: There is no file '{path}'.\n"), await Run("inspect", path));
    }

    [Fact]
    public async Task A_folder_that_is_not_there_is_named()
    {
        string path = Path.Combine(_folder.FullName, "no", "s.yaml");

        Outcome outcome = await Run("inspect", Save("in.pcap", _capture), "--write-scenario", path);

        Assert.Equal(ExitStatus.Usage, outcome.Status);
        Assert.Contains(path, outcome.Error, StringComparison.Ordinal);
        AssertOneSentence(outcome);
    }

    [Fact]
    public async Task A_folder_is_no_capture()
    {
        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: '{_folder.FullName}' is a directory, expected a file.\n"),
            await Run("inspect", _folder.FullName));
        Assert.Equal(
            (ExitStatus.Usage, string.Empty, $"ondemand: {_folder.FullName}:1:1: found a directory, expected a file.\n"),
            await Run("run", "--config", _folder.FullName));
    }

    [Fact]
    public async Task Inspect_says_what_is_in_a_capture_and_writes_a_scenario()
    {
        string scenario = Path.Combine(_folder.FullName, "s.yaml");

        Outcome outcome = await Run("inspect", Save("in.pcap", _capture), "--write-scenario", scenario);

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        Assert.Contains("pcap, 2 packets", outcome.Output, StringComparison.Ordinal);
        Assert.Equal("fd00::1/128", Assert.Single(ScenarioReader.Load(scenario).Internal).ToString());
    }

    [Fact]
    public async Task A_dash_is_standard_input_and_output()
    {
        Outcome outcome = await Run(_capture, ["inspect", "-", "--write-scenario", "-"]);

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        Assert.NotEmpty(ScenarioReader.Parse("-", Encoding.UTF8.GetBytes(outcome.Output)).Network);
    }

    [Fact]
    public async Task Json_goes_to_standard_output_alone()
    {
        Outcome outcome = await Run(_capture, ["inspect", "-", "--json"]);

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        Assert.StartsWith("{\n  \"input\": \"-\",\n", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_damaged_capture_is_told_up_to_the_damage_and_gives_status_3()
    {
        string path = Save("cut.pcap", _capture[..^5]);

        Outcome outcome = await Run("inspect", path);

        Assert.Equal(ExitStatus.DamagedInput, outcome.Status);
        Assert.Contains("1 packet,", outcome.Output, StringComparison.Ordinal);
        Assert.StartsWith($"ondemand: {path}: ", outcome.Error, StringComparison.Ordinal);
        AssertOneSentence(outcome);
    }

    [Fact]
    public async Task What_is_no_capture_gives_status_3()
    {
        Outcome outcome = await Run("this is no capture"u8.ToArray(), ["inspect", "-"]);

        Assert.Equal(ExitStatus.DamagedInput, outcome.Status);
        AssertOneSentence(outcome);
    }

    [Fact]
    public async Task A_capture_without_flows_has_no_scenario()
    {
        byte[] silent = new MadeCapture().Packet("fe80::1", "ff02::1", 58, [134, 0, 0, 0, 0, 0, 0, 0], 255).ToArray();
        string scenario = Path.Combine(_folder.FullName, "s.yaml");

        Outcome outcome = await Run(silent, ["inspect", "-", "--write-scenario", scenario]);

        Assert.Equal(ExitStatus.Usage, outcome.Status);
        Assert.False(File.Exists(scenario));
        AssertOneSentence(outcome);
    }

    [Fact]
    public async Task Inspect_takes_the_times_of_a_broken_clock_for_those_that_can_be_told()
    {
        byte[] packet = MadePackets.Udp("fd00::1", 5000, "2001:db8:1::1", 53);
        CaptureBytes file = new CaptureBytes(false).Section();
        file.Interface(101, 0, [.. file.OffsetOption(long.MinValue), .. file.End]).Interface(101, 0, [.. file.OffsetOption(long.MaxValue), .. file.End])
            .Enhanced(0, 0, packet).Enhanced(1, ulong.MaxValue, packet);
        string scenario = Path.Combine(_folder.FullName, "s.yaml");

        Outcome outcome = await Run("inspect", Save("in.pcapng", file.ToArray()), "--write-scenario", scenario);

        Assert.Equal((ExitStatus.Done, string.Empty), (outcome.Status, outcome.Error));
        Assert.Contains("from 0.000000000 to 9223372036.854775807", outcome.Output, StringComparison.Ordinal);
        Assert.Single(ScenarioReader.Load(scenario).Network);
    }

    [Fact]
    public async Task Replay_hands_every_option_to_the_driver()
    {
        ReplayOptions? seen = null;

        Outcome outcome = await Run(
            [],
            [
                "replay", "in.pcap", "--scenario", "s.yaml", "--output", "-", "--host-output", "h.pcap", "--taken", "outside", "--translations", "t.json",
                "--report", "r.json", "--timeline", "t.html", "--explain",
            ],
            (options, _, _) =>
            {
                seen = options;
                return Task.FromResult(ExitStatus.VerificationFailed);
            });

        Assert.Equal(ExitStatus.VerificationFailed, outcome.Status);
        Assert.Equal(
            new ReplayOptions
            {
                Input = "in.pcap",
                Scenario = "s.yaml",
                Output = "-",
                HostOutput = "h.pcap",
                TakenOutside = true,
                Translations = "t.json",
                Report = "r.json",
                Timeline = "t.html",
                Explain = true,
                Quiet = true,   // the capture has standard output for itself
            },
            seen);
    }

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Whatever_goes_wrong_is_one_sentence_without_a_stack_trace(Exception failure, int status, string sentence)
    {
        Outcome outcome = await Run([], ["replay", "in.pcap", "--scenario", "s", "--output", "o"], (_, _, _) => throw failure);

        Assert.Equal((status, string.Empty, $"ondemand: {sentence}\n"), outcome);
    }

    public static TheoryData<Exception, int, string> Failures => new()
    {
        { new ScenarioException("s.yaml", 3, 7, "found 'x', expected y"), 2, "s.yaml:3:7: found 'x', expected y." },
        { new UnauthorizedAccessException("Access to the path '/etc/shadow' is denied."), 2, "Access to the path '/etc/shadow' is denied." },
        { new IOException("No space left on device : '/tmp/o'", 28), 4, "No space left on device : '/tmp/o'. What was being written ends there." },
        { new IOException("Not a directory : '/tmp/o'", 20), 2, "Not a directory : '/tmp/o'." },
        { new OperationCanceledException(), 130, "Stopped." },
        { new InvalidOperationException("two\nlines"), 70, "A mistake in this program, please report it: InvalidOperationException: two lines." },
    };

    private string Save(string name, byte[] content)
    {
        string path = Path.Combine(_folder.FullName, name);
        File.WriteAllBytes(path, content);
        return path;
    }

    private static void AssertOneSentence(Outcome outcome)
    {
        Assert.EndsWith(".\n", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(1, outcome.Error.Count(character => character == '\n'));
        Assert.DoesNotContain(" at OnDemand", outcome.Error, StringComparison.Ordinal);
    }

    private static Task<Outcome> Run(params string[] arguments) => Run([], arguments);

    private static async Task<Outcome> Run(byte[] input, string[] arguments, ReplayRunner? replay = null)
    {
        using var standardInput = new MemoryStream(input);
        using var output = new MemoryStream();
        using var error = new StringWriter();
        replay ??= (_, _, _) => throw new InvalidOperationException("No test without a driver of its own may come this far.");
        int status = await CommandLine.RunAsync(arguments, new CommandStreams(standardInput, output, error), replay);
        return new Outcome(status, Encoding.UTF8.GetString(output.ToArray()), error.ToString());
    }

    private readonly record struct Outcome(int Status, string Output, string Error)
    {
        public static implicit operator Outcome((int Status, string Output, string Error) parts) => new(parts.Status, parts.Output, parts.Error);
    }
}
