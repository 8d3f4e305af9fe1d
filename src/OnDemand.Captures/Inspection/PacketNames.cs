using System.Globalization;

namespace OnDemand.Captures.Inspection;

/// <summary>The names of what an inspection counts.</summary>
internal static class PacketNames
{
    /// <summary>The name of a link type, or its number.</summary>
    public static string LinkType(ushort linkType) => linkType switch
    {
        Link.LinkType.Null => "null",
        Link.LinkType.Ethernet => "ethernet",
        Link.LinkType.Raw or Link.LinkType.Raw12 or Link.LinkType.Raw14 => "raw",
        Link.LinkType.Loop => "loop",
        Link.LinkType.LinuxSll => "linux-sll",
        Link.LinkType.LinuxSll2 => "linux-sll2",
        Link.LinkType.Ipv6 => "ipv6",
        _ => string.Create(CultureInfo.InvariantCulture, $"linktype-{linkType}"),
    };

    /// <summary>The name of a kind of packets.</summary>
    public static string Kind(PacketKind kind) => kind switch
    {
        PacketKind.Ipv6 => "ipv6",
        PacketKind.NotIpv6 => "not-ipv6",
        PacketKind.LinkScope => "link-scope",
        PacketKind.Fragment => "fragments",
        PacketKind.Icmpv6Error => "icmpv6-errors",
        PacketKind.NeighborDiscovery => "neighbor-discovery",
        PacketKind.OpaqueTransport => "opaque-transport",
        PacketKind.Authenticated => "authenticated",
        PacketKind.AddressSignaling => "address-signaling",
        _ => "broken-header-chain",
    };

    /// <summary>The name of an ICMPv6 error (RFC 4443).</summary>
    public static string Error(byte type) => type switch
    {
        1 => "destination-unreachable",
        2 => "packet-too-big",
        3 => "time-exceeded",
        _ => "parameter-problem",
    };
}
