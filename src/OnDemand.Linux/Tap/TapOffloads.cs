namespace OnDemand.Linux.Tap;

/// <summary>What the kernel may leave undone in frames that it gives to the TAP: TUN_F_* of linux/if_tun.h.</summary>
[Flags]
internal enum TapOffloads : uint
{
    /// <summary>Nothing: every frame is finished, and no longer than the MTU.</summary>
    None = 0,

    /// <summary>Checksums.</summary>
    Checksum = 0x01,

    /// <summary>Segmentation of TCP over IPv4.</summary>
    TcpSegmentation4 = 0x02,

    /// <summary>Segmentation of TCP over IPv6.</summary>
    TcpSegmentation6 = 0x04,

    /// <summary>Segmentation of UDP over IPv4; only together with the next.</summary>
    UdpSegmentation4 = 0x20,

    /// <summary>Segmentation of UDP over IPv6.</summary>
    UdpSegmentation6 = 0x40,

    /// <summary>All of them.</summary>
    All = Checksum | TcpSegmentation4 | TcpSegmentation6 | UdpSegmentation4 | UdpSegmentation6,
}
