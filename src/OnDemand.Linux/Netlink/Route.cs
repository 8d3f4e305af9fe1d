using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Netlink;

/// <summary>An IPv6 route.</summary>
/// <param name="Table">The table.</param>
/// <param name="Destination">Where it leads; <c>::/0</c> is the default route.</param>
/// <param name="LinkIndex">The interface; 0 for a route without one or with several next hops.</param>
internal readonly record struct Route(uint Table, IpPrefix Destination, int LinkIndex)
{
    /// <summary>The table <c>main</c>.</summary>
    public const uint MainTable = 254;

    /// <summary>The table <c>local</c>.</summary>
    public const uint LocalTable = 255;

    /// <summary>RTN_UNICAST.</summary>
    public const byte UnicastType = 1;

    /// <summary>RTN_LOCAL.</summary>
    public const byte LocalType = 2;

    /// <summary>What is done with packets, RTN_* of linux/rtnetlink.h.</summary>
    public byte Type { get; init; } = UnicastType;

    /// <summary>Who made it, RTPROT_*.</summary>
    public byte Protocol { get; init; }

    /// <summary>The smaller one wins among routes to the same destination; 0 on adding is the kernel's own choice, 1024.</summary>
    public uint Metric { get; init; }

    /// <summary>The source address it suggests; null for none.</summary>
    public IpAddress? PreferredSource { get; init; }

    /// <summary>The next router; null for a destination on the link.</summary>
    public IpAddress? Gateway { get; init; }
}
