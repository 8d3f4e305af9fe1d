using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Host;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Run;

/// <summary>The real network of a host, over netlink.</summary>
/// <param name="plan">What it must look like.</param>
/// <param name="notesPath">Where to note how it was before; null to note it in memory only.</param>
internal sealed class TapNetwork(HostPlan plan, string? notesPath) : IHostNetwork, IDisposable
{
    private readonly HostNetwork _network = new(plan, notesPath);
    private HostWatch? _watch;

    /// <inheritdoc/>
    public int Descriptor => _watch?.Descriptor ?? -1;

    /// <inheritdoc/>
    public bool UplinkUp => _watch?.UplinkUp ?? false;

    /// <summary>The plan for a configuration.</summary>
    /// <param name="scenario">The scenario.</param>
    /// <param name="host">Where it takes place.</param>
    /// <returns>The plan.</returns>
    public static HostPlan PlanFor(Scenario scenario, HostSettings host) => new()
    {
        Tap = host.Tap,
        SeveralQueues = host.Queues > 1,
        Mtu = host.Mtu,
        NeighborDiscovery = host.Neighbors == NeighborMode.Answer,
        Internal = scenario.Internal,
        Table = host.Table,
        RulePreference = host.RulePreference,
        Forwarding = host.SetForwarding ? ForwardingMode.Set : ForwardingMode.Check,
        Uplinks = host.Uplinks,
    };

    /// <inheritdoc/>
    public void Apply()
    {
        try
        {
            _network.Apply();
            _watch ??= new HostWatch(_network);
        }
        catch (LinuxException problem)
        {
            throw new HostException($"Netlink failed: {problem.Message}.", problem);
        }
    }

    /// <inheritdoc/>
    public void TakeBack() => _network.TakeBack();

    /// <inheritdoc/>
    public void AddPrefixRoute(IpPrefix prefix) => _network.AddPrefixRoute(prefix);

    /// <inheritdoc/>
    public void RemovePrefixRoute(IpPrefix prefix) => _network.RemovePrefixRoute(prefix);

    /// <inheritdoc/>
    public bool TryTakeEvent(out HostEvent happened)
    {
        happened = default;
        return _watch is not null && _watch.TryTake(out happened);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch?.Dispose();
        _network.Dispose();
    }
}
