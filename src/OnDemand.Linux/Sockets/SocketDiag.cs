using System.Numerics;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Sockets;

/// <summary>Is told of a socket.</summary>
/// <param name="record">The socket.</param>
internal delegate void SocketVisitor(in SocketRecord record);

/// <summary>
/// Asks the kernel about sockets (sock_diag(7)) of the network namespace of the thread that opened this. Belongs to one thread at a time.
/// Looking up allocates nothing and needs no privileges; without CAP_NET_ADMIN marks read as 0.
/// </summary>
internal sealed class SocketDiag : IDisposable
{
    // Implementation choices. A batch's answers fit the receive buffer of every system (net.core.rmem_default).
    private const int BatchLength = 32;
    private const int Attempts = 8;
    private static readonly TimeSpan UsualAnswerTime = TimeSpan.FromSeconds(1);

    private readonly NetlinkSocket _socket;
    private readonly byte[] _requests = new byte[BatchLength * SocketMessages.RequestLength];

    private SocketDiag(NetlinkSocket socket) => _socket = socket;

    /// <summary>Opens it and makes sure that the kernel knows the sockets of TCP and UDP.</summary>
    /// <param name="answerTime">How long an answer may take; a second if null. The kernel answers while it is asked: more than
    /// microseconds mean that something is wrong.</param>
    /// <param name="receiveBuffer">How much may wait, in octets of the kernel's memory; what the system gives every socket if null. More than it holds
    /// is asked again.</param>
    /// <returns>It.</returns>
    /// <exception cref="HostException">The kernel cannot tell of sockets.</exception>
    /// <exception cref="LinuxException">No memory or descriptors are left.</exception>
    public static SocketDiag Open(TimeSpan? answerTime = null, int? receiveBuffer = null)
    {
        SocketDiag diag = new(OpenSocket());
        try
        {
            diag._socket.LimitAnswerTime(answerTime ?? UsualAnswerTime);
            if (receiveBuffer is { } octets)
            {
                diag._socket.SetReceiveBuffer(octets);
            }

            diag.Require(SocketProtocol.Tcp);
            diag.Require(SocketProtocol.Udp);
            return diag;
        }
        catch
        {
            diag.Dispose();
            throw;
        }
    }

    /// <summary>Finds the socket of a flow. The kernel looks it up as it would for a packet from the peer: a connected socket first, else one that
    /// is bound to the port or, for TCP, listens there (<see cref="SocketState.Listen"/> says so). Of UDP sockets that share a port
    /// (SO_REUSEPORT) it gives the one that the peer's answer would reach.</summary>
    /// <param name="query">The flow.</param>
    /// <param name="record">Its socket.</param>
    /// <returns>Whether there is one.</returns>
    /// <exception cref="LinuxException">The kernel gave an error, or no answer in time.</exception>
    public bool TryFind(in SocketQuery query, out SocketRecord record)
    {
        record = default;
        bool found = false;
        FindBatch(new ReadOnlySpan<SocketQuery>(in query), new Span<SocketRecord>(ref record), new Span<bool>(ref found));
        return found;
    }

    /// <summary>Finds the sockets of many flows, see <see cref="TryFind"/>, with fewer system calls.</summary>
    /// <param name="queries">The flows.</param>
    /// <param name="records">At least as many: their sockets, where found.</param>
    /// <param name="found">At least as many: whether there is one.</param>
    /// <returns>How many were found.</returns>
    /// <exception cref="LinuxException">The kernel gave an error, or no answer in time.</exception>
    public int Find(ReadOnlySpan<SocketQuery> queries, Span<SocketRecord> records, Span<bool> found)
    {
        int count = 0;
        for (int start = 0; start < queries.Length; start += BatchLength)
        {
            int length = Math.Min(BatchLength, queries.Length - start);
            FindBatch(queries.Slice(start, length), records.Slice(start, length), found.Slice(start, length));
            count += found.Slice(start, length).Count(true);
        }

        return count;
    }

    /// <summary>Tells of all sockets of IPv6. What changes meanwhile may be missing or told twice (by its cookie the same), and everything may be
    /// when the kernel asks for another round.</summary>
    /// <param name="protocol">Their protocol.</param>
    /// <param name="states">Their states.</param>
    /// <param name="visit">Is told of each; it must not ask here.</param>
    /// <exception cref="LinuxException">The kernel gave an error, or no answer in time, or was interrupted time and again.</exception>
    public void Dump(SocketProtocol protocol, SocketStates states, SocketVisitor visit)
    {
        Span<byte> octets = stackalloc byte[SocketMessages.RequestLength];
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            TakeRest();
            NetlinkRequest request = SocketMessages.All(octets, protocol, states);
            if (ReadDump(_socket.Post(ref request), protocol, visit))
            {
                return;
            }
        }

        throw new LinuxException($"SOCK_DIAG_BY_FAMILY dump {protocol}", Errno.Eagain);
    }

    /// <summary>Aborts a socket (SOCK_DESTROY), which must be the very one: its cookie is compared.</summary>
    /// <param name="socket">What the kernel said of it.</param>
    /// <returns>What became of it.</returns>
    /// <exception cref="LinuxException">The kernel gave another error.</exception>
    public DestroyResult Destroy(in SocketRecord socket)
    {
        if (socket.Cookie is 0 or SocketMessages.AnyCookie)
        {
            return DestroyResult.NotFound;    // no socket has one of these, and one of them would mean any socket
        }

        Span<byte> octets = stackalloc byte[SocketMessages.RequestLength];
        NetlinkRequest request = SocketMessages.Destroy(octets, socket);
        NetlinkError error = _socket.Change(ref request);
        return ResultOf(error.Error) ?? throw new LinuxException("SOCK_DESTROY", error.Error);
    }

    /// <summary>What an error of SOCK_DESTROY means.</summary>
    /// <param name="error">The errno.</param>
    /// <returns>What became of it; null if it means something else.</returns>
    internal static DestroyResult? ResultOf(int error) => error switch
    {
        0 => DestroyResult.Destroyed,
        Errno.Enoent or Errno.Estale => DestroyResult.NotFound,
        Errno.Eperm or Errno.Eacces => DestroyResult.NotAllowed,
        Errno.Eopnotsupp or Errno.Einval => DestroyResult.NotSupported,    // not built in; before Linux 4.5
        _ => null,
    };

    /// <summary>Makes sure that the kernel can tell of the sockets of a protocol; it loads the module if it may.</summary>
    /// <param name="protocol">The protocol.</param>
    /// <exception cref="HostException">It cannot.</exception>
    /// <exception cref="LinuxException">The kernel gave another error.</exception>
    public void Require(SocketProtocol protocol)
    {
        // A look-up answers "no such socket" and "no such module" alike; a dump of no state at all tells them apart.
        try
        {
            Dump(protocol, SocketStates.None, static (in SocketRecord _) => { });
        }
        catch (LinuxException exception) when (exception.Error is Errno.Enoent or Errno.Einval)
        {
            throw new HostException(
                $"The kernel cannot tell whose socket a flow of {NameOf(protocol)} is: load its module with `modprobe {ModuleOf(protocol)}`.", exception);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static NetlinkSocket OpenSocket()
    {
        try
        {
            return NetlinkSocket.Open(NetlinkFamily.SocketDiagnostics);
        }
        catch (LinuxException exception) when (exception.Error == Errno.Eprotonosupport)
        {
            throw new HostException(
                "The kernel cannot tell whose socket a flow is: load its module with `modprobe inet_diag`.", exception);
        }
    }

    private static string NameOf(SocketProtocol protocol) => protocol switch
    {
        SocketProtocol.Tcp => "TCP",
        SocketProtocol.Udp => "UDP",
        _ => $"protocol {(byte)protocol}",
    };

    private static string ModuleOf(SocketProtocol protocol) => protocol switch
    {
        SocketProtocol.Tcp => "tcp_diag",
        SocketProtocol.Udp => "udp_diag",
        _ => "inet_diag",
    };

    private void FindBatch(ReadOnlySpan<SocketQuery> queries, Span<SocketRecord> records, Span<bool> found)
    {
        found[..queries.Length].Clear();
        ulong missing = (1UL << queries.Length) - 1;
        int fruitless = 0;
        while (missing != 0)
        {
            uint first = Ask(queries, missing);
            ulong left = ReadAnswers(first, queries, records, found, missing);
            if (left == missing && ++fruitless == Attempts)
            {
                throw new LinuxException("SOCK_DIAG_BY_FAMILY", Errno.Enobufs);
            }

            missing = left;
        }
    }

    // A query keeps its place among the numbers, whether it is asked (again) or not.
    private uint Ask(ReadOnlySpan<SocketQuery> queries, ulong missing)
    {
        uint first = _socket.TakeNumbers(queries.Length);
        int length = 0;
        for (ulong rest = missing; rest != 0; rest &= rest - 1)
        {
            int i = BitOperations.TrailingZeroCount(rest);
            NetlinkRequest request = SocketMessages.LookUp(_requests.AsSpan(length, SocketMessages.RequestLength), queries[i]);
            length += request.Finish(first + (uint)i).Length;
        }

        _socket.Post(_requests.AsSpan(0, length));
        return first;
    }

    // Gives what is still missing: none, unless the socket could not hold the answers.
    private ulong ReadAnswers(
        uint first, ReadOnlySpan<SocketQuery> queries, Span<SocketRecord> records, Span<bool> found, ulong missing)
    {
        bool isOverrun = false;
        while (missing != 0)
        {
            // After an overrun the kernel gives nothing new before what there is has been taken.
            switch (isOverrun ? _socket.TryReceive(out ReadOnlySpan<byte> received) : _socket.ReceiveAnswer(out received))
            {
                case NetlinkReceipt.Nothing when isOverrun:
                    return missing;
                case NetlinkReceipt.Nothing:
                    throw new LinuxException("SOCK_DIAG_BY_FAMILY", Errno.Etimedout);
                case NetlinkReceipt.Overrun:
                    isOverrun = true;
                    continue;
            }

            while (!received.IsEmpty)
            {
                if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message))
                {
                    throw new LinuxException("SOCK_DIAG_BY_FAMILY", NetlinkError.Malformed);
                }

                uint place = message.Sequence - first;
                if (place < (uint)queries.Length && (missing & (1UL << (int)place)) != 0)
                {
                    found[(int)place] = TryReadAnswer(message, queries[(int)place], ref records[(int)place]);
                    missing &= ~(1UL << (int)place);
                }
            }
        }

        return 0;
    }

    private static bool TryReadAnswer(NetlinkMessage message, in SocketQuery query, ref SocketRecord record)
    {
        if (message.Type != NetlinkMessage.ErrorType)
        {
            return SocketMessages.TryRead(message, query.Protocol, out record) && query.IsAnsweredBy(record);
        }

        int error = NetlinkError.NumberOf(message);
        return error == Errno.Enoent ? false : throw new LinuxException("SOCK_DIAG_BY_FAMILY", error);
    }

    // A dump that was given up goes on as long as it is read; the kernel begins no other before its end.
    private void TakeRest()
    {
        while (_socket.TryReceive(out _) != NetlinkReceipt.Nothing)
        {
        }
    }

    // Gives whether it is whole.
    private bool ReadDump(uint sequence, SocketProtocol protocol, SocketVisitor visit)
    {
        bool interrupted = false;
        while (true)
        {
            switch (_socket.ReceiveAnswer(out ReadOnlySpan<byte> received))
            {
                case NetlinkReceipt.Nothing:
                    throw new LinuxException("SOCK_DIAG_BY_FAMILY dump", Errno.Etimedout);
                case NetlinkReceipt.Overrun:
                    return false;
            }

            while (!received.IsEmpty)
            {
                if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message))
                {
                    throw new LinuxException("SOCK_DIAG_BY_FAMILY dump", NetlinkError.Malformed);
                }

                if (message.Sequence != sequence)
                {
                    continue;    // the rest of an answer that was given up
                }

                interrupted |= message.Type != NetlinkMessage.ErrorType && (message.Flags & NetlinkFlags.DumpInterrupted) != 0;
                switch (message.Type)
                {
                    case NetlinkMessage.ErrorType or NetlinkMessage.DoneType:
                        NetlinkError.Read(message).ThrowIfFailed($"SOCK_DIAG_BY_FAMILY dump {protocol}");
                        return !interrupted;
                    case NetlinkMessage.OverrunType:
                        return false;
                    default:
                        if (SocketMessages.TryRead(message, protocol, out SocketRecord record))
                        {
                            visit(in record);
                        }

                        break;
                }
            }
        }
    }
}
