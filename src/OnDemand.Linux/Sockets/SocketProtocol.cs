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
}
