using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Host;

/// <content>Addresses, routes and rules: what stands in the way, what is missing, what is ours and too much.</content>
internal sealed partial class HostNetwork
{
    // RTPROT_KERNEL: routes that come and go with an address or an interface.
    private const byte KernelProtocol = 2;

    private void CheckAddresses(Link tap)
    {
        List<InterfaceAddress> present = _netlink.Addresses();
        foreach (IpAddress address in _plan.TapAddresses)
        {
            CheckOnOtherLinks(address, "internal", present, tap);
        }

        foreach (IpPrefix prefix in _typedPrefixes.Where(prefix => prefix.IsSingleAddress))
        {
            CheckOnOtherLinks(prefix.Address, "typed", present, tap);
        }
    }

    private void CheckOnOtherLinks(IpAddress address, string kind, List<InterfaceAddress> present, Link tap)
    {
        int index = present.FindIndex(other => other.Address == address && other.LinkIndex != tap.Index);
        if (index >= 0)
        {
            int link = present[index].LinkIndex;
            string name = _netlink.Links().Find(other => other.Index == link)?.Name ?? Invariant($"interface {link}");
            throw new HostException(
                $"The {kind} address {address} is already on '{name}': "
                + $"remove it there ('ip addr del {address} dev {name}') or choose another.");
        }
    }

    private void CheckTable(Link tap)
    {
        List<Route> wanted = [.. _plan.RoutesTo(tap.Index, _typedPrefixes)];
        HashSet<int> others = DataplanesElsewhere();
        HashSet<uint> deliveryOfOthers = DeliveryTablesElsewhere();
        foreach (Route route in _netlink.RoutesOf(_plan.Table).Concat(_netlink.RoutesOf(_plan.DeliveryTable)))
        {
            if (route.Protocol == HostPlan.Protocol && (others.Contains(route.LinkIndex) || deliveryOfOthers.Contains(route.Table)))
            {
                throw new HostException(Invariant(
                    $"Routing table {route.Table} is in use by another dataplane: choose another table."));
            }

            if (route.Protocol != HostPlan.Protocol && !wanted.Exists(other => IsSameRoute(route, other)))
            {
                throw new HostException(Invariant(
                    $"Routing table {route.Table} is in use: it has a route to {Named(route.Destination)} that is not ours; ")
                    + "choose another table.");
            }
        }
    }

    private void CheckRules()
    {
        List<RoutingRule> wanted = [.. _plan.Rules()];
        Func<RoutingRule, bool> isOurs = OwnRules();
        foreach (RoutingRule rule in _netlink.Rules())
        {
            if (wanted.Exists(other => other.Preference == rule.Preference) && !isOurs(rule) && !wanted.Exists(rule.DoesTheSameAs))
            {
                throw new HostException(Invariant(
                    $"Rule preference {rule.Preference} is in use by '{rule}': choose another rule preference for the dataplane."));
            }
        }
    }

    private void ApplyAddresses(Link tap)
    {
        List<InterfaceAddress> wanted = [.. _plan.AddressesOn(tap.Index)];
        List<InterfaceAddress> present = _netlink.Addresses();
        foreach (InterfaceAddress address in wanted)
        {
            int index = present.FindIndex(other => other.LinkIndex == tap.Index && other.Address == address.Address);
            if (index >= 0 && present[index].PrefixLength == address.PrefixLength)
            {
                continue;
            }

            string what = $"give '{tap.Name}' the address {address.Address}/128";
            if (index >= 0)
            {
                throw new HostException(Invariant($"Cannot {what}: it has it as /{present[index].PrefixLength}; remove that one."));
            }

            NetlinkError error = _netlink.AddAddress(address);
            Demand(error, what, Errno.Eexist);
            if (error.IsNone)
            {
                NoteIfUnmarked(address);
            }
        }

        RemoveAddresses(tap, wanted);
    }

    /// <summary>Before Linux 5.18 addresses have no protocol number. The kernel ignores ours, and what it then tells shows it.</summary>
    private void NoteIfUnmarked(InterfaceAddress address)
    {
        if (_netlink.Addresses().Exists(
            other => other.LinkIndex == address.LinkIndex && other.Address == address.Address && other.Protocol == 0))
        {
            _notes.Addresses.Add(address.Address);
            _notes.Save();
        }
    }

    private void RemoveAddresses(Link tap, List<InterfaceAddress> keep)
    {
        foreach (InterfaceAddress address in _netlink.Addresses())
        {
            bool isOurs = address.Protocol == HostPlan.Protocol || (address.Protocol == 0 && _notes.Addresses.Contains(address.Address));
            if (address.LinkIndex == tap.Index && isOurs && !keep.Exists(other => other.Address == address.Address))
            {
                NetlinkError error = _netlink.DeleteAddress(address);
                Demand(error, $"remove the address {address.Address} from '{tap.Name}'", Errno.Eaddrnotavail, Errno.Enodev);
            }
        }
    }

    private void ApplyRoutes(Link tap)
    {
        List<Route> wanted = [.. _plan.RoutesTo(tap.Index, _typedPrefixes)];

        // First what is too much: an older one of ours may be in the place of a new one.
        RemoveRoutes(tap, wanted);
        List<Route> present = _netlink.Routes(HostPlan.Protocol);
        foreach (Route route in wanted)
        {
            if (!present.Exists(other => IsSameRoute(other, route)))
            {
                AddRoute(route);
            }
        }
    }

    private void AddRoute(Route route)
    {
        string what = Invariant($"route {Named(route.Destination)} to '{_plan.Tap}' in table {route.Table}");
        NetlinkError error = _netlink.AddRoute(route);
        if (error.Error != Errno.Eexist)
        {
            Demand(error, what);
            return;
        }

        if (!_netlink.RoutesOf(route.Table).Exists(other => IsSameRoute(other, route)))
        {
            throw new HostException(Invariant(
                $"Cannot {what}: there is another route to it with metric {route.Metric}; ")
                + Invariant($"remove it ('ip -6 route del {route.Destination} metric {route.Metric}')."));
        }
    }

    private void DeleteRoute(Route route)
    {
        // The kernel takes the preferred source for a condition and no longer knows it when the address is gone.
        NetlinkError error = _netlink.DeleteRoute(route with { PreferredSource = null });
        Demand(error, Invariant($"remove the route to {Named(route.Destination)} from table {route.Table}"), Errno.Esrch, Errno.Enodev);
    }

    private void RemoveRoutes(Link? tap, List<Route> keep)
    {
        HashSet<int> others = DataplanesElsewhere();
        HashSet<uint> deliveryOfOthers = DeliveryTablesElsewhere();
        bool isOurs(Route route) => route.LinkIndex == HostPlan.Loopback
            ? !deliveryOfOthers.Contains(route.Table)
            : route.LinkIndex == tap?.Index || (route.Table == _plan.Table && !others.Contains(route.LinkIndex));

        foreach (Route route in _netlink.Routes(HostPlan.Protocol))
        {
            if (isOurs(route) && !keep.Exists(other => IsSameRoute(other, route)))
            {
                DeleteRoute(route);
            }
        }
    }

    private void ApplyRules()
    {
        List<RoutingRule> wanted = [.. _plan.Rules()];
        List<RoutingRule> present = _netlink.Rules();
        foreach (RoutingRule rule in wanted)
        {
            if (!present.Exists(rule.DoesTheSameAs))
            {
                Demand(_netlink.AddRule(rule), Invariant($"add the rule '{rule}' with preference {rule.Preference}"), Errno.Eexist);
            }
        }

        RemoveRules(wanted);
    }

    private void RemoveRules(List<RoutingRule> keep)
    {
        Func<RoutingRule, bool> isOurs = OwnRules();
        foreach (RoutingRule rule in _netlink.Rules())
        {
            if (isOurs(rule) && !keep.Contains(rule))
            {
                NetlinkError error = _netlink.DeleteRule(rule);
                Demand(error, Invariant($"remove the rule '{rule}' with preference {rule.Preference}"), Errno.Enoent, Errno.Esrch);
            }
        }
    }

    /// <summary>Which rules are ours: marked, and either for our table or TAP or left by a run whose TAP is gone. Another dataplane of this
    /// host marks its rules as we do, but its TAP is there, and its table has a route to it.</summary>
    private Func<RoutingRule, bool> OwnRules()
    {
        List<Route> routes = _netlink.Routes(HostPlan.Protocol);
        HashSet<int> others = DataplanesElsewhere();
        HashSet<uint> tablesInUse = [.. routes.Select(route => route.Table)];
        HashSet<uint> tablesOfOthers = [.. routes.Where(route => others.Contains(route.LinkIndex)).Select(route => route.Table)];
        HashSet<string> names = [.. _netlink.Links().Select(link => link.Name)];
        return rule => rule.Protocol == HostPlan.Protocol && !rule.HasOtherConditions && rule switch
        {
            { IncomingInterface: not (null or "lo") } => rule.IncomingInterface == _plan.Tap || !names.Contains(rule.IncomingInterface ?? "lo"),
            _ when rule.Table == _plan.Table => !tablesOfOthers.Contains(rule.Table),
            _ => !tablesInUse.Contains(rule.Table),
        };
    }

    /// <summary>Interfaces that another dataplane may hold: a TAP has a carrier exactly while a program has it open.</summary>
    private HashSet<int> DataplanesElsewhere() =>
        [.. _netlink.Links().Where(link => link.IsRunning && link.Name != _plan.Tap && link.Index != HostPlan.Loopback).Select(link => link.Index)];

    /// <summary>Where another dataplane of this host delivers to its sockets: it has a rule for what comes out of its TAP.</summary>
    private HashSet<uint> DeliveryTablesElsewhere()
    {
        HashSet<string> taps = [.. _netlink.Links().Where(link => link.IsRunning && link.Name != _plan.Tap).Select(link => link.Name)];
        return
        [
            .. _netlink.Rules().Where(rule => rule.Protocol == HostPlan.Protocol && rule.IncomingInterface is { } tap && taps.Contains(tap))
                .Where(rule => rule.IncomingInterface != "lo").Select(rule => rule.Table),
        ];
    }

    private static bool IsSameRoute(Route one, Route other) => one with { Protocol = other.Protocol } == other;

    private static string Named(IpPrefix prefix) => prefix.Length == 0 ? "default" : prefix.ToString();
}
