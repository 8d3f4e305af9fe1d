using System.CommandLine;
using OnDemand.Captures.Replay;
using OnDemand.Linux;
using OnDemand.Linux.Lab;
using OnDemand.Linux.Lab.Demo;

namespace OnDemand.Cli;

/// <summary>
/// <c>ondemand demo</c>: a lab, eight flows of four types, a move, and what becomes of each. Where no lab can be built, a recording of such
/// a lab is replayed instead.
/// </summary>
internal static class DemoCommand
{
    private const string UsualPlace = "ondemand-demo";
    private const string Recording = "recording.pcapng";
    private const string Timeline = "timeline.html";
    private const string ShippedCapture = "four-types.pcapng";
    private const string ShippedScenario = "four-types.yaml";

    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <param name="replay">Does a replay.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams, ReplayRunner replay)
    {
        var place = new Option<string>("--output")
        {
            Description = "The directory for the recording and the timeline; files of an earlier demo are overwritten.",
            HelpName = "DIR",
            DefaultValueFactory = _ => UsualPlace,
        };
        var replayOnly = new Option<bool>("--replay") { Description = "Replay the shipped recording, without a lab." };
        var command = new Command("demo", "Watch the four types of RFC 8653 in a move: half a minute, nothing is left behind.")
        {
            place, replayOnly,
        };
        command.SetAction((parsed, cancellationToken) => RunAsync(
            Path.GetFullPath(parsed.GetRequiredValue(place)), parsed.GetValue(replayOnly), streams, replay, cancellationToken));
        return command;
    }

    /// <summary>Makes the commands that the demo runs inside its lab; nobody else needs them.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The commands.</returns>
    public static IEnumerable<Command> CreatePrograms(CommandStreams streams) =>
    [
        Program("demo-peer", "The demo's correspondent.", streams, (output, stop) => new DemoPeer(output).RunAsync(stop)),
        Program("demo-client", "The demo's programs.", streams, (output, stop) => new DemoClient(output).RunAsync(stop)),
    ];

    private static Command Program(string name, string description, CommandStreams streams, Func<TextWriter, CancellationToken, Task> run)
    {
        var command = new Command(name, description) { Hidden = true };
        command.SetAction(async (_, cancellationToken) =>
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            using TextWriter text = streams.OpenText();
            Task running = run(TextWriter.Synchronized(text), stop.Token);
            await Task.WhenAny(running, DemoTraffic.InputEndsAsync(streams.Input)).ConfigureAwait(false);
            await stop.CancelAsync().ConfigureAwait(false);
            await running.ConfigureAwait(false);
            return ExitStatus.Done;
        });
        return command;
    }

    private static async Task<int> RunAsync(
        string place, bool replayOnly, CommandStreams streams, ReplayRunner replay, CancellationToken cancellationToken)
    {
        string? reason = replayOnly ? string.Empty : await EnterAsync(cancellationToken).ConfigureAwait(false);
        bool made = !Directory.Exists(place);
        Directory.CreateDirectory(place);
        bool whole = false;
        try
        {
            int status = ExitStatus.Done;
            if (reason is null)
            {
                (status, reason) = await RunLiveAsync(place, streams, replay, cancellationToken).ConfigureAwait(false);
            }

            if (reason is not null)
            {
                if (reason.Length > 0)
                {
                    await streams.Error.WriteAsync($"ondemand: {reason} Here is a recording instead.\n").ConfigureAwait(false);
                }

                status = await ReplayAsync(place, streams, replay, cancellationToken).ConfigureAwait(false);
            }

            whole = true;
            return status;
        }
        finally
        {
            // Nothing stays of a demo that was stopped, or that wrote nothing.
            if (made && (!whole || !Directory.EnumerateFileSystemEntries(place).Any()))
            {
                Directory.Delete(place, recursive: true);
            }
        }
    }

    // Why there can be no lab here; null if there can.
    private static async Task<string?> EnterAsync(CancellationToken cancellationToken)
    {
        try
        {
            await LabPrivileges.EnterAsync(DemoRun.Name, create: true, cancellationToken).ConfigureAwait(false);
            LabPrivileges.Check();
            return null;
        }
        catch (HostException problem)
        {
            return problem.Message;
        }
    }

    private static async Task<(int Status, string? Reason)> RunLiveAsync(
        string place, CommandStreams streams, ReplayRunner replay, CancellationToken cancellationToken)
    {
        string recording = Path.Combine(place, Recording);
        string timeline = Path.Combine(place, Timeline);
        using TextWriter text = streams.OpenText();
        using var flushing = new FlushingWriter(text);
        using TextWriter output = TextWriter.Synchronized(flushing);
        var demo = new DemoRun(output, recording);
        bool well;
        try
        {
            well = await demo.RunAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (HostException problem) when (!demo.IsBuilt)
        {
            return (ExitStatus.Done, problem.Message);
        }

        // The recording has everything in it that a replay needs; it must come out as it was, octet for octet.
        string again = Path.Combine(place, "replayed.pcapng");
        var options = new ReplayOptions { Input = recording, Scenario = string.Empty, Output = again, Timeline = timeline, Quiet = true };
        int status = await replay(options, streams, cancellationToken).ConfigureAwait(false);
        File.Delete(again);
        await output.WriteLineAsync($"\nRecording  {recording}\nTimeline   {timeline}").ConfigureAwait(false);
        return (well ? status : ExitStatus.VerificationFailed, null);
    }

    private static async Task<int> ReplayAsync(
        string place, CommandStreams streams, ReplayRunner replay, CancellationToken cancellationToken)
    {
        string input = Unpack(ShippedCapture, Path.Combine(place, Recording));
        string scenario = Unpack(ShippedScenario, Path.Combine(place, "scenario.yaml"));
        var options = new ReplayOptions
        {
            Input = input,
            Scenario = scenario,
            Output = Path.Combine(place, "network.pcapng"),
            Timeline = Path.Combine(place, Timeline),
        };
        int status = await replay(options, streams, cancellationToken).ConfigureAwait(false);
        using TextWriter text = streams.OpenText();
        await text.WriteLineAsync($"\nRecording  {input}\nScenario   {scenario}\nTimeline   {options.Timeline}").ConfigureAwait(false);
        return status;
    }

    private static string Unpack(string resource, string path)
    {
        using Stream shipped = typeof(DemoCommand).Assembly.GetManifestResourceStream(resource)
            ?? throw new InvalidOperationException($"The resource {resource} is missing.");
        using FileStream file = File.Create(path);
        shipped.CopyTo(file);
        return path;
    }
}
