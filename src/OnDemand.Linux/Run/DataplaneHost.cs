using System.Globalization;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;
using OnDemand.Linux.Host;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Service;
using OnDemand.Linux.State;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <summary>
/// One dataplane: one TAP, one engine, one thread, and one more for each further queue (<see cref="QueueWorker"/>). <see cref="Run"/> is the
/// first thread's loop; everything else may be called from any thread.
/// </summary>
/// <remarks>
/// A turn of the loop:
/// <code>
/// packets      a batch is read, handled, written back
/// commands     of other threads, a few at a time
/// timetable    what the configuration makes happen now, and answers to the engine's questions
/// deadlines    of the engine; the sweep after a prefix has ended, a slice at a time
/// wait         for a frame, a command, a change on the host or the next deadline, if there was nothing to do
/// </code>
/// After each step the engine's outputs are written, its questions put, its events followed: a prefix that is added is routed into the
/// TAP, one that has ended no more.
/// </remarks>
internal sealed partial class DataplaneHost : IDataplaneControl, ISocketControl, IEngineShell, IDisposable
{
    private const int CommandsInTurn = 8;
    private const int NewsInTurn = 64;
    private const int TurnsBetweenLooks = 64;        // under load nobody waits, and changes on the host must be seen all the same
    private const int NewsOfNetwork = 64;            // in a step: a provider that says much is heard in the next one again
    private const int LastBatches = 256;             // at shutdown: what is in the TAP's queue (500 frames by default) and its echoes

    // ppoll(2) does not count the time that the machine was suspended: this late, at most, what fell due meanwhile is done.
    private static readonly Duration LongestSleep = Duration.FromSeconds(5);

    // The kernel tells of what an interface loses before it tells that the interface is down.
    private static readonly Duration RepairDelay = Duration.FromMilliseconds(100);

    private readonly DataplaneEngine _engine;
    private readonly EngineDrive _drive;
    private readonly IHostNetwork _network;
    private readonly IDataplaneObserver? _observer;
    private readonly StateKeeper? _keeper;
    private readonly SocketBroker? _broker;
    private readonly SocketServices? _services;
    private readonly SocketBinding[] _adopted;
    private readonly Action<string> _say;
    private readonly HostClock _clock;
    private readonly HostSettings _settings;
    private readonly IFrameDevice _device;
    private readonly FramePump _pump;
    private readonly RoutedPrefixes _routed = new();
    private readonly AttachmentControl _attachments;
    private readonly HostTimetable _timetable;
    private readonly IPrefixProvider _provider;
    private readonly Duration _answerTimeout;
    private readonly ControlQueue _commands = new();
    private readonly WakeUp _wakeUp = new();
    private readonly PollEntry[] _waitsOn = new PollEntry[3];
    private int _turnsSinceLook;
    private bool _isGivenUp;                         // the refusal that is being handed in stands for silence
    private Timestamp _repairAt = Timestamp.Never;
    private string _disturbed = string.Empty;
    private bool _tapDown;
    private bool _tapGone;
    private Timestamp _now;                          // of the turn
    private volatile bool _stopping;
    private volatile bool _isAtRest;                 // the loop is over
    private volatile Scenario _scenario;             // with the policy that is in force

    /// <summary>Makes a dataplane; nothing happens before <see cref="Run"/>.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="options">The engine's options.</param>
    /// <param name="device">The TAP.</param>
    /// <param name="network">The host's network.</param>
    /// <param name="say">Takes sentences for the user.</param>
    /// <param name="observer">Watches; null for nobody.</param>
    /// <param name="keeper">Keeps the state on disk; null for nobody.</param>
    /// <param name="saved">What the last run left; null or empty to begin afresh. If there is something, the configuration's events of the
    /// network are over: they were the last run's.</param>
    /// <param name="time">The clocks; null for the machine's.</param>
    /// <param name="broker">Knows whose flows are; null for nobody, then sockets are known by their ports.</param>
    /// <param name="services">Takes requests of sockets; null for nobody.</param>
    /// <param name="provider">Speaks to the network; the caller ends it. Null for the configuration's own table.</param>
    /// <param name="otherQueues">The TAP's other queues; null if it has one.</param>
    /// <exception cref="ScenarioException">The configuration's events are not in time order.</exception>
    public DataplaneHost(
        HostConfig config, DataplaneOptions options, IFrameDevice device, IHostNetwork network, Action<string> say,
        IDataplaneObserver? observer = null, StateKeeper? keeper = null, SavedState? saved = null, TimeProvider? time = null,
        SocketBroker? broker = null, SocketServices? services = null, IPrefixProvider? provider = null,
        IReadOnlyList<IFrameDevice>? otherQueues = null)
    {
        options = options with { AskSockets = broker is not null, AskEchoSockets = broker is { KnowsEchoes: true } };
        _clock = new HostClock(time ?? BootTime.Instance);
        Start = _clock.Now;
        config.Scenario.CheckOrder(Start);
        _settings = config.Host;
        _scenario = config.Scenario;
        _engine = new DataplaneEngine(options, Start);
        _drive = new EngineDrive(_engine, this);
        observer?.OnStart(options, Start);
        _device = device;
        _network = network;
        _say = say;
        _observer = observer;
        _keeper = keeper;
        _broker = broker;
        _services = services;
        _attachments = new AttachmentControl(_drive, network, Start, observer);
        bool goesOn = saved is { HasNetwork: true };
        Restored = goesOn ? _attachments.Restore(saved!, Start) : default;
        _adopted = goesOn ? [.. saved!.Bindings.Values.Select(kept => kept.Binding)] : [];
        Scenario ahead = goesOn ? config.Scenario with { Network = [] } : config.Scenario;
        _timetable = new HostTimetable(ahead, _drive, _attachments, Start, observer);
        _provider = provider ?? new StaticProvider(config.Scenario, options.AddressSeed);
        _answerTimeout = options.NetworkAnswerTimeout;
        _otherQueues = [.. otherQueues ?? []];
        _pump = new FramePump(_engine, _drive, device, _routed, _clock, _settings, observer, _otherQueues.Length > 0 ? this : null);
        _current = _pump;
        _workers = MakeWorkers(observer);
        _waitsOn[0] = new PollEntry { Descriptor = device.Descriptor, Wanted = Libc.PollIn };
        _waitsOn[1] = new PollEntry { Descriptor = _wakeUp.Descriptor, Wanted = Libc.PollIn };
        _waitsOn[2] = new PollEntry { Descriptor = -1, Wanted = Libc.PollIn };
    }

    /// <inheritdoc/>
    public Scenario Scenario => _scenario;

    /// <summary>When the run began.</summary>
    public Timestamp Start { get; }

    /// <summary>What was taken over from the last run.</summary>
    public Restored Restored { get; }

    /// <summary>The time by which the engine counts. From any thread.</summary>
    public Timestamp Now => _clock.Now;

    /// <summary>Whether the loop was asked to end.</summary>
    public bool IsStopping => _stopping;

    /// <summary>The way to the engine when the loop is over: what it is given is carried out at once, and must only look.</summary>
    public IDataplaneControl AtRest => new Resting(this);

    /// <summary>What the loop counts; to be read in a command.</summary>
    public ShellCounters Counters =>
        _workers.Length == 0 ? _pump.Counters : ShellCounters.Sum([.. Pumps.Select(pump => pump.Counters)]);

    /// <inheritdoc/>
    public Task<T> RunAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(work);
        var command = new ControlCommand<T>(work, cancellationToken);
        if (_commands.TryAdd(command) is { } refusal)
        {
            return Task.FromException<T>(refusal);
        }

        _wakeUp.Ring();
        return command.Task;
    }

    /// <summary>Sets policy anew: rules, inbound rules and default, for flows that begin from now on. From any thread.</summary>
    /// <param name="policy">The policy.</param>
    /// <returns>Ends when it is in force.</returns>
    /// <exception cref="InvalidOperationException">The dataplane is shutting down, or too many commands wait.</exception>
    public Task SetPolicyAsync(ScenarioPolicy policy)
    {
        ServicePolicy built = policy.Build();
        return RunAsync(context =>
        {
            _drive.Settle();                         // of a step before in the same turn
            _observer?.OnPolicy(policy, context.Now);
            _drive.SetPolicy(built, context.Now);
            _scenario = _scenario with { Policy = policy };
            return true;
        });
    }

    /// <summary>Wakes the loop, which then takes what is new. From any thread.</summary>
    public void Wake() => _wakeUp.Ring();

    /// <summary>Asks the loop to end. From any thread.</summary>
    public void Stop()
    {
        _stopping = true;
        _wakeUp.Ring();
    }

    /// <summary>
    /// The loop, on the calling thread, until <see cref="Stop"/>. Then what is under way is finished, and the host's network is taken back.
    /// </summary>
    /// <exception cref="HostException">The host cannot do it, or no more: the TAP was deleted. What was done is taken back all the
    /// same.</exception>
    public void Run()
    {
        try
        {
            _network.Apply();
        }
        catch
        {
            _commands.Close();                       // nobody will carry them out
            throw;
        }

        _waitsOn[2].Descriptor = _network.Descriptor;
        try
        {
            _device.RefreshHardwareAddress();        // of changes from now on the network's descriptor tells
            if (_settings.UseRing)
            {
                _device.OpenRing();
            }

            _provider.Start(Wake);
            Drain(Start);
            Adopt(Start);
            PerformDue(Start);
            StartWorkers();
            _say($"Running on {_settings.Tap}; stop with SIGTERM or Ctrl-C.");
            while (!_stopping && !_tapGone)
            {
                bool worked = Turn();
                if (!_tapGone && (!worked || ++_turnsSinceLook >= TurnsBetweenLooks))
                {
                    Wait(worked);
                }
            }

            StopWorkers();
            LookAfterWorkers();
            Finish();
        }
        finally
        {
            _commands.Close();
            StopWorkers();
            _isAtRest = true;
            _observer?.OnStop(_clock.Now);
            _network.TakeBack();
        }

        if (_tapGone)
        {
            throw new HostException($"The TAP {_settings.Tap} was deleted while it was in use; start ondemand again to have it back.");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (QueueWorker worker in _workers)
        {
            worker.Dispose();
        }

        _wakeUp.Dispose();
    }

    /// <summary>One turn of the loop, without waiting.</summary>
    /// <returns>Whether there was anything to do.</returns>
    internal bool Turn()
    {
        bool worked = _pump.Turn(out Timestamp now);
        if (_workers.Length == 0)
        {
            _now = now;
            return Turn(worked, now);
        }

        LookAfterWorkers();
        now = BeginTurn(_pump);
        _sleepsUntil = Awake;
        try
        {
            return Turn(worked, now);
        }
        finally
        {
            EndTurn();
        }
    }

    private bool Turn(bool worked, Timestamp now)
    {
        Drain(now);
        if (!_commands.IsEmpty)
        {
            RunCommands(now);
            worked = true;
        }

        if (_broker is { HasNews: true })
        {
            TakeNews(_broker, now);
            worked = true;
        }

        if (_timetable.Next <= now || _provider.Next <= now)
        {
            PerformDue(now);
            worked = true;
        }

        if (_engine.NextDeadline <= now)
        {
            _observer?.OnAdvance(now);
            _drive.Advance(now);
            Drain(now);
            worked = true;
        }

        if (_repairAt <= now)
        {
            Repair($"Somebody removed {_disturbed}");
        }

        _tapGone |= _pump.IsDeviceGone;
        return worked;
    }

    private void RunCommands(Timestamp now)
    {
        for (int i = 0; i < CommandsInTurn && _commands.Take() is { } command; i++)
        {
            command.Execute(new ControlContext(_engine, _attachments, Counters, now) { Sockets = this });
            Drain(now);
            _pump.Counters.Commands++;
            command.Answer();
        }
    }

    /// <inheritdoc/>
    bool IEngineShell.TakeOutput(Timestamp now) => _current.TurnOutput(now);

    /// <inheritdoc/>
    void IEngineShell.Ask(in PrefixRequest question, Timestamp now) => _provider.Ask(question, now.Add(_answerTimeout), now);

    /// <inheritdoc/>
    void IEngineShell.Follow(in EngineEvent happened)
    {
        if (happened.Kind == EngineEventKind.PrefixAdded && _routed.Add(happened.Prefix))
        {
            AddRoute(happened.Prefix);
        }
        else if (happened.Kind == EngineEventKind.PrefixEnded && _routed.Remove(happened.Prefix))
        {
            RemoveRoute(happened.Prefix);
        }
        else if (happened.Kind == EngineEventKind.FlowStranded && happened.Decision.Origin == DecisionOrigin.Native)
        {
            _broker?.Abort(happened.Identity);
        }

        _provider.Follow(happened, _attachments.Current);
        _observer?.OnEvent(happened);
        _keeper?.Note(happened);
        _services?.Follow(
            _isGivenUp && happened.Kind == EngineEventKind.NetworkRefused ? happened with { Kind = EngineEventKind.NetworkSilent } : happened, _engine);
        Commands?.Follow(happened);
    }

    private void PerformDue(Timestamp now)
    {
        for (int provided = 0; ;)
        {
            if (_provider.Next <= now && _provider.Next < _timetable.Next && provided++ < NewsOfNetwork)
            {
                TakeProvided(now);
            }
            else if (_timetable.Next <= now)
            {
                _timetable.PerformNext(now);
            }
            else
            {
                return;
            }

            _drive.Settle();
        }
    }

    private void TakeProvided(Timestamp now)
    {
        if (!_provider.TryTake(now, out ProviderNews news))
        {
            return;
        }

        if (news.Answer is { } answer)
        {
            _observer?.OnAnswer(answer, now);
            _isGivenUp = news.IsSilence;
            _drive.Answer(answer, now);
            _drive.Settle();
            _isGivenUp = false;
        }
        else if (news.Network is { } happens)
        {
            _attachments.Perform(happens, now);
        }
    }

    // Everything that the engine has to say. An answer without delay is there before anything else happens.
    private void Drain(Timestamp now)
    {
        _drive.Settle();
        PerformDue(now);
    }

    private unsafe void Wait(bool onlyLook)
    {
        _turnsSinceLook = 0;
        Timestamp next = onlyLook ? Timestamp.Never : _workers.Length == 0 ? NextDue() : FallAsleep();
        TimeSpec timeout = default;
        if (next != Timestamp.Never && !onlyLook)
        {
            Timestamp time = _clock.Now;
            long left = next <= time ? 0 : Math.Min(next.Since(time).Nanoseconds, LongestSleep.Nanoseconds);
            timeout = new TimeSpec { Seconds = left / Timestamp.NanosecondsPerSecond, Nanoseconds = left % Timestamp.NanosecondsPerSecond };
        }

        int found = Libc.Poll(_waitsOn, (nuint)_waitsOn.Length, next == Timestamp.Never && !onlyLook ? null : &timeout, 0);
        if (found <= 0)
        {
            return;                                  // a deadline, or a signal
        }

        _tapGone |= (_waitsOn[0].Found & (Libc.PollError | Libc.PollHangUp | Libc.PollInvalid)) != 0;
        if (_waitsOn[1].Found != 0)
        {
            _wakeUp.Answer();
        }

        if (_waitsOn[2].Found != 0)
        {
            Timestamp time = BeginTurn(_pump);
            try
            {
                FollowHost(time);
            }
            finally
            {
                EndTurn();
            }
        }
    }

    private Timestamp NextDue()
    {
        Timestamp engine = _engine.NextDeadline;
        Timestamp next = engine < _timetable.Next ? engine : _timetable.Next;
        next = _provider.Next < next ? _provider.Next : next;
        return _repairAt < next ? _repairAt : next;
    }

    // Frames that are in the TAP still go where they were sent to, and what the engine has to say is said.
    private void Finish()
    {
        FramePump[] pumps = Pumps;
        bool worked = true;
        for (int i = 0; i < LastBatches && !_tapGone && worked; i++)
        {
            worked = false;
            foreach (FramePump pump in pumps)
            {
                worked |= pump.Turn(out Timestamp now);
                Drain(now);
                _tapGone |= pump.IsDeviceGone;
            }
        }
    }

    private sealed class Resting(DataplaneHost host) : IDataplaneControl
    {
        public Scenario Scenario => host.Scenario;

        public Task<T> RunAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken) => host._isAtRest
            ? Task.FromResult(work(new ControlContext(host._engine, host._attachments, host.Counters, host.Now) { Sockets = host }))
            : Task.FromException<T>(new InvalidOperationException("The dataplane is running."));
    }
}
