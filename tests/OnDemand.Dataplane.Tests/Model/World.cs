using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>A small universe for random walks, so that whatever can meet does: options, policy, prefixes, hosts and ports.</summary>
internal static class World
{
    public const ushort FirstPort = 1000;
    public const int Ports = 7;
    public const ushort FirstNativePort = 2000;

    public static readonly IpAddress[] Internals =
    [
        Frames.Host, Frames.OtherHost, IpAddress.Parse("fd00:db8:1::1"), IpAddress.Parse("fd00:db8:1::2"), IpAddress.Parse("fd00:db8:1::3"),
    ];

    public static readonly IpAddress[] Remotes = [Frames.Server, IpAddress.Parse("2001:db8:c::2"), Frames.OtherServer];

    public static readonly ushort[] RemotePorts = [80, 443];

    /// <summary>What networks give; the last but two is untyped.</summary>
    public static readonly (IpPrefix Prefix, AddressType Type)[] Prefixes =
    [
        (IpPrefix.Parse("2001:db8:a0::/64"), AddressType.Nonpersistent),
        (IpPrefix.Parse("2001:db8:a1::/64"), AddressType.Nonpersistent),
        (IpPrefix.Parse("2001:db8:50::/64"), AddressType.SessionLasting),
        (IpPrefix.Parse("2001:db8:51::/64"), AddressType.SessionLasting),
        (IpPrefix.Parse("2001:db8:60::/64"), AddressType.GracefulReplacement),
        (IpPrefix.Parse("2001:db8:61::/64"), AddressType.GracefulReplacement),
        (IpPrefix.Parse("2001:db8:f0::/64"), AddressType.Fixed),
        (IpPrefix.Parse("2001:db8:f1::7/128"), AddressType.Fixed),
        (IpPrefix.Parse("2001:db8:d0::/56"), AddressType.None),
        (IpPrefix.Parse("2001:db8:a2::9/128"), AddressType.Nonpersistent),
    ];

    public static DataplaneOptions Options(int world) => new()
    {
        AddressSeed = (ulong)world,
        HashSeed = (ulong)world * 77,
        IdentifierSecret = Frames.Payload(16, world),
        MaximumFlows = Bit(world, 0) ? 12 : 4096,
        MaximumBindings = Bit(world, 0) && Bit(world, 1) ? 8 : 4096,
        MaximumInternalAddresses = Bit(world, 2) ? 4 : 64,
        MaximumTypedAddresses = 4096,
        MaximumPrefixes = 256,
        MaximumSocketRequests = Bit(world, 3) ? 3 : 64,
        MaximumNetworkRequests = Bit(world, 13) ? 2 : 64,
        MaximumFragmentedDatagrams = Bit(world, 4) ? 2 : 64,
        MaximumHeldFrames = Bit(world, 5) ? 3 : 256,
        MaximumHeldOctets = 1 << 20,
        MaximumReplies = 1024,
        MaximumEvents = 4096,
        PickUpMidFlow = Bit(world, 6),
        GracefulDatagramsAtOnce = Bit(world, 7),
        Untranslatable = Bit(world, 8) ? UntranslatablePolicy.Pass : UntranslatablePolicy.Drop,
        OnNet = Bit(world, 9) ? OnNetReading.PreferServing : OnNetReading.RequestNew,
        PreferRoute = Bit(world, 10),
        NeutralTypes = (byte)(Bit(world, 11) ? 1 << (int)AddressType.Nonpersistent : Bit(world, 12) ? 0x1f : 0),
        // No renewal: when an address was made, and what its octets count, is the engine's own to a packet. MobilityProperties has it.
        IcmpErrorsPerSecond = 1_000_000,
        Linger = Duration.FromSeconds(20),
        Internal = [new IpPrefix(Frames.Host, 128), new IpPrefix(Frames.OtherHost, 128), IpPrefix.Parse("fd00:db8:1::/64")],
        Policy = Policy(world >> 15),
    };

    /// <summary>Local ports stand for types: 1001 Fixed, 1002 Session-Lasting, and so on; 1000 takes the default.</summary>
    public static ServicePolicy Policy(int variant)
    {
        PolicyRule[] rules =
        [
            .. Enumerable.Range(1, 4).Select(type => new PolicyRule
            {
                LocalPort = new PortRange((ushort)(FirstPort + type)),
                Outcome = PolicyOutcome.OfType((AddressType)type),
            }),
            new PolicyRule { LocalPort = new PortRange(FirstPort + 5),
                Outcome = PolicyOutcome.OfType(AddressType.Nonpersistent, onNet: true) },
            new PolicyRule { LocalPort = new PortRange(FirstPort + 6), Outcome = PolicyOutcome.Pinned(Prefixes[2].Prefix) },
            new PolicyRule { Protocol = IpProtocol.Icmpv6, Remote = IpPrefix.Parse("2001:db8:d::/48"),
                Outcome = PolicyOutcome.OfType(AddressType.SessionLasting) },
        ];
        InboundRule[] inbound = Bit(variant, 0)
            ? [new InboundRule(AddressType.SessionLasting) { Protocol = IpProtocol.Tcp, LocalPort = new PortRange(FirstPort + 2) },
                new InboundRule(AddressType.Nonpersistent) { Protocol = IpProtocol.Udp }]
            : [];
        PolicyOutcome otherwise = Bit(variant, 1) ? PolicyOutcome.OfType(AddressType.Nonpersistent) : PolicyOutcome.Legacy;
        return new ServicePolicy(rules, inbound, otherwise);
    }

    /// <summary>What is unusual about a world.</summary>
    public static string Describe(int world)
    {
        DataplaneOptions options = Options(world);
        return string.Join(", ", new[]
        {
            $"{options.MaximumFlows} flows", $"{options.MaximumBindings} bindings", $"{options.MaximumInternalAddresses} internal",
            $"{options.MaximumSocketRequests} requests", $"{options.MaximumNetworkRequests} questions",
            $"{options.MaximumFragmentedDatagrams} datagrams",
                $"{options.MaximumHeldFrames} held",
            options.PickUpMidFlow ? "pick up" : "no pick up", options.GracefulDatagramsAtOnce ? "graceful at once" : "graceful later",
            $"untranslatable {options.Untranslatable}", $"on-net {options.OnNet}", options.PreferRoute ? "prefer route" : "prefer held",
            $"neutral {options.NeutralTypes:x}",
            $"inbound rules {options.Policy.Inbound.Length}", $"default {AddressTypes.ToName(options.Policy.DefaultOutcome.Type)}",
        });
    }

    public static bool Bit(int number, int position) => ((number >> position) & 1) != 0;
}
