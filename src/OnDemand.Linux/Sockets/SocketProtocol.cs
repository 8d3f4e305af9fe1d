namespace OnDemand.Linux.Sockets;

/// <summary>The transport protocols that the kernel is asked about, by their Next Header values.</summary>
internal enum SocketProtocol : byte
{
    /// <summary>Not known.</summary>
    None = 0,

    /// <summary>TCP.</summary>
    Tcp = 6,

    /// <summary>UDP.</summary>
    Udp = 17,

    /// <summary>ICMPv6: sockets for echoes (<c>socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)</c>), whose port is the identifier. sock_diag(7) does
    /// not know them, see <see cref="EchoSockets"/>.</summary>
    Icmpv6 = 58,
}
