using System.CommandLine;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Linux.Control;
using Spectre.Console;

namespace OnDemand.Cli;

/// <summary><c>ondemand top</c>: a running dataplane, live.</summary>
internal static class TopCommand
{
    private const string Help = "q or Ctrl-C ends";
    private const int PlainWidth = 110;
    private const string Enter = "\e[?1049h\e[?25l";
    private const string Leave = "\e[?25h\e[?1049l";

    private static readonly TimeSpan Glance = TimeSpan.FromMilliseconds(50);

    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var once = new Option<bool>("--once") { Description = "Write one frame and end; so it is where standard output is no terminal." };
        var interval = new Option<string>("--interval")
        {
            Description = "The time between two frames, 100ms to 1h.",
            HelpName = "D",
            DefaultValueFactory = _ => "1s",
        };
        Option<string?> control = ControlAccess.PathOption();
        var command = new Command("top", "Watch a running dataplane: flows by type, rates, windows counting down, drops.")
        {
            once, interval, control,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            TimeSpan pause = PauseOf(parsed.GetRequiredValue(interval));
            bool live = !parsed.GetValue(once) && !Console.IsOutputRedirected;
            return live
                ? WatchAsync(parsed.GetValue(control), pause, cancellationToken)
                : LookAsync(streams, parsed.GetValue(control), pause, cancellationToken);
        });
        return command;
    }

    private static TimeSpan PauseOf(string text) =>
        ScenarioText.TryDuration(text, out Duration pause) && pause >= Duration.FromMilliseconds(100) && pause <= Duration.FromSeconds(3600)
            ? new TimeSpan(pause.Nanoseconds / 100)
            : throw new UsageException($"Found --interval {ScalarNode.Quote(text)}, expected a duration from 100ms to 1h.");

    // Rates need two samples.
    private static async Task<int> LookAsync(CommandStreams streams, string? control, TimeSpan pause, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.Open(control);
        var model = new TopModel();
        await SampleAsync(client, model, cancellationToken).ConfigureAwait(false);
        await Task.Delay(pause, cancellationToken).ConfigureAwait(false);
        await SampleAsync(client, model, cancellationToken).ConfigureAwait(false);
        using TextWriter text = streams.OpenText();
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            ColorSystem = ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = PlainWidth;
        console.Write(TopView.Draw(model, help: null));
        return ExitStatus.Done;
    }

    private static async Task<int> WatchAsync(string? control, TimeSpan pause, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.Open(control);
        var model = new TopModel();

        // Before the screen changes: that nobody answers is said on the usual one.
        await SampleAsync(client, model, cancellationToken).ConfigureAwait(false);
        IAnsiConsole console = AnsiConsole.Console;
        await Console.Out.WriteAsync(Enter).ConfigureAwait(false);
        try
        {
            console.Clear();
            await console.Live(TopView.Draw(model, Help)).AutoClear(true).Overflow(VerticalOverflow.Crop).StartAsync(async frame =>
            {
                while (!await WaitAsync(pause, cancellationToken).ConfigureAwait(false))
                {
                    await SampleAsync(client, model, cancellationToken).ConfigureAwait(false);
                    frame.UpdateTarget(TopView.Draw(model, Help));
                }
            }).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Ctrl-C is the usual way out.
        }
        finally
        {
            await Console.Out.WriteAsync(Leave).ConfigureAwait(false);
        }

        return ExitStatus.Done;
    }

    private static async Task SampleAsync(ControlClient client, TopModel model, CancellationToken cancellationToken)
    {
        StatusResource status = await client.StatusAsync(cancellationToken).ConfigureAwait(false);
        model.Add(status, await client.CountersAsync(cancellationToken).ConfigureAwait(false));
    }

    // Waits for the next frame; true as soon as the user has pressed q.
    private static async Task<bool> WaitAsync(TimeSpan pause, CancellationToken cancellationToken)
    {
        long until = Environment.TickCount64 + (long)pause.TotalMilliseconds;
        while (Environment.TickCount64 < until)
        {
            while (!Console.IsInputRedirected && Console.KeyAvailable)
            {
                if (Console.ReadKey(intercept: true).Key is ConsoleKey.Q or ConsoleKey.Escape)
                {
                    return true;
                }
            }

            await Task.Delay(Glance, cancellationToken).ConfigureAwait(false);
        }

        return false;
    }
}
