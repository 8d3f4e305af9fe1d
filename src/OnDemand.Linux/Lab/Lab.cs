using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Lab;

/// <summary>How a lab is built.</summary>
internal sealed record LabOptions
{
    /// <summary>The name of a lab that was given none.</summary>
    public const string UsualName = "lab";

    /// <summary>The lab's name.</summary>
    public string Name { get; init; } = UsualName;

    /// <summary>The scenario file; null for the usual scenario.</summary>
    public string? ScenarioFile { get; init; }

    /// <summary>Whether the host has ordinary addresses instead of a dataplane: what everybody has today, to compare with.</summary>
    public bool Plain { get; init; }

    /// <summary>Where the dataplane records what passes; null for nowhere.</summary>
    public string? Record { get; init; }
}

/// <summary>
/// A mobile host, two access routers, an anchor and a correspondent in network namespaces. Everything that changes a lab goes through
/// here; between two commands it is known by its namespaces and its directory only.
/// </summary>
internal sealed class Lab
{
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);

    private readonly LabDirectory _directory;
    private readonly LabTopology _topology;
    private readonly LabDataplane _dataplane;

    private Lab(LabDirectory directory, LabScenario scenario, LabState state)
    {
        _directory = directory;
        _topology = new LabTopology(state.Name);
        _dataplane = new LabDataplane(state.Name, directory);
        Scenario = scenario;
        State = state;
    }

    /// <summary>What the lab's network knows.</summary>
    public LabState State { get; private set; }

    /// <summary>What its prefixes and policy come from.</summary>
    public LabScenario Scenario { get; private set; }

    /// <summary>Is called when the network has moved and the dataplane is about to be told; null for nobody.</summary>
    public Action? NetworkMoved { get; set; }

    /// <summary>Where it keeps its files.</summary>
    public LabDirectory Directory => _directory;

    /// <summary>Builds a lab, starts its dataplane and attaches the host as the scenario does first.</summary>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Stops; nothing is left behind then.</param>
    /// <returns>The lab.</returns>
    /// <exception cref="HostException">It is there already, or this host cannot build it.</exception>
    public static async Task<Lab> UpAsync(LabOptions options, CancellationToken cancellationToken)
    {
        LabNodes.CheckName(options.Name);
        LabPrivileges.Check();
        var scenario = LabScenario.Load(options.ScenarioFile);
        var directory = new LabDirectory(options.Name);
        using IDisposable guard = await directory.LockAsync(cancellationToken).ConfigureAwait(false);
        var topology = new LabTopology(options.Name);
        if ((await topology.FindNodesAsync(cancellationToken).ConfigureAwait(false)).Count > 0)
        {
            throw new HostException(
                $"The lab '{options.Name}' is there already; 'ondemand lab down --name {options.Name}' removes it, " +
                "another --name builds a second one.");
        }

        DateTimeOffset now = DateTimeOffset.UtcNow;
        var lab = new Lab(directory, scenario, new LabState
        {
            Name = options.Name,
            Built = now,
            ScenarioFile = options.ScenarioFile is null ? string.Empty : Path.GetFullPath(options.ScenarioFile),
            Internal = scenario.Internal,
            Since = now,
            Plain = options.Plain,
            Prefixes = [.. scenario.OnDemand()],
            Holder = LabPrivileges.Holder,
        });
        try
        {
            directory.Save(lab.State);
            await topology.BuildAsync(cancellationToken).ConfigureAwait(false);
            await topology.ApplyAsync(LabRoutes.Changes([], LabRoutes.For(lab.State, now)), between: null, cancellationToken).ConfigureAwait(false);
            await lab.BeginAsync(options.Record, cancellationToken).ConfigureAwait(false);
            return lab;
        }
        catch
        {
            await lab.RemoveAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Finds a lab that is there.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>The lab.</returns>
    /// <exception cref="HostException">There is none.</exception>
    public static Lab Open(string name)
    {
        LabNodes.CheckName(name);
        LabPrivileges.Check();
        var directory = new LabDirectory(name);
        LabState state = directory.Load() ?? throw new HostException(
            $"There is no lab '{name}'{Others(name)}; " +
            $"'ondemand lab up{(name == LabOptions.UsualName ? string.Empty : $" --name {name}")}' builds it.");
        return new Lab(directory, LabScenario.Load(state.ScenarioFile), state);
    }

    /// <summary>Removes a lab and whatever is left of it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether there was anything.</returns>
    public static async Task<bool> DownAsync(string name, CancellationToken cancellationToken)
    {
        LabNodes.CheckName(name);
        LabPrivileges.Check();
        var directory = new LabDirectory(name);
        bool known = System.IO.Directory.Exists(directory.Place);
        using IDisposable guard = await directory.LockAsync(cancellationToken).ConfigureAwait(false);
        var lab = new Lab(directory, LabScenario.Usual, directory.Load() ?? new LabState { Name = name, Built = DateTimeOffset.UtcNow });
        return await lab.RemoveAsync(cancellationToken).ConfigureAwait(false) || known;
    }

    /// <summary>Moves the host: the link, the network's routes and the dataplane.</summary>
    /// <param name="point">The point of attachment, a router's or one of the scenario's.</param>
    /// <param name="prefixes">What it gives; null for what the scenario says.</param>
    /// <param name="window">The replacement window; null for the scenario's.</param>
    /// <param name="gap">How long the host has no link at all; null: the new one is there before the old one goes.</param>
    /// <param name="cancellationToken">Stops between two steps.</param>
    /// <returns>Completes when the host has moved.</returns>
    public async Task MoveAsync(
        string point, IReadOnlyList<PrefixAdvertisement>? prefixes, Duration? window, TimeSpan? gap, CancellationToken cancellationToken)
    {
        using IDisposable guard = await _directory.LockAsync(cancellationToken).ConfigureAwait(false);
        Refresh();
        string router = Scenario.RouterOf(point);
        LabScenario.Check(prefixes ?? []);
        string? old = State.Serving;
        LabOffer offer = Scenario.OfferOf(router);
        if (!State.Plain)
        {
            // Nothing is changed when nobody would follow; and the way to the dataplane is warm when it matters.
            await _dataplane.CheckAsync(cancellationToken).ConfigureAwait(false);
        }

        if (gap is { } outage && old is not null)
        {
            await _topology.DisconnectAsync(old, cancellationToken).ConfigureAwait(false);
            await Task.Delay(outage, cancellationToken).ConfigureAwait(false);
        }

        await AttachAsync(point, router, prefixes ?? offer.Prefixes, window ?? offer.Window ?? LabScenario.UsualWindow, cancellationToken)
            .ConfigureAwait(false);
        if (old is not null && old != router)
        {
            await _topology.DisconnectAsync(old, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes the host off the network.</summary>
    /// <param name="cancellationToken">Stops between two steps.</param>
    /// <returns>Completes when it is off.</returns>
    public async Task DetachAsync(CancellationToken cancellationToken)
    {
        using IDisposable guard = await _directory.LockAsync(cancellationToken).ConfigureAwait(false);
        Refresh();
        if (State.Serving is { } old)
        {
            await _topology.DisconnectAsync(old, cancellationToken).ConfigureAwait(false);
            await ChangeAsync(State.Detach(Scenario.DetachWindow, DateTimeOffset.UtcNow), cancellationToken).ConfigureAwait(false);
            if (!State.Plain)
            {
                await _dataplane.DetachAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Takes a prefix back.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it stays.</param>
    /// <param name="cancellationToken">Stops between two steps.</param>
    /// <returns>Completes when it is withdrawn.</returns>
    public async Task WithdrawAsync(IpPrefix prefix, Duration window, CancellationToken cancellationToken)
    {
        using IDisposable guard = await _directory.LockAsync(cancellationToken).ConfigureAwait(false);
        Refresh();
        await ChangeAsync(State.Withdraw(prefix, window, DateTimeOffset.UtcNow), cancellationToken).ConfigureAwait(false);
        if (!State.Plain)
        {
            await _dataplane.WithdrawAsync(prefix, window, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the dataplane and starts it anew with another scenario; the host begins again where that one begins.</summary>
    /// <param name="scenarioFile">The scenario file.</param>
    /// <param name="record">Where it records what passes; null for nowhere.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when the dataplane answers.</returns>
    public async Task RestartAsync(string? scenarioFile, string? record, CancellationToken cancellationToken)
    {
        using IDisposable guard = await _directory.LockAsync(cancellationToken).ConfigureAwait(false);
        Refresh();
        var scenario = LabScenario.Load(scenarioFile);
        await EndDataplaneAsync(cancellationToken).ConfigureAwait(false);
        _directory.ForgetDataplane();
        if (State.Serving is { } old)
        {
            await _topology.DisconnectAsync(old, cancellationToken).ConfigureAwait(false);
        }

        Scenario = scenario;
        await ChangeAsync(
            State with
            {
                ScenarioFile = scenarioFile is null ? string.Empty : Path.GetFullPath(scenarioFile),
                Serving = null,
                Moves = 0,
                Prefixes = [.. scenario.OnDemand()],
                Internal = scenario.Internal,
            },
            cancellationToken).ConfigureAwait(false);
        await BeginAsync(record, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the dataplane as a service manager would.</summary>
    /// <param name="cancellationToken">Loses the patience with it.</param>
    /// <returns>Whether it ended by itself, in time; true if there was none.</returns>
    public async Task<bool> EndDataplaneAsync(CancellationToken cancellationToken)
    {
        bool byItself = State.Dataplane is not { } process || await process.EndAsync(EndPatience, cancellationToken).ConfigureAwait(false);
        Save(State with { Dataplane = null });
        return byItself;
    }

    /// <summary>Starts the dataplane again in a lab whose dataplane has ended; the host is where it was.</summary>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when it answers.</returns>
    public async Task StartDataplaneAsync(CancellationToken cancellationToken) =>
        Save(State with { Dataplane = await _dataplane.StartAsync(null, cancellationToken).ConfigureAwait(false) });

    private static string Others(string name)
    {
        string list = string.Join(", ", LabDirectory.List().Where(other => other != name));
        return list.Length > 0 ? $" (there is {list})" : string.Empty;
    }

    // The host attaches where its scenario attaches first; the dataplane does the same by its configuration.
    private async Task BeginAsync(string? record, CancellationToken cancellationToken)
    {
        string router = Scenario.FirstRouter;
        LabOffer offer = Scenario.OfferOf(router);
        await _topology.ConnectAsync(router, cancellationToken).ConfigureAwait(false);
        LabState attached = State.Attach(router, offer.Prefixes, offer.Window ?? LabScenario.UsualWindow, DateTimeOffset.UtcNow);
        await ChangeAsync(attached with { Moves = 0 }, cancellationToken).ConfigureAwait(false);
        if (!State.Plain)
        {
            LabHostFile.Write(_directory, Scenario);
            Save(State with { Dataplane = await _dataplane.StartAsync(record, cancellationToken).ConfigureAwait(false) });
        }
    }

    private async Task AttachAsync(
        string point, string router, IReadOnlyList<PrefixAdvertisement> prefixes, Duration window, CancellationToken cancellationToken)
    {
        await _topology.ConnectAsync(router, cancellationToken).ConfigureAwait(false);

        // The host learns of the new network before the old one forgets it: what is under way to the old addresses still arrives.
        await ChangeAsync(State.Attach(router, prefixes, window, DateTimeOffset.UtcNow), cancellationToken, async () =>
        {
            NetworkMoved?.Invoke();
            if (!State.Plain)
            {
                await _dataplane.AttachAsync(point, prefixes, window, cancellationToken).ConfigureAwait(false);
            }
        }).ConfigureAwait(false);
    }

    private async Task ChangeAsync(LabState next, CancellationToken cancellationToken, Func<Task>? tell = null)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        IReadOnlyList<LabRoute> before = LabRoutes.For(State, now);
        string[] oldAddresses = PlainAddresses(State, now);
        await _topology.ApplyAsync(
            LabRoutes.Changes(before, LabRoutes.For(next, now)),
            () =>
            {
                Save(next);
                return tell?.Invoke() ?? Task.CompletedTask;
            },
            cancellationToken).ConfigureAwait(false);
        if (next.Plain)
        {
            string[] addresses = PlainAddresses(next, now);
            await _topology.BatchAsync(
                LabNodes.Host,
                [
                    .. oldAddresses.Except(addresses).Select(address => $"addr del {address} dev lo"),
                    .. addresses.Except(oldAddresses).Select(address => $"addr replace {address} dev lo nodad"),
                ],
                cancellationToken).ConfigureAwait(false);
        }
    }

    private static string[] PlainAddresses(LabState state, DateTimeOffset now) =>
    [
        .. from prefix in state.Prefixes
           where !prefix.OnDemand && !prefix.HasEnded(now)
           let value = prefix.Value
           let address = value.IsSingleAddress ? value.Address : new IpAddress(value.Address.High, value.Address.Low | PlainIdentifier)
           select $"{address}/128",
    ];

    // ::100 in each prefix: an address that a reader of a capture tells from the dataplane's at once.
    private const ulong PlainIdentifier = 0x100;

    private async Task<bool> RemoveAsync(CancellationToken cancellationToken)
    {
        if (State.Dataplane is { } process)
        {
            await process.EndAsync(EndPatience, cancellationToken).ConfigureAwait(false);
        }

        bool any = await _topology.RemoveAsync(cancellationToken).ConfigureAwait(false);
        _directory.Remove();
        if (State.Holder is { } holder)
        {
            holder.Send(Interop.Libc.SignalKill);
        }

        return any;
    }

    private void Refresh() => State = _directory.Load() ?? throw new HostException($"The lab '{State.Name}' is gone.");

    private void Save(LabState state)
    {
        State = state;
        _directory.Save(state);
    }
}
