using System.Runtime.InteropServices;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>
/// Finds out which socket a descriptor of another process is, by taking a second one of it for a moment (pidfd_getfd(2)). So a socket is
/// known before it has a port, when the kernel's tables do not have it yet. Belongs to the network namespace of the thread that makes it.
/// </summary>
internal sealed class DescriptorSockets
{
    private const int Ipv6 = 10;              // AF_INET6
    private const int Ipv4 = 2;               // AF_INET
    private const int Stream = 1;             // SOCK_STREAM
    private const int Datagram = 2;           // SOCK_DGRAM
    private const int SocketLevel = 1;        // SOL_SOCKET
    private const int Type = 3;               // SO_TYPE
    private const int Protocol = 38;          // SO_PROTOCOL
    private const int Domain = 39;            // SO_DOMAIN
    private const int NamespaceCookie = 71;   // SO_NETNS_COOKIE

    private readonly ulong _namespace = NamespaceOfThread();

    /// <summary>Finds a socket.</summary>
    /// <param name="process">The process that has it.</param>
    /// <param name="descriptor">Its descriptor there.</param>
    /// <returns>The socket.</returns>
    /// <exception cref="ControlException">It is none, or none that can have an address of its own, or it may not be looked at.</exception>
    public SocketOwnerInfo Find(PeerProcess process, int descriptor)
    {
        using FileDescriptor handle = process.Open();
        if (handle.IsInvalid)
        {
            throw Unknown(process.Id == 0
                ? "The process that asks is not to be seen from the dataplane; let it run in the same PID namespace, or give the socket's cookie."
                : $"Process {process.Id} has ended.");
        }

        using FileDescriptor socket = Libc.TakeDescriptor(handle, descriptor);
        if (socket.IsInvalid)
        {
            throw NotTaken(Libc.LastError, process.Id, descriptor);
        }

        int domain = Option(socket, Domain) ?? throw Unknown($"Descriptor {descriptor} of process {process.Id} is not a socket.");
        (int?, int?) kind = (Option(socket, Type), Option(socket, Protocol));
        if (domain != Ipv6 || kind is not ((Stream, (int)SocketProtocol.Tcp) or (Datagram, (int)SocketProtocol.Udp)))
        {
            throw new ControlException(
                ProblemTypes.Invalid, 400, $"Descriptor {descriptor} is {Describe(domain)}; only TCP and UDP over IPv6 have on-demand addresses.");
        }

        if (NamespaceOf(socket) != _namespace)
        {
            throw new ControlException(
                ProblemTypes.Invalid, 400, $"The socket {descriptor} is in another network namespace than the dataplane.");
        }

        (uint user, uint inode) = FactsOf(socket);
        return new SocketOwnerInfo(SocketCookie.Of(socket), user)
        {
            Place = new SocketPlace(new SocketHolder(process.Id, descriptor), inode),
        };
    }

    private static ControlException NotTaken(int error, int process, int descriptor) => error switch
    {
        Errno.Ebadf => Unknown($"Process {process} has no descriptor {descriptor}."),
        Errno.Esrch => Unknown($"Process {process} has ended."),
        Errno.Eperm or Errno.Eacces => new ControlException(
            ProblemTypes.Forbidden, 403,
            $"The dataplane may not look at descriptor {descriptor} of process {process}: it lacks CAP_SYS_PTRACE, or a security module refuses; "
            + "give the socket's cookie instead."),
        Errno.Enosys => new ControlException(
            ProblemTypes.Invalid, 400, "The kernel is older than Linux 5.6 and cannot take descriptors; give the socket's cookie instead."),
        Errno.Emfile or Errno.Enfile => new ControlException(ProblemTypes.NoRoom, 503, "The dataplane has no descriptors left."),
        _ => Unknown($"Descriptor {descriptor} of process {process} cannot be looked at: {Marshal.GetPInvokeErrorMessage(error)}."),
    };

    private static string Describe(int domain) => domain switch
    {
        Ipv6 => "an IPv6 socket of another protocol",
        Ipv4 => "an IPv4 socket",
        _ => "a socket of another family",
    };

    private static ControlException Unknown(string sentence) => new(ProblemTypes.UnknownSocket, 404, sentence);

    // The user that socket(2) gave it, or fchown(2) since: the one that sock_diag(7) tells.
    private static (uint User, uint Inode) FactsOf(FileDescriptor socket)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        return Libc.GetStatus(socket, string.Empty, Libc.EmptyPath, Libc.StatusUser | Libc.StatusInode, status) == 0
            ? (MemoryMarshal.Read<uint>(status[Libc.StatusUserOffset..]), MemoryMarshal.Read<uint>(status[Libc.StatusInodeOffset..]))
            : throw new LinuxException("statx", Libc.LastError);
    }

    private static int? Option(FileDescriptor socket, int option)
    {
        Span<int> value = [0];
        uint length = sizeof(int);
        return Libc.GetSocketOption(socket, SocketLevel, option, MemoryMarshal.AsBytes(value), ref length) == 0 ? value[0] : null;
    }

    private static ulong NamespaceOfThread()
    {
        using FileDescriptor own = Libc.Socket(Ipv6, Datagram | Libc.CloseOnExec, 0);
        return own.IsInvalid ? 0 : NamespaceOf(own);
    }

    // 0 before Linux 5.14, of all.
    private static ulong NamespaceOf(FileDescriptor socket)
    {
        Span<ulong> cookie = [0];
        uint length = sizeof(ulong);
        _ = Libc.GetSocketOption(socket, SocketLevel, NamespaceCookie, MemoryMarshal.AsBytes(cookie), ref length);
        return cookie[0];
    }
}
