// Theory of operation. The kernel itself remembers what is ours: routes, rules and addresses carry our protocol number. So there is no list
// of what was done. Apply compares what must be there with what is there and does the difference, TakeBack deletes what is marked as ours,
// and both work just the same on what a crashed run left. What cannot be marked (settings, the state of the TAP) is in HostNotes.
//
// An object that is exactly as wanted but was made by somebody else is accepted and stays theirs: it is neither marked nor deleted. An
// object of somebody else that stands in the way (same place, other content) is an error, never replaced.
using System.Globalization;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Host;

/// <summary>
/// Makes the network of a host as a plan wants it, and takes that back. Works in the network namespace of the thread that makes it and
/// belongs to that thread.
/// </summary>
internal sealed partial class HostNetwork : IDisposable
{
    private readonly HostPlan _plan;
    private readonly HostNotes _notes;
    private readonly RouteNetlink _netlink;
    private readonly HashSet<IpPrefix> _typedPrefixes;
    private bool _applied;

    /// <summary>Opens netlink; changes nothing yet.</summary>
    /// <param name="plan">What is wanted.</param>
    /// <param name="notesPath">A file, in a directory that exists, that keeps what settings were before for the next start after a crash;
    /// null to keep that in memory only. One file per TAP.</param>
    /// <exception cref="HostException">The plan cannot be carried out anywhere.</exception>
    public HostNetwork(HostPlan plan, string? notesPath = null)
    {
        plan.Check();
        _plan = plan;
        _typedPrefixes = [.. plan.TypedPrefixes];
        _notes = new HostNotes(notesPath);
        _netlink = new RouteNetlink();
    }

    /// <summary>The plan.</summary>
    public HostPlan Plan => _plan;

    /// <summary>The typed prefixes that are routed to the TAP, or will be by <see cref="Apply"/>.</summary>
    public IReadOnlyCollection<IpPrefix> TypedPrefixes => _typedPrefixes;

    /// <summary>Makes the network as the plan wants it. Applied again it changes nothing, or repairs what was lost. If the first time does
    /// not succeed, what was done is taken back.</summary>
    /// <exception cref="HostException">The host cannot do it; the message says why and what to do.</exception>
    public void Apply()
    {
        Link tap = FindTap();
        CheckAddresses(tap);
        CheckTable(tap);
        CheckRules();
        if (_plan.Forwarding == ForwardingMode.Check)
        {
            ForwardingSettings.Check();
        }

        try
        {
            if (_plan.Forwarding == ForwardingMode.Set)
            {
                ForwardingSettings.Set(_plan.Uplinks, _notes);
            }

            ApplyLink(tap);
            ApplyAddresses(tap);
            ApplyRoutes(tap);
            ApplyRules();
            _applied = true;
        }
        catch (Exception) when (!_applied)
        {
            TryTakeBack();
            throw;
        }
    }

    /// <summary>Routes a typed prefix to the TAP. One that is routed already is left alone.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <exception cref="HostException">It may not be routed, it is an address of another interface, or the kernel refuses.</exception>
    public void AddPrefixRoute(IpPrefix prefix)
    {
        HostPlan.CheckPrefix(prefix);
        if (_applied)
        {
            Link tap = FindTap();
            if (prefix.IsSingleAddress)
            {
                CheckOnOtherLinks(prefix.Address, "typed", _netlink.Addresses(), tap);
            }

            foreach (Route route in _plan.TypedRoutes(tap.Index, prefix))
            {
                AddRoute(route);
            }
        }

        _typedPrefixes.Add(prefix);
    }

    /// <summary>Routes a typed prefix to the TAP no longer. One that is not is no error, and somebody else's route stays.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public void RemovePrefixRoute(IpPrefix prefix)
    {
        _typedPrefixes.Remove(prefix);
        if (_applied && _netlink.FindLink(_plan.Tap) is Link tap)
        {
            foreach (Route route in _plan.TypedRoutes(tap.Index, prefix))
            {
                DeleteRoute(route);
            }
        }
    }

    /// <summary>Takes back everything that is ours: what this or a crashed run did for this TAP or table, and what runs of other
    /// configurations left whose TAP is gone. Needs no TAP. What is gone already is no error.</summary>
    /// <exception cref="HostException">The kernel refuses.</exception>
    public void TakeBack()
    {
        // Rules first: from then on traffic takes the ways it had before.
        RemoveRules(keep: []);
        Link? tap = _netlink.FindLink(_plan.Tap);
        RemoveRoutes(tap, keep: []);
        if (tap is not null)
        {
            RemoveAddresses(tap, keep: []);
            RestoreLink(tap);
        }

        ForwardingSettings.Restore(_notes);
        _notes.Clear();
        _applied = false;
    }

    /// <summary>Whether a route, by its destination, is one that must be there.</summary>
    /// <param name="route">The route.</param>
    /// <returns>Whether it must.</returns>
    internal bool Wants(Route route) =>
        _plan.RoutesTo(route.Table == _plan.DeliveryTable ? 0 : route.LinkIndex, _typedPrefixes).Any(wanted => IsSameRoute(wanted, route));

    /// <summary>Closes netlink; takes nothing back.</summary>
    public void Dispose() => _netlink.Dispose();

    private void TryTakeBack()
    {
        try
        {
            TakeBack();
        }
        catch (Exception exception) when (exception is HostException or LinuxException)
        {
            // What led here is the error to be told; and the next start takes back what is left.
        }
    }

    private Link FindTap()
    {
        Link tap = _netlink.FindLink(_plan.Tap)
            ?? throw new HostException($"There is no interface '{_plan.Tap}': it was deleted, or the dataplane that made it has ended.");
        return tap.IsTap
            ? tap
            : throw new HostException(
                $"The interface '{tap.Name}' is {KindOf(tap)}, not a TAP: choose another name for the dataplane's TAP.");
    }

    private static string KindOf(Link link) => link.Kind switch
    {
        null => "not a virtual interface",
        "tun" => "a TUN interface",
        _ => $"of kind {link.Kind}",
    };

    private void ApplyLink(Link tap)
    {
        uint wanted = Link.UpFlag | (_plan.NeighborDiscovery ? 0 : Link.NoArpFlag);
        uint mask = Link.UpFlag | Link.NoArpFlag;
        if ((tap.Flags & mask) == wanted && tap.Mtu == _plan.Mtu)
        {
            return;
        }

        if (_notes.Link?.Index != tap.Index)
        {
            _notes.Link = new LinkNote(tap.Index, tap.Mtu, tap.Flags & mask);
            _notes.Save();
        }

        if (tap.Mtu != _plan.Mtu)
        {
            Demand(_netlink.SetLinkMtu(tap.Index, _plan.Mtu), Invariant($"set the MTU of '{tap.Name}' to {_plan.Mtu}"));
        }

        if ((tap.Flags & mask) != wanted)
        {
            Demand(_netlink.SetLinkFlags(tap.Index, wanted, mask), $"set '{tap.Name}' up");
        }
    }

    private void RestoreLink(Link tap)
    {
        if (_notes.Link is not LinkNote before || before.Index != tap.Index)
        {
            return;
        }

        // Setting an interface down loses its addresses and routes. Where others have put some there, it stays up.
        uint flags = before.Flags;
        bool isShared = _netlink.Addresses().Exists(address => address.LinkIndex == tap.Index && !address.Address.IsLinkLocal)
            || _netlink.Routes().Exists(route => route.LinkIndex == tap.Index && route.Protocol != KernelProtocol);
        flags |= isShared ? Link.UpFlag : 0;
        Demand(_netlink.SetLinkFlags(tap.Index, flags, Link.UpFlag | Link.NoArpFlag), $"put '{tap.Name}' back", Errno.Enodev);
        if (tap.Mtu == _plan.Mtu && before.Mtu != tap.Mtu)
        {
            Demand(_netlink.SetLinkMtu(tap.Index, before.Mtu), $"put the MTU of '{tap.Name}' back", Errno.Enodev);
        }
    }

    /// <summary>Turns the kernel's refusal into a sentence for the user.</summary>
    private void Demand(NetlinkError error, string what, params ReadOnlySpan<int> accepted)
    {
        if (error.IsNone || accepted.Contains(error.Error))
        {
            return;
        }

        throw new HostException(error.Error switch
        {
            Errno.Eperm => $"Cannot {what}: this needs the capability CAP_NET_ADMIN; run as root.",
            Errno.Enodev or Errno.Enxio => $"Cannot {what}: the interface '{_plan.Tap}' is gone.",
            Errno.Enetdown => $"Cannot {what}: the interface '{_plan.Tap}' was set down.",
            Errno.Eopnotsupp =>
                $"Cannot {what}: this kernel lacks IPv6 policy routing (CONFIG_IPV6_MULTIPLE_TABLES), or IPv6 is off ({error}).",
            _ => $"Cannot {what}: {error}.",
        });
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
