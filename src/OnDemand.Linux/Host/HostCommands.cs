using System.Globalization;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Host;

/// <summary>Says a plan in commands that can be pasted into a root shell and then give the same state as
/// <see cref="HostNetwork.Apply"/>.</summary>
internal static class HostCommands
{
    private static readonly CultureInfo Plain = CultureInfo.InvariantCulture;

    /// <summary>The commands that carry a plan out. Addresses go without protocol number, because ip(8) of many distributions does not
    /// know it for addresses yet.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="createTap">Whether the TAP is still to be made.</param>
    /// <returns>The commands, in order; most for ip(8), those for sysctl(8) may have a condition in sh(1).</returns>
    public static IReadOnlyList<string> ToIpCommands(this HostPlan plan, bool createTap = true)
    {
        plan.Check();
        List<string> commands = [];
        if (createTap)
        {
            commands.Add($"ip tuntap add dev {plan.Tap} mode tap vnet_hdr{(plan.SeveralQueues ? " multi_queue" : string.Empty)}");
        }

        if (plan.Forwarding == ForwardingMode.Set)
        {
            foreach (string uplink in plan.Uplinks)
            {
                // With slashes, for a name may have dots.
                string setting = $"net/ipv6/conf/{uplink}/accept_ra";
                commands.Add($"[ \"$(sysctl -n {setting})\" != 1 ] || sysctl -w {setting}=2");
            }

            commands.Add("sysctl -w net.ipv6.conf.all.forwarding=1 net.ipv4.tcp_early_demux=0 net.ipv4.udp_early_demux=0");
        }

        commands.Add(string.Create(Plain, $"ip link set dev {plan.Tap} mtu {plan.Mtu} arp {(plan.NeighborDiscovery ? "on" : "off")} up"));
        commands.AddRange(plan.TapAddresses.Select(address => $"ip -6 addr add {address}/128 dev {plan.Tap} nodad"));
        commands.AddRange(plan.RoutesTo(0, plan.TypedPrefixes.Distinct()).Select(route => OfRoute(route, plan.Tap)));
        commands.AddRange(plan.Rules().Select(OfRule));
        return commands;
    }

    private static string OfRoute(Route route, string tap)
    {
        string destination = route.Destination.Length == 0 ? "default" : route.Destination.ToString();
        string source = route.PreferredSource is IpAddress address ? $" src {address}" : string.Empty;
        string type = route.Type == Route.LocalType ? "local " : string.Empty;
        string link = route.Type == Route.LocalType ? "lo" : tap;
        return string.Create(
            Plain, $"ip -6 route add {type}{destination} dev {link}{source} proto {route.Protocol} metric {route.Metric} table {route.Table}");
    }

    private static string OfRule(RoutingRule rule) =>
        string.Create(Plain, $"ip -6 rule add pref {rule.Preference} {rule} protocol {rule.Protocol}");
}
