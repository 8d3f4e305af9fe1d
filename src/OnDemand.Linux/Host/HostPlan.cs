using System.Buffers;
using System.Globalization;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Host;

/// <summary>
/// What the host's network must look like for a dataplane on a TAP, as data: <see cref="HostNetwork"/> makes it so over netlink, and
/// <see cref="HostCommands"/> says it in commands. Interfaces go by name here, so a plan can be made before there is a TAP.
/// </summary>
internal sealed record HostPlan
{
    /// <summary>The number that marks routes, rules and addresses as made by this program; none of iproute2's rt_protos.</summary>
    public const byte Protocol = 86;

    /// <summary>The usual routing table for what local programs send.</summary>
    public const uint UsualTable = 8653;

    /// <summary>The usual preference of the rule that leads there.</summary>
    public const uint UsualRulePreference = 100;

    /// <summary>The metric of routes to typed prefixes: they win over the kernel's own on-link routes (256), for a network may announce
    /// the very prefix on the uplink.</summary>
    public const uint TypedPrefixMetric = 64;

    /// <summary>The index of the loopback interface, on every Linux (<c>LOOPBACK_IFINDEX</c>).</summary>
    public const int Loopback = 1;

    /// <summary>The metric of routes to internal prefixes: they lose against any route to the hosts that use them (256, 1024).</summary>
    public const uint InternalPrefixMetric = 4096;

    /// <summary>The metric of the default route in the own table, as the kernel would choose it.</summary>
    public const uint DefaultRouteMetric = 1024;

    /// <summary>The smallest MTU with which the kernel lets a link carry IPv6 (RFC 8200 §5).</summary>
    public const int SmallestMtu = 1280;

    private const int LongestName = 15;
    private const int LargestMtu = 65521;
    private const uint SmallestPreference = 3;        // two before it are used
    private const uint LargestPreference = 32764;     // one more is used, and 32766 is the rule of table main
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    /// <summary>The TAP's name.</summary>
    public required string Tap { get; init; }

    /// <summary>Whether the TAP has several queues.</summary>
    public bool SeveralQueues { get; init; }

    /// <summary>The TAP's longest packet, 1280 to 65521 octets.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Whether the kernel asks for neighbors on the TAP, so that somebody must answer; otherwise <c>arp off</c>.</summary>
    public bool NeighborDiscovery { get; init; }

    /// <summary>Internal addresses. A /128 becomes an address of the TAP, the first one the source that programs get. The addresses of a
    /// shorter one are those of other hosts or namespaces behind this one: what comes from them goes into the TAP too.</summary>
    public IReadOnlyList<IpPrefix> Internal { get; init; } = [];

    /// <summary>The routing table for what goes into the TAP; none of the kernel's (253 to 255), and nobody else's. The next one is used as
    /// well, for what comes out of the TAP to sockets that are bound to typed addresses.</summary>
    public uint Table { get; init; } = UsualTable;

    /// <summary>The table of <see cref="Table"/>'s neighbor.</summary>
    public uint DeliveryTable => Table + 1;

    /// <summary>The preference of the rules that lead there, 3 to 32764. The next one and the two before are used as well.</summary>
    public uint RulePreference { get; init; } = UsualRulePreference;

    /// <summary>What to do about IPv6 forwarding.</summary>
    public ForwardingMode Forwarding { get; init; }

    /// <summary>The interfaces towards the network. Where forwarding is turned on they keep listening to router advertisements
    /// (accept_ra 2), which the kernel otherwise gives up, losing its default routes.</summary>
    public IReadOnlyList<string> Uplinks { get; init; } = [];

    /// <summary>Typed prefixes that are there from the start.</summary>
    public IReadOnlyList<IpPrefix> TypedPrefixes { get; init; } = [];

    /// <summary>The internal addresses that the TAP gets.</summary>
    public IEnumerable<IpAddress> TapAddresses =>
        Internal.Where(prefix => prefix.IsSingleAddress).Select(prefix => prefix.Address).Distinct();

    /// <summary>The internal prefixes of others behind this host.</summary>
    public IEnumerable<IpPrefix> PrefixesBehind => Internal.Where(prefix => !prefix.IsSingleAddress).Distinct();

    /// <summary>Looks whether a plan can be carried out anywhere.</summary>
    /// <exception cref="HostException">It cannot: a name, number or prefix is out of range.</exception>
    public void Check()
    {
        foreach (string name in Uplinks.Prepend(Tap))
        {
            if (name.Length is 0 or > LongestName || name is "." or ".." or "all" or "default" or "lo"
                || name.AsSpan().ContainsAnyExcept(NameCharacters))
            {
                throw new HostException($"'{name}' cannot name an interface: take 1 to 15 letters, digits, dots, hyphens and underscores.");
            }
        }

        if (Mtu is < SmallestMtu or > LargestMtu)
        {
            throw new HostException(Text($"The TAP's MTU {Mtu} is out of range: IPv6 needs 1280, and a TAP carries at most 65521."));
        }

        if (Table is 0 or (>= 252 and <= 255) or uint.MaxValue)
        {
            throw new HostException(Text($"Routing table {Table} or the next one belongs to the kernel: choose another, as {UsualTable}."));
        }

        if (RulePreference is < SmallestPreference or > LargestPreference)
        {
            throw new HostException(Text(
                $"Rule preference {RulePreference} is out of range: choose one from {SmallestPreference} to {LargestPreference}."));
        }

        foreach (IpPrefix prefix in Internal.Concat(TypedPrefixes))
        {
            CheckPrefix(prefix);
        }
    }

    /// <summary>Looks whether a prefix may be routed to the TAP.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <exception cref="HostException">It may not.</exception>
    internal static void CheckPrefix(IpPrefix prefix)
    {
        if (prefix.Length == 0 || prefix.Address.IsMulticast || prefix.Address.IsLinkLocal || prefix.Address.IsLoopback)
        {
            throw new HostException(
                $"{prefix} cannot be routed to the TAP: it must be a unicast prefix that is neither link-local nor everything.");
        }
    }

    /// <summary>The addresses that must be there.</summary>
    /// <param name="tap">The TAP's index.</param>
    /// <returns>The addresses.</returns>
    internal IEnumerable<InterfaceAddress> AddressesOn(int tap) => TapAddresses.Select(address =>
        new InterfaceAddress(tap, address, 128) { Flags = InterfaceAddress.NoDuplicateDetectionFlag, Protocol = Protocol });

    /// <summary>The routes that must be there.</summary>
    /// <param name="tap">The TAP's index.</param>
    /// <param name="typedPrefixes">The typed prefixes of the moment.</param>
    /// <returns>The routes.</returns>
    internal IEnumerable<Route> RoutesTo(int tap, IEnumerable<IpPrefix> typedPrefixes)
    {
        IpAddress? source = TapAddresses.Select(address => (IpAddress?)address).FirstOrDefault();
        yield return new Route(Table, default, tap) { Protocol = Protocol, Metric = DefaultRouteMetric, PreferredSource = source };
        foreach (IpPrefix prefix in PrefixesBehind)
        {
            yield return new Route(Route.MainTable, prefix, tap) { Protocol = Protocol, Metric = InternalPrefixMetric };
        }

        foreach (IpPrefix prefix in typedPrefixes)
        {
            foreach (Route route in TypedRoutes(tap, prefix))
            {
                yield return route;
            }
        }
    }

    /// <summary>The routes of a typed prefix: into the TAP; and, for what comes out of it unchanged because a socket has bound itself to the
    /// typed address, to the sockets of this host (as for transparent proxies, whose addresses are on no interface either).</summary>
    /// <param name="tap">The TAP's index.</param>
    /// <param name="prefix">The prefix.</param>
    /// <returns>The routes.</returns>
    internal IEnumerable<Route> TypedRoutes(int tap, IpPrefix prefix) =>
    [
        new Route(Route.MainTable, prefix, tap) { Protocol = Protocol, Metric = TypedPrefixMetric },
        new Route(DeliveryTable, prefix, Loopback) { Protocol = Protocol, Metric = DefaultRouteMetric, Type = Route.LocalType },
    ];

    /// <summary>The rules that must be there.</summary>
    /// <returns>The rules.</returns>
    internal IEnumerable<RoutingRule> Rules()
    {
        yield return new RoutingRule(RulePreference - 2, DeliveryTable) { IncomingInterface = Tap, Protocol = Protocol };
        if (PrefixesBehind.Any())
        {
            // What the dataplane hands back with an internal source must not be sent into the TAP again by the rules below.
            yield return new RoutingRule(RulePreference - 1, Route.MainTable) { IncomingInterface = Tap, Protocol = Protocol };
        }

        yield return new RoutingRule(RulePreference, Table) { IncomingInterface = "lo", Protocol = Protocol };
        foreach (IpPrefix prefix in PrefixesBehind)
        {
            yield return new RoutingRule(RulePreference, Table) { From = prefix, Protocol = Protocol };
        }

        // Met only while the table above is empty: when the TAP went away with a program that was killed. Programs that begin then get an
        // uplink's address, but what is bound to an internal one must not go out with it.
        foreach (IpAddress address in TapAddresses)
        {
            yield return new RoutingRule(RulePreference + 1, Table)
            {
                Action = RoutingRule.UnreachableAction,
                From = new IpPrefix(address, 128),
                IncomingInterface = "lo",
                Protocol = Protocol,
            };
        }
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
