using System.Net.NetworkInformation;

namespace OnDemand.Linux.Netlink;

/// <summary>A network interface.</summary>
/// <param name="Index">Its index.</param>
/// <param name="Name">Its name.</param>
internal sealed record Link(int Index, string Name)
{
    /// <summary>IFF_UP.</summary>
    public const uint UpFlag = 0x1;

    /// <summary>IFF_NOARP.</summary>
    public const uint NoArpFlag = 0x80;

    /// <summary>IFF_LOWER_UP.</summary>
    public const uint CarrierFlag = 0x1_0000;

    /// <summary>Its flags, IFF_* of linux/if.h.</summary>
    public uint Flags { get; init; }

    /// <summary>The longest packet, in octets.</summary>
    public int Mtu { get; init; }

    /// <summary>What kind of virtual interface it is (<c>tun</c>, <c>veth</c>, <c>dummy</c>); null for hardware and loopback.</summary>
    public string? Kind { get; init; }

    /// <summary>Whether it is a TAP (not a TUN) interface. Kernels before 4.20 do not say and answer true for both.</summary>
    public bool IsTap { get; init; }

    /// <summary>Its link-layer address; null if it has none.</summary>
    public PhysicalAddress? Address { get; init; }

    /// <summary>Whether it is up.</summary>
    public bool IsUp => (Flags & UpFlag) != 0;

    /// <summary>Whether it does without neighbor discovery (<c>arp off</c>).</summary>
    public bool IsWithoutNeighborDiscovery => (Flags & NoArpFlag) != 0;

    /// <summary>Whether it is up and has a carrier.</summary>
    public bool IsRunning => (Flags & (UpFlag | CarrierFlag)) == (UpFlag | CarrierFlag);
}
