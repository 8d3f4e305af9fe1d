namespace OnDemand.Linux.Sockets;

/// <summary>A socket's state by the kernel's numbers (net/tcp_states.h). A UDP socket is <see cref="Established"/> when connected and
/// <see cref="Closed"/> otherwise.</summary>
internal enum SocketState : byte
{
    /// <summary>Not known.</summary>
    None = 0,

    /// <summary>Connected.</summary>
    Established = 1,

    /// <summary>Has sent a SYN.</summary>
    SynSent = 2,

    /// <summary>A listener's answer to a SYN has left. There is no socket of a program yet, so no user and no inode; the cookie is already
    /// that of the socket that will be accepted.</summary>
    SynReceived = 3,

    /// <summary>Closed here, with data or the FIN not yet acknowledged.</summary>
    FinWait1 = 4,

    /// <summary>Closed here, and that is acknowledged.</summary>
    FinWait2 = 5,

    /// <summary>What remains of a connection while old segments may still be under way. Its socket is gone: no user, no inode.</summary>
    TimeWait = 6,

    /// <summary>Not connected.</summary>
    Closed = 7,

    /// <summary>Closed by the peer.</summary>
    CloseWait = 8,

    /// <summary>Closed by both, the peer first.</summary>
    LastAcknowledgment = 9,

    /// <summary>Waits for connections.</summary>
    Listen = 10,

    /// <summary>Closed by both at once.</summary>
    Closing = 11,

    /// <summary>As <see cref="SynReceived"/>; the kernel's own number for it.</summary>
    NewSynReceived = 12,
}
