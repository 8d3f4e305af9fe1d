namespace OnDemand.Dataplane.Tests.Support;

/// <summary>Control bits of a TCP header as they stand in its octet 13 (RFC 9293 §3.1).</summary>
[Flags]
public enum TcpControl
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>FIN.</summary>
    Fin = 1,

    /// <summary>SYN.</summary>
    Syn = 2,

    /// <summary>RST.</summary>
    Rst = 4,

    /// <summary>PSH.</summary>
    Psh = 8,

    /// <summary>ACK.</summary>
    Ack = 16,
}
