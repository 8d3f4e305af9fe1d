using System.CommandLine;
using System.Runtime.InteropServices;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;
using OnDemand.Linux.Exec;
using OnDemand.Linux.Host;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Recording;
using OnDemand.Linux.Run;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
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
        var command = new Command("run", "Run the dataplane on this host. SIGHUP makes it read policy and rights in its configuration again.") { config, dryRun, record, limit };
        command.SetAction((parsed, cancellationToken) =>
        {
            NamedFiles.Check([("--config", parsed.GetRequiredValue(config), false), ("--record", parsed.GetValue(record), true)]);
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
        _ = SocketJudge.ForThisHost(config);         // whom the policy names must be there
        if (!config.Host.SetForwarding && !ForwardingSettings.IsOn())
        {
            await streams.Error.WriteLineAsync(
                "ondemand: Now the start would fail, for IPv6 forwarding is off: turn it on first, or write 'forwarding: set'.").ConfigureAwait(false);
        }

        TellForwarding(config, streams);
        using TextWriter text = streams.OpenText();
        foreach (string line in plan.ToIpCommands())
        {
            await text.WriteLineAsync(line).ConfigureAwait(false);
        }

        return ExitStatus.Done;
    }

    private static void TellForwarding(HostConfig config, CommandStreams streams)
    {
        if (!config.Host.SetForwarding && ForwardingSettings.Warning() is { } warning)
        {
            streams.Error.WriteLine($"ondemand: {warning}");
        }
    }

    // Of an earlier run of the system there are no sockets any more, and of this one's only those that the kernel or a process still has.
    private static void KeepLiving(SavedState saved, SocketBroker? broker)
    {
        HashSet<ulong> living = saved.Bindings.Count > 0 && broker is not null ? broker.Living() : [];
        if (broker is not null)
        {
            living.UnionWith(PlacedSockets.Find(
                saved.Bindings.Values.Where(kept => kept.Boot == SavedBinding.ThisBoot && !living.Contains(kept.Binding.Cookie))
                    .Select(kept => new AskingSocket(kept.Binding.Cookie, kept.Binding.Place))).Keys);
        }

        foreach ((ulong cookie, SavedBinding kept) in saved.Bindings.ToArray())
        {
            if (kept.Boot != SavedBinding.ThisBoot || !living.Contains(cookie))
            {
                saved.Bindings.Remove(cookie);
            }
        }
    }

    // Without the kernel's knowledge of sockets everything works but types for single sockets.
    private static SocketBroker? MakeBroker(HostConfig config, DataplaneOptions options, SocketJudge judge, Action<string> say)
    {
        if (!config.Host.AskSockets)
        {
            if (config.Scenario.Policy.Conditions.Count > 0)
            {
                say("No rule of the policy that names a user, group, program or cgroup will match: 'host: sockets' is off.");
            }

            return null;
        }

        try
        {
            var owners = new SocketOwners(new SocketOwnerLimits(), TimeProvider.System);
            return new SocketBroker(
                options.MaximumSocketQuestions, judge, say,
                config.Host.ReadPreferences ? new PreferenceReader(owners, TimeProvider.System) : null,
                () => EchoSockets.Open(owners, TimeProvider.System, CgroupMount.Find()));
        }
        catch (HostException problem)
        {
            say($"{problem.Message.TrimEnd('.')}; until then types go by port and policy.");
            return null;
        }
    }

    private static IPrefixProvider MakeProvider(HostConfig config, DataplaneOptions options, Action<string> say) =>
        config.Host.Provider is { } program
            ? new ScriptProvider(program, config.Scenario, options, say) : new StaticProvider(config.Scenario, options.AddressSeed);

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
        EnginePlace.Check(settings.Processor);
        var judge = SocketJudge.ForThisHost(config);
        using var only = InstanceLock.Take(settings.Control, settings.Tap);
        using var tap = TapDevice.Open(settings.Tap, queues: settings.Queues);
        using var network = new TapNetwork(TapNetwork.PlanFor(config.Scenario, settings), InstanceLock.NotesFor(settings.Control));
        using LiveRecorder? recorder = record is null ? null : new LiveRecorder(record, config.Scenario, settings.Tap, tap.HardwareAddress, Say);
        if (tap.SteeringProblem is { } why)
        {
            Say($"The kernel spreads packets over the queues of {settings.Tap} in its own way: {why}.");
        }

        if (ForwardingSettings.IsOn())               // else the start fails, and says why
        {
            TellForwarding(config, streams);
        }

        if (CommandCgroup.RemoveLeft(settings.Tap) is > 0 and int left)
        {
            Say($"Commands that were killed had left {left} empty {(left == 1 ? "cgroup" : "cgroups")}, which {(left == 1 ? "is" : "are")} removed.");
        }

        string stateFile = StateKeeper.FileIn(settings.State);
        SavedState saved = StateKeeper.Load(stateFile, config.Scenario);
        DataplaneOptions options = EngineSeeds.BuildOptions(config);
        using SocketBroker? broker = MakeBroker(config, options, judge, Say);
        IPrefixProvider provider = MakeProvider(config, options, Say);
        await using var providing = provider.ConfigureAwait(false);
        var services = new SocketServices();
        await using var serving = services.ConfigureAwait(false);
        services.KeepsChanges = true;
        KeepLiving(saved, broker);
        var keeper = new StateKeeper(stateFile, Say, services);
        _ = Rehearsal.Run();
        using var host = new DataplaneHost(
            config, options, tap, network, Say, recorder, keeper: keeper, saved: saved, broker: broker, services: services,
            provider: provider, otherQueues: tap.Others);
        services.Start(host);
        using AuditLog? audit = settings.Audit is null ? null : new AuditLog(settings.Audit, Say);
        using KernelSockets? sockets = broker is null ? null : new KernelSockets();
        using NativeSocketCheck? native = settings.SetForwarding ? null : new NativeSocketCheck();
        using SocketRequests? requests = sockets is null
            ? null : new SocketRequests(services, sockets, settings.Rights, audit, () => host.Now, TimeProvider.System,
                native is null ? null : native.WhyNot);
        CommandSockets? commands = requests is null ? null : new CommandSockets(services, requests.Accounts, audit, () => host.Now);
        if (commands is not null)
        {
            host.Commands = commands;
            judge.Use(commands);
            commands.Start();
        }

        using var stop = cancellationToken.Register(host.Stop);
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
        using var interrupted = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
        using var reload = new PolicyReload(config.Scenario.File, config, host, judge, Say);
        reload.Add("host: rights", UseRights);
        using var hungUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Reload);
        keeper.Start(host, host.AtRest);
        await using var keeping = keeper.ConfigureAwait(false);
        if (saved.DamagedLines is [int line, ..])
        {
            Say(saved.IsForeign
                ? $"{stateFile} is no state file of this version; it is kept as {saved.SetAside}, and this run begins afresh."
                : $"Line {line} of {stateFile} is damaged and was left out{(saved.DamagedLines.Count is > 1 and int lines ? $", with {lines - 1} more" : "")}; "
                    + $"the rest is used, and the file is kept as {saved.SetAside}.");
        }

        if (saved.HasNetwork)
        {
            // Who has edited it since would wait in vain for what it gives at the start.
            string aside = config.Scenario.Network.Count == 0 ? string.Empty
                : $" What the configuration says in 'network' was the last run's: to do it again, remove {stateFile} before the start.";
            Say($"Going on where the last run stopped: {host.Restored}.{aside}");
        }

        broker?.Start(tap.Index, host.Wake, host, services.Asking);
        Task loop = Task.Factory.StartNew(Carry, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            ControlServer server = await ControlServer.StartAsync(host, settings.Control, cancellationToken, requests).ConfigureAwait(false);
            await using var control = server.ConfigureAwait(false);
            UnixHttpServer? programs = settings.Programs is null || requests is null
                ? null : await ProgramServer.StartAsync(requests, settings.Programs, cancellationToken).ConfigureAwait(false);
            try
            {
                await loop.ConfigureAwait(false);
            }
            finally
            {
                if (programs is not null)
                {
                    await programs.DisposeAsync().ConfigureAwait(false);
                }
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
            if (commands is not null)
            {
                await commands.StopAsync().ConfigureAwait(false);    // before the record is closed
            }

            await provider.DisposeAsync().ConfigureAwait(false);
        }

        return ExitStatus.Done;

        void Carry()
        {
            EnginePlace.Take(settings.Processor);
            host.Run();
        }

        void Say(string sentence) => streams.Error.WriteLine($"ondemand: {sentence}");

        void UseRights(HostConfig later)
        {
            judge.Use(later.Host.Rights);
            requests?.Use(later.Host.Rights);
            if (later.Host.Rights.Quotas.RequestsPerMinute != settings.Rights.Quotas.RequestsPerMinute)
            {
                Say("What has changed in 'host: rights: quotas: requests-per-minute' needs a restart.");
            }
        }

        void Reload(PosixSignalContext context)
        {
            context.Cancel = true;
            _ = reload.RunAsync();                   // says what came of it, and never fails
        }

        void End(PosixSignalContext context)
        {
            context.Cancel = true;                   // the process ends when everything is taken back
            host.Stop();
        }
    }
}
