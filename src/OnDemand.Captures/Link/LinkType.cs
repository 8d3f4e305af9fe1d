namespace OnDemand.Captures.Link;

/// <summary>The LINKTYPE_ values whose headers are understood; see the registry of the tcpdump group.</summary>
public static class LinkType
{
    /// <summary>BSD loopback: the protocol family in the byte order of the machine that captured.</summary>
    public const ushort Null = 0;

    /// <summary>IEEE 802.3 Ethernet.</summary>
    public const ushort Ethernet = 1;

    /// <summary>Raw IP as some systems number it.</summary>
    public const ushort Raw12 = 12;

    /// <summary>Raw IP as OpenBSD numbers it.</summary>
    public const ushort Raw14 = 14;

    /// <summary>Raw IP: the packet begins with an IPv4 or IPv6 header.</summary>
    public const ushort Raw = 101;

    /// <summary>OpenBSD loopback: the protocol family in network byte order.</summary>
    public const ushort Loop = 108;

    /// <summary>Linux "cooked" capture, version 1.</summary>
    public const ushort LinuxSll = 113;

    /// <summary>Raw IPv6.</summary>
    public const ushort Ipv6 = 229;

    /// <summary>Linux "cooked" capture, version 2.</summary>
    public const ushort LinuxSll2 = 276;
}
