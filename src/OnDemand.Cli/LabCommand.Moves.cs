using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;

namespace OnDemand.Cli;

/// <content>What moves the host: <c>lab move</c> and <c>lab run</c>.</content>
internal static partial class LabCommand
{
    private const string Nowhere = "nowhere";

    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(5);

    private static readonly Duration LongestGap = Duration.FromSeconds(3600);

    private static Command Move(CommandStreams streams)
    {
        Option<string> name = Name();
        var point = new Argument<string>("ROUTER")
        {
            Description = "Where to: ar1, ar2, a point of attachment of the lab's scenario, or nowhere.",
        };
        Option<Duration?> window = Span(
            "--window", "How long gracefully replaced prefixes stay; as the scenario says, or 10s.", span => span > Duration.Zero && span < Duration.Infinite);
        Option<Duration?> gap = Span(
            "--gap", "Cut the old link this long before the new one is there, at most 1h; else the new one is there first.",
            span => span <= LongestGap);
        Option<string[]> prefix = AttachCommand.PrefixOption();
        prefix.Description += " Left out: what the scenario says.";
        var command = new Command("move", "Move the host: its link, the network's routes and the dataplane.")
        {
            name, point, prefix, window, gap,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            string called = parsed.GetRequiredValue(name);
            string target = parsed.GetRequiredValue(point);
            string[] given = parsed.GetValue(prefix) ?? [];
            if (target == Nowhere && (given.Length > 0 || parsed.GetValue(window) is not null || parsed.GetValue(gap) is not null))
            {
                throw new UsageException("--prefix, --window and --gap are about the network that the host comes to, and nowhere is none: leave them out.");
            }

            await LabPrivileges.EnterAsync(called, create: false, cancellationToken).ConfigureAwait(false);
            Lab lab = Lab.Open(called);

            // With all that the dataplane could refuse: it is told when the network has moved already.
            IReadOnlyList<PrefixAdvertisement>? prefixes =
                given.Length > 0 ? AttachCommand.Read(target, given, null, lab.Scenario.Scenario).Move.Prefixes : null;
            long began = Stopwatch.GetTimestamp();
            if (target == Nowhere)
            {
                await lab.DetachAsync(cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await lab.MoveAsync(target, prefixes, parsed.GetValue(window), parsed.GetValue(gap)?.ToTimeSpan(), cancellationToken)
                    .ConfigureAwait(false);
            }

            string took = string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(began).TotalMilliseconds:0} ms");
            using TextWriter text = streams.OpenText();
            await text.WriteLineAsync(
                lab.State.Serving is { } router ? $"The host is at {router} ({took})." : $"The host is attached nowhere ({took}).")
                .ConfigureAwait(false);
            return ExitStatus.Done;
        });
        return command;
    }

    private static Command Run(CommandStreams streams)
    {
        Option<string> name = Name();
        var scenario = new Argument<string>("SCENARIO") { Description = "A scenario file, the same that 'ondemand replay' takes." };
        var program = new Argument<string[]>("COMMAND")
        {
            Description = "A program to run on the host meanwhile, after --; the run ends with it, and with its status.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var keep = new Option<bool>("--keep") { Description = "Leave the lab there afterwards." };
        Option<bool> plain = Plain();
        Option<string?> record = Record();
        var command = new Command(
            "run", "Play the moves of a scenario in real time, in the lab that is there or in one that is built for it and removed again.")
        {
            name, scenario, program, keep, plain, record,
        };
        command.SetAction((parsed, cancellationToken) => RunAsync(
            new LabOptions
            {
                Name = parsed.GetRequiredValue(name),
                ScenarioFile = parsed.GetRequiredValue(scenario),
                Plain = parsed.GetValue(plain),
                Record = parsed.GetValue(record),
            },
            parsed.GetValue(program) ?? [],
            parsed.GetValue(keep),
            streams,
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(
        LabOptions options, string[] program, bool keep, CommandStreams streams, CancellationToken cancellationToken)
    {
        if (program.Length > 0 && await RefuseProgramAsync(program[0], streams).ConfigureAwait(false) is { } status)
        {
            return status;
        }

        CheckRecord(options);
        LabScript.Check(ScenarioReader.Load(options.ScenarioFile!));
        await LabPrivileges.EnterAsync(options.Name, create: true, cancellationToken).ConfigureAwait(false);
        bool built = new LabDirectory(options.Name).Load() is null;
        Lab lab = built ? await Lab.UpAsync(options, cancellationToken).ConfigureAwait(false) : Lab.Open(options.Name);
        if (!built)
        {
            CheckKind(lab.State, options);
            await lab.RestartAsync(options.ScenarioFile, options.Record, cancellationToken).ConfigureAwait(false);
        }

        var script = new LabScript(lab, line => streams.Error.WriteLine(line));
        try
        {
            if (program.Length == 0)
            {
                await script.PlayAsync(CancellationToken.None, cancellationToken).ConfigureAwait(false);
                return ExitStatus.Done;
            }

            return await PlayBesideAsync(script, lab, program, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (built && !keep)
            {
                await Lab.DownAsync(options.Name, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    // Moves and the command side by side: when the command is over, so is the run; and it does not outlive the run.
    private static async Task<int> PlayBesideAsync(LabScript script, Lab lab, string[] program, CancellationToken cancellationToken)
    {
        using Process child = Start(lab, program);
        using var over = new CancellationTokenSource();
        try
        {
            Task playing = script.PlayAsync(over.Token, cancellationToken);
            Task ending = child.WaitForExitAsync(cancellationToken);
            if (await Task.WhenAny(playing, ending).ConfigureAwait(false) == ending)
            {
                await over.CancelAsync().ConfigureAwait(false);
            }

            await playing.ConfigureAwait(false);
            await ending.ConfigureAwait(false);
            return child.ExitCode;
        }
        finally
        {
            await EndAsync(child).ConfigureAwait(false);
        }
    }

    private static async Task EndAsync(Process child)
    {
        if (child.HasExited)
        {
            return;
        }

        _ = Libc.Kill(child.Id, Libc.SignalTerminate);
        using var patience = new CancellationTokenSource(TimeToEnd);
        try
        {
            await child.WaitForExitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            child.Kill(entireProcessTree: true);
        }
    }

    // A lab is built with a dataplane or without, and stays so.
    private static void CheckKind(LabState there, LabOptions options)
    {
        if (options.Plain && !there.Plain)
        {
            throw new UsageException(
                $"The lab '{there.Name}' is there and has a dataplane: leave --plain out, remove the lab, or give another --name.");
        }

        CheckRecord(options with { Plain = there.Plain });
    }

    // It shares our standard streams.
    private static Process Start(Lab lab, string[] program)
    {
        var start = new ProcessStartInfo(
            CommandRunner.Find("ip"), ["netns", "exec", LabNodes.Namespace(lab.State.Name, LabNodes.Host), .. program])
        {
            UseShellExecute = false,
        };
        foreach ((string variable, string value) in lab.Directory.Variables)
        {
            start.Environment[variable] = value;
        }

        return Process.Start(start) ?? throw new HostException($"'{program[0]}' could not be started.");
    }

    private static Option<Duration?> Span(string option, string description, Func<Duration, bool> fits) => new(option)
    {
        Description = description,
        HelpName = "TIME",
        CustomParser = result =>
        {
            string text = result.Tokens is [{ } token] ? token.Value : string.Empty;
            if (ScenarioText.TryDuration(text, out Duration span) && fits(span))
            {
                return span;
            }

            result.AddError($"Found {option} '{text}', expected a time such as 500ms, 10s or 2m.");
            return null;
        },
    };
}
