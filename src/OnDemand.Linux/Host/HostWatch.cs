using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Host;

/// <summary>
/// Watches the interfaces of a plan and what was applied. To be made after <see cref="HostNetwork.Apply"/>, on the same thread. Uplinks
/// that are down at that moment are told of at once; those that are up are not.
/// </summary>
internal sealed class HostWatch : IDisposable
{
    private readonly HostNetwork _network;
    private readonly RouteMonitor _monitor = new();
    private readonly RouteNetlink _netlink = new();
    private readonly Queue<HostEvent> _events = [];
    private readonly Dictionary<int, Link> _links = [];
    private readonly HashSet<string> _uplinksUp;
    private readonly Dictionary<string, int> _uplinkMtus = [];
    private Link? _tap;

    /// <summary>Begins to watch.</summary>
    /// <param name="network">What was applied.</param>
    /// <exception cref="LinuxException">Netlink failed.</exception>
    public HostWatch(HostNetwork network)
    {
        _network = network;
        _uplinksUp = [.. network.Plan.Uplinks];
        ReadLinks();
        _tap = Find(network.Plan.Tap);
        if (_tap is null)
        {
            _events.Enqueue(new HostEvent(HostEventKind.TapGone, network.Plan.Tap, 0));
        }

        Compare();
    }

    /// <summary>Readable when something may have happened, see poll(2). Then <see cref="TryTake"/> until it says no.</summary>
    public int Descriptor => _monitor.Descriptor;

    /// <summary>Whether an uplink is there, up and has a carrier; true if the plan names none.</summary>
    public bool UplinkUp => _network.Plan.Uplinks.Count == 0 || _uplinksUp.Count != 0;

    /// <summary>Takes the next event, without waiting.</summary>
    /// <param name="happened">The event.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="LinuxException">Netlink failed.</exception>
    public bool TryTake(out HostEvent happened)
    {
        while (!_events.TryDequeue(out happened))
        {
            if (!_monitor.TryTake(out RouteNotice notice))
            {
                return false;
            }

            Heed(notice);
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _monitor.Dispose();
        _netlink.Dispose();
    }

    private void Heed(RouteNotice notice)
    {
        switch (notice.Kind)
        {
            case RouteNoticeKind.Overrun:
                ReadLinks();
                Compare();
                _events.Enqueue(new HostEvent(HostEventKind.Disturbed, "something that was not told", 0));
                break;
            case RouteNoticeKind.LinkChanged when notice.Link is Link link:
                _links[link.Index] = link;
                Compare();
                break;
            case RouteNoticeKind.LinkRemoved when notice.Link is Link link:
                _links.Remove(link.Index);
                Compare();
                break;
            case RouteNoticeKind.AddressRemoved when notice.Address.LinkIndex == _tap?.Index
                && _network.Plan.TapAddresses.Contains(notice.Address.Address):
                _events.Enqueue(new HostEvent(HostEventKind.Disturbed, $"the address {notice.Address.Address}", 0));
                break;
            case RouteNoticeKind.RouteRemoved when notice.Route.LinkIndex == _tap?.Index && _network.Wants(notice.Route):
                _events.Enqueue(new HostEvent(HostEventKind.Disturbed, $"the route to {notice.Route.Destination}", 0));
                break;
            case RouteNoticeKind.RuleRemoved when _network.Plan.Rules().Any(notice.Rule.DoesTheSameAs):
                _events.Enqueue(new HostEvent(HostEventKind.Disturbed, $"the rule '{notice.Rule}'", 0));
                break;
        }
    }

    private void ReadLinks()
    {
        _links.Clear();
        foreach (Link link in _netlink.Links())
        {
            _links[link.Index] = link;
        }
    }

    private void Compare()
    {
        CompareTap();
        foreach (string name in _network.Plan.Uplinks)
        {
            Link? link = Find(name);
            bool isUp = link is { IsRunning: true, Mtu: >= HostPlan.SmallestMtu };
            if (isUp ? _uplinksUp.Add(name) : _uplinksUp.Remove(name))
            {
                _events.Enqueue(new HostEvent(isUp ? HostEventKind.UplinkUp : HostEventKind.UplinkDown, name, link?.Mtu ?? 0));
            }
            else if (isUp && _uplinkMtus.TryGetValue(name, out int before) && before != link!.Mtu)
            {
                _events.Enqueue(new HostEvent(HostEventKind.UplinkMtuChanged, name, link.Mtu));
            }

            _uplinkMtus[name] = link?.Mtu ?? 0;
        }
    }

    private void CompareTap()
    {
        if (_tap is not Link before)
        {
            return;    // gone for good: one of the same name is another
        }

        if (!_links.TryGetValue(before.Index, out Link? now) || now.Name != before.Name)
        {
            _tap = null;
            _events.Enqueue(new HostEvent(HostEventKind.TapGone, before.Name, 0));
            return;
        }

        _tap = now;
        if (now.IsUp != before.IsUp)
        {
            _events.Enqueue(new HostEvent(now.IsUp ? HostEventKind.TapUp : HostEventKind.TapDown, now.Name, now.Mtu));
        }

        if (now.Mtu != before.Mtu)
        {
            _events.Enqueue(new HostEvent(HostEventKind.TapMtuChanged, now.Name, now.Mtu));
        }
    }

    private Link? Find(string name) => _links.Values.FirstOrDefault(link => link.Name == name);
}
