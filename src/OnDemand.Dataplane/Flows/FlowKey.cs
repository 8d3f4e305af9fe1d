using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// The key of a flow: remote address and a tail of protocol (8 bits), host (24 bits: number of the internal address, or of the typed
/// address of a native socket), local port and remote port (16 bits each).
/// </summary>
internal readonly struct FlowKey(IpAddress remote, ulong tail)
{
    /// <summary>Set in the host's number when it names the typed address of a native socket.</summary>
    public const int NativeHost = 1 << 23;

    /// <summary>The tail of no key: a host's number never has all bits set.</summary>
    public const ulong NoTail = ulong.MaxValue;

    public readonly IpAddress Remote = remote;
    public readonly ulong Tail = tail;

    public FlowKey(IpAddress remote, byte protocol, int host, ushort localPort, ushort remotePort)
        : this(remote, MakeTail(protocol, host, localPort, remotePort))
    {
    }

    public bool IsTcp => ProtocolOf(Tail) == IpProtocol.Tcp;

    public static ulong MakeTail(byte protocol, int host, ushort localPort, ushort remotePort) =>
        MakeTail(protocol, host, ((uint)localPort << 16) | remotePort);

    public static ulong MakeTail(byte protocol, int host, uint ports) => MakeTail(protocol, HostBits(host), ports);

    public static ulong MakeTail(byte protocol, ulong hostBits, uint ports) => ((ulong)protocol << 56) | hostBits | ports;

    /// <summary>A host's number where a tail has it.</summary>
    public static ulong HostBits(int host) => (ulong)(uint)host << 32;

    public static byte ProtocolOf(ulong tail) => (byte)(tail >> 56);

    public static int HostOf(ulong tail) => (int)(tail >> 32) & 0xff_ffff;

    public static ushort LocalPortOf(ulong tail) => (ushort)(tail >> 16);

    public static ushort RemotePortOf(ulong tail) => (ushort)tail;
}
