using System.CommandLine;
using System.Runtime.InteropServices;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;
using OnDemand.Linux.Host;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Recording;
using OnDemand.Linux.Run;
using OnDemand.Linux.Service;
using OnDemand.Linux.State;
using OnDemand.Linux.Tap;

namespace OnDemand.Cli;

/// <summary><c>ondemand run</c>: the dataplane between this host's stack and the network, until SIGTERM or SIGINT.</summary>
internal static class RunCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var config = new Option<string>("--config")
        {
            HelpName = "HOST.yaml",
            Required = true,
            Description = "The configuration: a scenario with a map 'host'.",
        };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only print what would be done to this host, as ip commands." };
        var record = new Option<string?>("--record") { HelpName = "REC.pcapng", Description = "Record both sides; 'ondemand replay REC.pcapng --output X' replays it." };
        var limit = new Option<string?>("--record-limit") { HelpName = "SIZE", Description = "How long the recording may become; 256MiB unless said." };
        var command = new Command("run", "Run the dataplane on this host.") { config, dryRun, record, limit };
        command.SetAction((parsed, cancellationToken) =>
        {
            HostConfig host = HostConfigReader.Load(parsed.GetRequiredValue(config));
            return parsed.GetValue(dryRun) ? DryRunAsync(host, streams)
                : RunAsync(host, RecordingOptions.Read(parsed.GetValue(record), parsed.GetValue(limit)), streams, cancellationToken);
        });
        return command;
    }

    private static async Task<int> DryRunAsync(HostConfig config, CommandStreams streams)
    {
        HostPlan plan = TapNetwork.PlanFor(config.Scenario, config.Host) with { TypedPrefixes = FirstPrefixes(config.Scenario) };
        plan.Check();
        using TextWriter text = streams.OpenText();
        foreach (string line in plan.ToIpCommands())
        {
            await text.WriteLineAsync(line).ConfigureAwait(false);
        }

        return ExitStatus.Done;
    }

    // Without the kernel's knowledge of sockets everything works but types for single sockets.
    private static SocketBroker? MakeBroker(HostSettings settings, DataplaneOptions options, Action<string> say)
    {
        if (!settings.AskSockets)
        {
            return null;
        }

        try
        {
            return new SocketBroker(options.MaximumSocketQuestions, judge: null, say);
        }
        catch (HostException problem)
        {
            say($"{problem.Message.TrimEnd('.')}; until then types go by port and policy.");
            return null;
        }
    }

    private static IPrefixProvider MakeProvider(HostConfig config, DataplaneOptions options, Action<string> say) =>
        config.Host.Provider is { } program
            ? new ScriptProvider(program, config.Scenario, options, say) : new StaticProvider(config.Scenario);

    // Those that the configuration's network gives at the start.
    private static IpPrefix[] FirstPrefixes(Scenario scenario) =>
    [
        .. scenario.Network.OfType<AttachEvent>().Where(attach => attach.At == ScenarioTime.Start)
            .SelectMany(attach => attach.Prefixes).Select(prefix => prefix.Prefix).Distinct(),
    ];

    private static async Task<int> RunAsync(
        HostConfig config, RecordingOptions? record, CommandStreams streams, CancellationToken cancellationToken)
    {
        HostSettings settings = config.Host;
        using var only = InstanceLock.Take(settings.Control, settings.Tap);
        using var tap = TapDevice.Open(settings.Tap);
        using var network = new TapNetwork(TapNetwork.PlanFor(config.Scenario, settings), InstanceLock.NotesFor(settings.Control));
        using LiveRecorder? recorder = record is null ? null : new LiveRecorder(record, config.Scenario, settings.Tap, tap.HardwareAddress, Say);
        string stateFile = StateKeeper.FileIn(settings.State);
        SavedState saved = StateKeeper.Load(stateFile, config.Scenario);
        var keeper = new StateKeeper(stateFile, Say);
        DataplaneOptions options = EngineSeeds.BuildOptions(config);
        using SocketBroker? broker = MakeBroker(settings, options, Say);
        IPrefixProvider provider = MakeProvider(config, options, Say);
        await using var providing = provider.ConfigureAwait(false);
        var services = new SocketServices();
        await using var serving = services.ConfigureAwait(false);
        using var host = new DataplaneHost(
            config, options, tap, network, Say, recorder, keeper: keeper, saved: saved, broker: broker, services: services,
            provider: provider);
        services.Start(host);
        using var stop = cancellationToken.Register(host.Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        keeper.Start(host);
        await using var keeping = keeper.ConfigureAwait(false);
        if (saved.DamagedLines is [int line, ..])
        {
            Say($"Line {line} of {stateFile} is not understood and was left out, with {saved.DamagedLines.Count - 1} more; the rest is "
                + "used.");
        }

        if (saved.HasNetwork)
        {
            Say($"Going on where the last run stopped: {host.Restored}.");
        }

        broker?.Start(tap.Index, host.Wake, host);
        Task loop = Task.Factory.StartNew(host.Run, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            ControlServer server = await ControlServer.StartAsync(host, settings.Control, cancellationToken).ConfigureAwait(false);
            await using (server.ConfigureAwait(false))
            {
                await loop.ConfigureAwait(false);
            }
        }
        catch (Exception problem) when (
            problem is OperationCanceledException or InvalidOperationException
            && (host.IsStopping || cancellationToken.IsCancellationRequested))
        {
            // The end was asked for before the control server was there.
        }
        finally
        {
            // What ended the loop is the reason, whatever became of the server because of it.
            host.Stop();
            await loop.ConfigureAwait(false);
            broker?.Dispose();                       // before the host, which it wakes
            await provider.DisposeAsync().ConfigureAwait(false);
        }

        return ExitStatus.Done;

        void Say(string sentence) => streams.Error.WriteLine($"ondemand: {sentence}");

        void End(PosixSignalContext context)
        {
            context.Cancel = true;                   // the process ends when everything is taken back
            host.Stop();
        }
    }
}
