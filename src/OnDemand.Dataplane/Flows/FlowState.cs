namespace OnDemand.Dataplane.Flows;

/// <summary>
/// A flow's life. TCP follows RFC 7857 §2 (figure 1) and RFC 6146 §3.5.2; everything else is <see cref="Datagram"/> or <see cref="Echo"/>.
///
/// <code>
/// state         entered by                                     idle time          its address
/// Free          nothing                                        -                  none
/// Datagram      first packet of a flow that is not TCP         Udp or Other       goes over when it ends
/// Echo          first ICMPv6 message                           Icmpv6             goes over when it ends
/// OpeningOut    SYN of the host                                TcpOpening         may still be chosen anew
/// OpeningIn     SYN of the remote                              TcpOpening         stranded when it ends
/// Established   SYN of both, or picked up in mid-flow          TcpEstablished     stranded when it ends
/// HostFin       FIN of the host                                TcpEstablished     stranded when it ends
/// RemoteFin     FIN of the remote                              TcpEstablished     stranded when it ends
/// Closed        FIN of both, or its socket has ended           TcpClosing, 5 s    forgotten when it ends
/// Reset         RST; data from either side reopens it          TcpClosing         forgotten when it ends
/// Stranded      its address ended under a live TCP flow        TcpClosing         gone; packets of the host get a RST
/// </code>
/// </summary>
public enum FlowState : byte
{
    /// <summary>No flow.</summary>
    Free,

    /// <summary>A flow without a connection.</summary>
    Datagram,

    /// <summary>An ICMPv6 exchange.</summary>
    Echo,

    /// <summary>The host has sent a SYN.</summary>
    OpeningOut,

    /// <summary>The remote has sent a SYN.</summary>
    OpeningIn,

    /// <summary>Both have, or the flow was picked up.</summary>
    Established,

    /// <summary>The host has sent a FIN.</summary>
    HostFin,

    /// <summary>The remote has sent a FIN.</summary>
    RemoteFin,

    /// <summary>Both have, or the flow's socket has ended.</summary>
    Closed,

    /// <summary>Either has sent a RST.</summary>
    Reset,

    /// <summary>The flow's address ended while it was live.</summary>
    Stranded,
}

/// <summary>Marks of a flow.</summary>
[Flags]
internal enum FlowMarks : byte
{
    None = 0,

    /// <summary>The remote sent the first packet.</summary>
    Inbound = 1,

    /// <summary>The socket is bound to its typed address; packets are not rewritten.</summary>
    Native = 2,

    /// <summary>The host's RCV.NXT is known from an acknowledgment of its own.</summary>
    ReceiveKnown = 4,

    /// <summary>The host's SND.NXT is known.</summary>
    SendKnown = 8,

    /// <summary>The host's SYN has been seen.</summary>
    HostSyn = 16,

    /// <summary>The remote's SYN has been seen.</summary>
    RemoteSyn = 32,

    /// <summary>Closed as far as the use of its address goes.</summary>
    Released = 64,

    /// <summary>The remote is one of our own typed addresses.</summary>
    Hairpin = 128,
}
