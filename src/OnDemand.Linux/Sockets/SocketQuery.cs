using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Sockets;

/// <summary>Asks which socket of this host is one end of a flow.</summary>
/// <param name="Protocol">The protocol.</param>
/// <param name="Local">The address that the socket knows as its own.</param>
/// <param name="LocalPort">Its port.</param>
/// <param name="Remote">The peer's address.</param>
/// <param name="RemotePort">The peer's port.</param>
internal readonly record struct SocketQuery(
    SocketProtocol Protocol, IpAddress Local, ushort LocalPort, IpAddress Remote, ushort RemotePort)
{
    /// <summary>The index of the interface that the flow passes. A socket that is bound to an interface (SO_BINDTODEVICE) is only found by a
    /// query with that index; 0 finds the others.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>Asks for the listener that a connection comes from.</summary>
    public SocketQuery Listener => this with { Remote = default, RemotePort = 0 };

    /// <summary>Whether an answer of the kernel is one to this: it looks sockets up as it does for a packet that comes in, with wildcards.</summary>
    /// <param name="record">The answer.</param>
    /// <returns>Whether it is one.</returns>
    public bool IsAnsweredBy(in SocketRecord record) =>
        record.LocalPort == LocalPort
        && (record.Local == Local || record.Local.IsUnspecified)
        && (record is { RemotePort: 0, Remote.IsUnspecified: true } || (record.RemotePort == RemotePort && record.Remote == Remote));
}
