using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using OnDemand.Cli;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>One scenario file drives the lab, where it happens, and the replay, where it is calculated; they say the same.</summary>
public sealed partial class LabRunTests
{
    private const int Pings = 20;

    private const string Scenario =
        """
        seed: 42
        internal: [fd00:db8::1]
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:a1:1::/64, type: nonpersistent}
          - at: 2s
            attach: ar2
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:a2:1::/64, type: nonpersistent}
          - {at: 4s, withdraw: 2001:db8:a2:1::/64}
        policy: {default: nonpersistent}
        """;

    // On the host: what programs send and receive, as a capture; and a program that asks all the time.
    private const string Script =
        """
        tcpdump -i od0 -U --immediate-mode -n -Z root -w "$1" 'icmp6 and net fd00:db8::/32' 2> "$1.said" &
        until grep -qs 'listening on' "$1.said"; do sleep 0.02; done
        ping -c "$2" -i 0.25 -W 1 "$3" > "$1.ping"
        sleep 0.5
        kill -INT $!
        wait $!
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_happens_in_the_lab_is_what_the_replay_of_the_same_scenario_calculates()
    {
        LabRig.Need("tcpdump", "ping");
        await using LabRig rig = await LabRig.UpAsync();
        (string file, string inside, string recording) = (Place(rig, "s.yaml"), Place(rig, "inside.pcap"), Place(rig, "live.pcapng"));
        await File.WriteAllTextAsync(file, Scenario, Cancellation);
        NetworkCapture capture = await rig.CaptureAsync();

        CommandResult run = await OnDemandAsync(
            "lab", "run", "--name", rig.Name, "--record", recording, file, "--",
            "sh", "-c", Script, "sh", inside, Pings.ToString(CultureInfo.InvariantCulture), LabLinks.PeerAddress);
        await capture.StopAsync();
        Assert.Matches(
            @"^ +0\.000 s  attached to ar1\n +2\.\d+ s  moved to ar2 \(router ar2\), 2 prefixes\n +4\.\d+ s  withdrew 2001:db8:a2:1::/64\n$",
            run.Error);

        // The lab was there before and stays; its dataplane ends so that the recording is whole.
        Assert.True(await Lab.Open(rig.Name).EndDataplaneAsync(Cancellation));

        // The same file with what the programs sent: the same typed addresses in the same order.
        (string outside, string calculation) = (Place(rig, "outside.pcap"), Place(rig, "calculation.json"));
        await OnDemandAsync("replay", inside, "--scenario", file, "--output", outside, "--report", calculation, "--quiet");
        const string asked = "icmp6[icmp6type] = 128";
        string[] calculated = Sources((await CommandRunner.RunAsync("tcpdump", ["-r", outside, "-n", asked], null, Cancellation)).Output);
        string[] happened = Sources(string.Join('\n', await capture.FindAsync(asked)));
        Assert.Equal(2, happened.Length);
        Assert.Equal(happened, calculated);
        await capture.AssertCleanAsync();

        // And the recording alone: the same octets, and moves that did the same to the flow.
        (string again, string report) = (Place(rig, "again.pcapng"), Place(rig, "report.json"));
        await OnDemandAsync("replay", recording, "--output", again, "--report", report, "--quiet");
        Assert.Equal(await File.ReadAllBytesAsync(recording, Cancellation), await File.ReadAllBytesAsync(again, Cancellation));
        string[] moves = await MovesAsync(report);
        Assert.Equal(["attach ar1 0 0", "attach ar2 1 0", "withdraw 2001:db8:a2:1::/64 0 0"], moves);
        Assert.Equal(moves, await MovesAsync(calculation));
    }

    // Whatever asks for a type needs the programs' socket, which is no more in its usual place than the operator's is.
    [Fact]
    public async Task A_program_on_the_host_finds_both_sockets_of_the_labs_dataplane()
    {
        await using LabRig rig = await LabRig.UpAsync();
        string scenario = Place(rig, "s.yaml");
        await File.WriteAllTextAsync(scenario, Scenario, Cancellation);
        foreach (string[] where in (string[][])[["exec", "--name", rig.Name, LabNodes.Host], ["run", "--name", rig.Name, scenario]])
        {
            CommandResult bindings = await OnDemandAsync(["lab", .. where, "--", .. LabProgram.Self.Line(["bindings"])]);
            CommandResult flows = await OnDemandAsync(["lab", .. where, "--", .. LabProgram.Self.Line(["flows"])]);
            Assert.EndsWith("0 bindings.\n", bindings.Output, StringComparison.Ordinal);
            Assert.EndsWith(" flows.\n", flows.Output, StringComparison.Ordinal);

            // 'ondemand exec' needs its name too: another dataplane of this machine's may be the only one in the usual place.
            CommandResult name = await OnDemandAsync(["lab", .. where, "--", "printenv", "ONDEMAND_TAP"]);
            Assert.EndsWith($"{LabHostFile.Tap}\n", name.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_command_ends_the_run_and_never_outlives_it()
    {
        await using LabRig rig = await LabRig.UpAsync();
        string scenario = Place(rig, "s.yaml");
        await File.WriteAllTextAsync(scenario, Scenario.Replace("at: 2s", "at: 3600s", StringComparison.Ordinal)
            .Replace("at: 4s", "at: 3601s", StringComparison.Ordinal), Cancellation);
        string[] run = LabProgram.Self.Line(["lab", "run", "--name", rig.Name, scenario, "--"]);

        CommandResult ended = await CommandRunner.RunAsync(run[0], [.. run[1..], "sh", "-c", "exit 7"], null, Cancellation)
            .WaitAsync(TimeSpan.FromMinutes(1), Cancellation);
        Assert.Equal((7, LabNodes.FirstRouter), (ended.Status, Lab.Open(rig.Name).State.Serving));

        // Stopped as a service manager stops it: what it began is ended with it, though the lab stays.
        string marker = Place(rig, "pid");
        using Process running = Process.Start(run[0], [.. run[1..], "sh", "-c", $"echo $$ > {marker}.new && mv {marker}.new {marker} && exec sleep 3600"]);
        Assert.True(SpinWait.SpinUntil(() => File.Exists(marker), TimeSpan.FromMinutes(1)));
        string process = $"/proc/{(await File.ReadAllTextAsync(marker, Cancellation)).Trim()}";
        Assert.True(Directory.Exists(process));
        using Process kill = Process.Start("kill", ["-TERM", running.Id.ToString(CultureInfo.InvariantCulture)]);
        await running.WaitForExitAsync(Cancellation).WaitAsync(TimeSpan.FromMinutes(1), Cancellation);
        Assert.Equal((ExitStatus.Interrupted, false), (running.ExitCode, Directory.Exists(process)));
    }

    [Theory]
    [InlineData("no-such-program", ExitStatus.NotFound, "there is no program 'no-such-program'")]
    [InlineData("/etc/passwd", ExitStatus.CannotRun, "'/etc/passwd' is not executable")]
    [InlineData("/etc", ExitStatus.CannotRun, "'/etc' is a directory")]
    [InlineData("ondemand.dll", ExitStatus.NotFound, "there is no program 'ondemand.dll'")]    // it is where the command is started, not in PATH
    public async Task A_program_that_cannot_be_run_is_said_before_anything_is_done(string program, int status, string reason)
    {
        foreach (string[] command in (string[][])[["exec", LabNodes.Host], ["run", "no-such-scenario"]])
        {
            string[] line = LabProgram.Self.Line(["lab", .. command, "--name", "never-there", "--", program]);
            CommandResult refused = await CommandRunner.RunAsync("env", ["-C", AppContext.BaseDirectory, .. line], null, Cancellation);
            Assert.Equal((status, $"ondemand: The command cannot be run: {reason}.\n"), (refused.Status, refused.Error));
        }
    }

    [Fact]
    public async Task A_move_can_give_other_prefixes_than_the_scenario_does()
    {
        LabRig.Need("tcpdump", "ping");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        string[] move = ["lab", "move", "--name", rig.Name, LabNodes.SecondRouter];
        await OnDemandAsync([.. move, "--prefix", "2001:db8:f1::7/128,type=fixed", "--prefix", "2001:db8:abc::/64,type=nonpersistent,valid=1h"]);
        using Socket server = rig.Server(LabNodes.Peer, SocketType.Dgram, 9003);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Dgram);
        await host.ConnectAsync(new IPEndPoint(LabRig.Peer, 9003), Cancellation);
        byte[] word = new byte[1];
        await host.SendAsync(word, Cancellation);
        SocketReceiveFromResult asked = await server.ReceiveFromAsync(word, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation);
        Assert.StartsWith("2001:db8:abc:0:", ((IPEndPoint)asked.RemoteEndPoint).Address.ToString(), StringComparison.Ordinal);
        await server.SendToAsync(word, asked.RemoteEndPoint, Cancellation);
        Assert.Equal(1, await host.ReceiveAsync(word, Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(10), Cancellation));
        await capture.StopAsync();
        await capture.AssertCleanAsync();

        string[] wrong = LabProgram.Self.Line([.. move, "--prefix", "2001:db8::/48"]);
        CommandResult refused = await CommandRunner.RunAsync(wrong[0], wrong[1..], null, Cancellation);
        Assert.Contains("which the lab's network is made of", refused.Error, StringComparison.Ordinal);

        // What the dataplane would refuse does not move the network alone.
        LabState before = Lab.Open(rig.Name).State;
        wrong = LabProgram.Self.Line([.. move[..^1], LabNodes.FirstRouter, "--prefix", "fd00:db8::1/128,type=fixed"]);
        refused = await CommandRunner.RunAsync(wrong[0], wrong[1..], null, Cancellation);
        Assert.Equal(
            (ExitStatus.Usage, "ondemand: Found the internal address fd00:db8::1 as a prefix from the network, expected an address that is not internal.\n"),
            (refused.Status, refused.Error));
        LabState after = Lab.Open(rig.Name).State;
        Assert.Equal((before.Serving, before.Moves), (after.Serving, after.Moves));
    }

    // Who compares a typed host with an ordinary one must not be handed the same one twice.
    [Fact]
    public async Task A_lab_with_a_dataplane_does_not_become_a_plain_one()
    {
        await using LabRig rig = await LabRig.UpAsync();
        string scenario = Place(rig, "s.yaml");
        await File.WriteAllTextAsync(scenario, Scenario, Cancellation);
        string[] wrong = LabProgram.Self.Line(["lab", "run", "--name", rig.Name, "--plain", scenario]);
        CommandResult refused = await CommandRunner.RunAsync(wrong[0], wrong[1..], null, Cancellation);

        Assert.Equal(ExitStatus.Usage, refused.Status);
        Assert.Contains($"The lab '{rig.Name}' is there and has a dataplane", refused.Error, StringComparison.Ordinal);
        Assert.Equal(rig.Lab.State.Dataplane, Lab.Open(rig.Name).State.Dataplane);
    }

    // Each with the flows that went over and those that were stranded.
    private static async Task<string[]> MovesAsync(string report)
    {
        using JsonDocument said = JsonDocument.Parse(await File.ReadAllBytesAsync(report, Cancellation));
        return
        [
            .. said.RootElement.GetProperty("moves").EnumerateArray().Select(move =>
                $"{move.GetProperty("kind")} {move.GetProperty("name")} {move.GetProperty("wentOver")} {move.GetProperty("stranded")}"),
        ];
    }

    private static string Place(LabRig rig, string name) => Path.Combine(rig.Place, name);

    private static async Task<CommandResult> OnDemandAsync(params string[] arguments)
    {
        string[] line = LabProgram.Self.Line(arguments);
        CommandResult result = await CommandRunner.RunAsync(line[0], line[1..], null, Cancellation);
        Assert.True(result.Status == 0, $"'{string.Join(' ', arguments)}' gave {result.Status}: {result.Error}{result.Output}");
        return result;
    }

    // Each source once, as they came up.
    private static string[] Sources(string lines) => [.. Source().Matches(lines).Select(line => line.Groups[1].Value).Distinct()];

    [GeneratedRegex("IP6 ([0-9a-f:]+) >")]
    private static partial Regex Source();
}
