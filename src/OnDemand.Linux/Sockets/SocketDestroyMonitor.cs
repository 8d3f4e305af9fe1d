using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Tells of the ends of IPv6 sockets of TCP and UDP, from its opening on, in the network namespace of the thread that opened it. Needs no
/// privileges. Belongs to one thread at a time.
/// </summary>
/// <remarks>
/// A notice carries cookie, protocol, state, addresses and ports; user, inode, cgroup and mark are 0: who wants them knows them by the cookie.
/// It comes when the kernel's socket ends, which close(2) alone need not bring about:
/// <list type="bullet">
/// <item>UDP: with the last close, or when its last datagram under way has left the host.</item>
/// <item>TCP, closed here first: when the peer has acknowledged the FIN, be its own FIN still to come. What remains is an entry in FIN_WAIT2 or
/// TIME_WAIT without program, with the socket's ports and (on Linux 6.18) its cookie; the end of that is not told. A
/// peer that is silent delays the notice until the kernel gives up (net.ipv4.tcp_orphan_retries), and net.ipv4.tcp_fin_timeout
/// beyond 60 s lets the socket itself wait in FIN_WAIT2.</item>
/// <item>TCP, closed by the peer first: when the last FIN is acknowledged; there is no TIME_WAIT here.</item>
/// <item>Reset or aborted: the program must close it too.</item>
/// <item>Half-open connections of a listener are no sockets and not told.</item>
/// </list>
/// A socket that several processes share ends with the last of them. Sockets of the kernel itself are not told.
/// </remarks>
internal sealed class SocketDestroyMonitor : IDisposable
{
    // SKNLGRP_INET6_TCP_DESTROY and SKNLGRP_INET6_UDP_DESTROY of linux/sock_diag.h. A socket of the family IPv6 is in these even with IPv4
    // addresses mapped; the groups 1 and 2 are those of IPv4.
    private const int TcpGroup = 3;
    private const int UdpGroup = 4;
    private const int UsualReceiveBuffer = 8 * 1024 * 1024;

    private readonly NetlinkSocket _socket;
    private readonly Queue<SocketRecord> _ended = new(16);
    private bool _overflowed;

    private SocketDestroyMonitor(NetlinkSocket socket) => _socket = socket;

    /// <summary>Its descriptor: readable when there are notices, see poll(2). Then <see cref="TryTake"/> until it says no.</summary>
    public int Descriptor => _socket.Descriptor;

    /// <summary>Opens it.</summary>
    /// <param name="receiveBuffer">How much may wait, in octets, of which the kernel takes twice as many; a notice takes 1280 of these (Linux 6.18).
    /// 8 MiB unless told: some 13,000 notices. Without CAP_NET_ADMIN no more than net.core.rmem_max.</param>
    /// <returns>It.</returns>
    /// <exception cref="HostException">The kernel cannot tell of sockets.</exception>
    /// <exception cref="LinuxException">No memory or descriptors are left.</exception>
    public static SocketDestroyMonitor Open(int receiveBuffer = UsualReceiveBuffer)
    {
        try
        {
            NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.SocketDiagnostics, TcpGroup, UdpGroup);
            socket.SetReceiveBuffer(receiveBuffer);
            return new SocketDestroyMonitor(socket);
        }
        catch (LinuxException exception) when (exception.Error is Errno.Eprotonosupport or Errno.Enoent)
        {
            throw new HostException(
                "The kernel cannot tell when a socket ends: load its modules with `modprobe -a inet_diag tcp_diag udp_diag`.", exception);
        }
    }

    /// <summary>Takes the next notice, without waiting.</summary>
    /// <param name="ended">The socket that has ended.</param>
    /// <returns>Whether there was a notice. If not, ask <see cref="TakeOverflow"/>.</returns>
    /// <exception cref="LinuxException">The socket failed.</exception>
    public bool TryTake(out SocketRecord ended)
    {
        while (!_ended.TryDequeue(out ended))
        {
            switch (_socket.TryReceive(out ReadOnlySpan<byte> received))
            {
                case NetlinkReceipt.Nothing:
                    return false;
                case NetlinkReceipt.Overrun:
                    _overflowed = true;
                    break;
                default:
                    Read(received);
                    break;
            }
        }

        return true;
    }

    /// <summary>Whether notices have been lost since this was last asked: then only a dump tells which sockets are left. Ask before the
    /// dump: what ends during it is told again.</summary>
    /// <returns>Whether notices were lost.</returns>
    public bool TakeOverflow()
    {
        bool overflowed = _overflowed;
        _overflowed = false;
        return overflowed;
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private void Read(ReadOnlySpan<byte> received)
    {
        while (!received.IsEmpty)
        {
            if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message) || message.Type == NetlinkMessage.OverrunType)
            {
                _overflowed = true;    // something that cannot be read was told: that is the same as something lost
            }
            else if (SocketMessages.TryRead(message, SocketProtocol.None, out SocketRecord record))
            {
                _ended.Enqueue(record);
            }
        }
    }
}
