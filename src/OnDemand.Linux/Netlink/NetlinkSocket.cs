using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <summary>Makes an object of a message; false for messages that are none of it.</summary>
/// <typeparam name="T">The object.</typeparam>
/// <param name="message">The message; only valid during the call.</param>
/// <param name="item">The object.</param>
/// <returns>Whether the message was one.</returns>
internal delegate bool NetlinkParser<T>(NetlinkMessage message, out T item);

/// <summary>
/// A netlink socket, see netlink(7). It lives in the network namespace of the thread that opened it and belongs to one thread at a time.
/// </summary>
internal sealed class NetlinkSocket : IDisposable
{
    private const int AddressFamily = 16;
    private const int TypeRawCloseOnExec = 3 | 0x8_0000;
    private const int AddressLength = 12;
    private const int SocketLevel = 1;
    private const int ReceiveBuffer = 8;
    private const int ReceiveTimeout = 20;
    private const int ReceiveBufferForce = 33;
    private const int NetlinkLevel = 270;
    private const int AddMembership = 1;
    private const int CapAcknowledgment = 10;
    private const int ExtendedAcknowledgment = 11;
    private const int StrictCheck = 12;
    private const int Peek = 0x02;
    private const int Truncated = 0x20;
    private const int DontWait = 0x40;

    // Implementation choices.
    private const int FirstBuffer = 32 * 1024;
    private const int LargestBuffer = 16 * 1024 * 1024;
    private const int KernelBuffer = 4 * 1024 * 1024;
    private const int DumpAttempts = 8;
    private const int AnswerSeconds = 10;
    private static readonly TimeSpan CancellationLatency = TimeSpan.FromMilliseconds(200);

    private static readonly List<byte> Nothing = [];

    private readonly FileDescriptor _socket;
    private byte[] _buffer = new byte[FirstBuffer];
    private uint _sequence;
    private TimeSpan _answerTime = TimeSpan.FromSeconds(AnswerSeconds);

    private NetlinkSocket(FileDescriptor socket) => _socket = socket;

    /// <summary>Its descriptor, for poll(2); valid until disposal.</summary>
    public int Descriptor => _socket.Number;

    /// <summary>Its port: what the kernel calls it by. Two sockets of a namespace never have the same.</summary>
    /// <exception cref="LinuxException">The socket failed.</exception>
    public uint Port
    {
        get
        {
            Span<byte> address = stackalloc byte[AddressLength];
            uint length = AddressLength;
            return Libc.GetSocketName(_socket, address, ref length) == 0
                ? MemoryMarshal.Read<uint>(address[4..])
                : throw new LinuxException("getsockname AF_NETLINK", Libc.LastError);
        }
    }

    /// <summary>Opens a socket.</summary>
    /// <param name="family">What it talks to.</param>
    /// <param name="groups">Multicast groups whose notices it wants.</param>
    /// <returns>The socket.</returns>
    /// <exception cref="LinuxException">The kernel has no such family, or no memory or descriptors are left.</exception>
    public static NetlinkSocket Open(NetlinkFamily family, params ReadOnlySpan<int> groups)
    {
        FileDescriptor descriptor = Libc.Socket(AddressFamily, TypeRawCloseOnExec, (int)family);
        if (descriptor.IsInvalid)
        {
            int error = Libc.LastError;
            descriptor.Dispose();
            throw new LinuxException($"socket AF_NETLINK {family}", error);
        }

        var socket = new NetlinkSocket(descriptor);
        try
        {
            socket.Prepare(groups);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Asks and waits for the whole answer. An interrupted dump is asked for again, as is one whose answer was lost.</summary>
    /// <typeparam name="T">What the answer consists of.</typeparam>
    /// <param name="request">The request. Unless it is a dump, an acknowledgment must be asked for.</param>
    /// <param name="parse">Makes an object of each message of the answer.</param>
    /// <param name="results">Takes the objects; what it held is lost.</param>
    /// <returns>What the kernel says; <see cref="Errno.Eagain"/> if a dump was interrupted time and again.</returns>
    /// <exception cref="LinuxException">The socket itself failed.</exception>
    public NetlinkError Ask<T>(ref NetlinkRequest request, NetlinkParser<T> parse, List<T> results)
    {
        bool isDump = (request.Flags & NetlinkFlags.Dump) == NetlinkFlags.Dump && (request.Flags & NetlinkFlags.Acknowledge) == 0;
        for (int attempt = 0; attempt < DumpAttempts; attempt++)
        {
            results.Clear();
            Send(request.Finish(++_sequence));
            NetlinkError error = ReadAnswer(parse, results, out bool again);
            if (!again)
            {
                return error;
            }

            if (!isDump)
            {
                // Not to be repeated: it may have been done. The answer is lost, and that is what the caller must know.
                return new NetlinkError(Errno.Enobufs, null);
            }
        }

        return new NetlinkError(Errno.Eagain, null);
    }

    /// <summary>Asks for a change and waits for the acknowledgment.</summary>
    /// <param name="request">The request, with <see cref="NetlinkFlags.Acknowledge"/>.</param>
    /// <returns>What the kernel says.</returns>
    /// <exception cref="LinuxException">The socket itself failed.</exception>
    public NetlinkError Change(ref NetlinkRequest request) => Ask(ref request, NoItem, Nothing);

    /// <summary>Sends a request without waiting for its answer, which <see cref="ReceiveAnswer"/> gives.</summary>
    /// <param name="request">The request.</param>
    /// <returns>Its number: that of every message of the answer.</returns>
    /// <exception cref="LinuxException">The socket failed.</exception>
    public uint Post(ref NetlinkRequest request)
    {
        uint sequence = TakeNumbers(1);
        Send(request.Finish(sequence));
        return sequence;
    }

    /// <summary>Takes numbers for requests that are to be sent together.</summary>
    /// <param name="count">How many.</param>
    /// <returns>The first; each next one is greater by one, and follows on the greatest by zero.</returns>
    public uint TakeNumbers(int count)
    {
        uint first = _sequence + 1;
        _sequence += (uint)count;
        return first;
    }

    /// <summary>Sends requests together, without waiting for their answers. The kernel deals with them one after the other before this
    /// returns; an answer that the socket cannot hold is lost (<see cref="NetlinkReceipt.Overrun"/>).</summary>
    /// <param name="requests">Finished requests one after the other, with numbers of <see cref="TakeNumbers"/>.</param>
    /// <exception cref="LinuxException">The socket failed.</exception>
    public void Post(ReadOnlySpan<byte> requests) => Send(requests);

    /// <summary>Waits for messages, as long as an answer may take (<see cref="LimitAnswerTime"/>). Allocates nothing and makes one system call:
    /// only for answers that are no longer than the kernel makes those of a dump, 32 KiB.</summary>
    /// <param name="received">Messages, see <see cref="NetlinkMessage.TryTake"/>; valid until the next call. Old ones may be among
    /// them: <see cref="NetlinkMessage.Sequence"/> tells.</param>
    /// <returns>What there was; nothing if the time is over.</returns>
    /// <exception cref="LinuxException">The socket itself failed.</exception>
    public NetlinkReceipt ReceiveAnswer(out ReadOnlySpan<byte> received) => ReceiveOnce(0, out received, measure: false);

    /// <summary>Limits how long an answer may take; 10 s unless told.</summary>
    /// <param name="limit">More than zero; the kernel counts in its ticks.</param>
    /// <exception cref="LinuxException">The socket failed.</exception>
    public void LimitAnswerTime(TimeSpan limit)
    {
        SetTimeout(limit);
        _answerTime = limit;
    }

    /// <summary>Sets how much may wait in the socket; beyond net.core.rmem_max only with CAP_NET_ADMIN, else as much as that.</summary>
    /// <param name="octets">Octets; the kernel doubles it for what it needs itself.</param>
    public void SetReceiveBuffer(int octets)
    {
        if (!TrySet(SocketLevel, ReceiveBufferForce, octets))
        {
            TrySet(SocketLevel, ReceiveBuffer, octets);
        }
    }

    /// <summary>Takes what has been received, without waiting.</summary>
    /// <param name="received">Messages, see <see cref="NetlinkMessage.TryTake"/>; valid until the next call.</param>
    /// <returns>What there was.</returns>
    /// <exception cref="LinuxException">The socket itself failed.</exception>
    public NetlinkReceipt TryReceive(out ReadOnlySpan<byte> received) => ReceiveOnce(DontWait, out received);

    /// <summary>Waits for messages.</summary>
    /// <param name="received">Messages, see <see cref="NetlinkMessage.TryTake"/>; valid until the next call.</param>
    /// <param name="cancellationToken">Ends the wait, within a fifth of a second.</param>
    /// <returns>Messages or an overrun, never nothing.</returns>
    /// <exception cref="LinuxException">The socket itself failed.</exception>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    public NetlinkReceipt Receive(out ReadOnlySpan<byte> received, CancellationToken cancellationToken)
    {
        SetTimeout(CancellationLatency);
        try
        {
            while (true)
            {
                cancellationToken.ThrowIfCancellationRequested();
                NetlinkReceipt receipt = ReceiveOnce(0, out received);
                if (receipt != NetlinkReceipt.Nothing)
                {
                    return receipt;
                }
            }
        }
        finally
        {
            SetTimeout(_answerTime);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static bool NoItem(NetlinkMessage message, out byte item)
    {
        item = 0;
        return false;
    }

    private static bool IsFromKernel(ReadOnlySpan<byte> sender, uint length) =>
        length >= AddressLength && MemoryMarshal.Read<uint>(sender[4..]) == 0;

    private void Prepare(ReadOnlySpan<int> groups)
    {
        Span<byte> address = stackalloc byte[AddressLength];
        address.Clear();
        MemoryMarshal.Write(address, (ushort)AddressFamily);
        if (Libc.Bind(_socket, address, AddressLength) != 0)
        {
            throw new LinuxException("bind AF_NETLINK", Libc.LastError);
        }

        // Older kernels lack one or the other: errors are then without sentences, and dumps are filtered here. Neither is an error.
        TrySet(NetlinkLevel, ExtendedAcknowledgment, 1);
        TrySet(NetlinkLevel, CapAcknowledgment, 1);
        TrySet(NetlinkLevel, StrictCheck, 1);
        SetTimeout(_answerTime);
        foreach (int group in groups)
        {
            // Bursts of notices come with every move.
            SetReceiveBuffer(KernelBuffer);
            if (!TrySet(NetlinkLevel, AddMembership, group))
            {
                throw new LinuxException($"setsockopt NETLINK_ADD_MEMBERSHIP {group}", Libc.LastError);
            }
        }
    }

    private bool TrySet(int level, int option, int value)
    {
        Span<byte> octets = stackalloc byte[sizeof(int)];
        MemoryMarshal.Write(octets, value);
        return Libc.SetSocketOption(_socket, level, option, octets, sizeof(int)) == 0;
    }

    private void SetTimeout(TimeSpan timeout)
    {
        // struct timeval: two longs.
        Span<byte> octets = stackalloc byte[2 * nint.Size];
        MemoryMarshal.Write(octets, (nint)(timeout.Ticks / TimeSpan.TicksPerSecond));
        MemoryMarshal.Write(octets[nint.Size..], (nint)(timeout.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond));
        if (Libc.SetSocketOption(_socket, SocketLevel, ReceiveTimeout, octets, (uint)octets.Length) != 0)
        {
            throw new LinuxException("setsockopt SO_RCVTIMEO", Libc.LastError);
        }
    }

    private void Send(ReadOnlySpan<byte> message)
    {
        Span<byte> kernel = stackalloc byte[AddressLength];
        kernel.Clear();
        MemoryMarshal.Write(kernel, (ushort)AddressFamily);
        while (Libc.SendTo(_socket, message, (nuint)message.Length, 0, kernel, AddressLength) < 0)
        {
            int error = Libc.LastError;
            if (error != Errno.Eintr)
            {
                throw new LinuxException("sendto AF_NETLINK", error);
            }
        }
    }

    private NetlinkError ReadAnswer<T>(NetlinkParser<T> parse, List<T> results, out bool again)
    {
        bool interrupted = false;
        again = false;
        while (true)
        {
            switch (ReceiveOnce(0, out ReadOnlySpan<byte> received))
            {
                case NetlinkReceipt.Nothing:
                    return new NetlinkError(NetlinkError.TimedOut, null);
                case NetlinkReceipt.Overrun:
                    again = true;
                    return new NetlinkError(Errno.Enobufs, null);
            }

            while (!received.IsEmpty)
            {
                if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message))
                {
                    return new NetlinkError(NetlinkError.Malformed, null);
                }

                if (message.Sequence != _sequence)
                {
                    continue;    // a notice, or the rest of an answer that was given up
                }

                interrupted |= (message.Flags & NetlinkFlags.DumpInterrupted) != 0 && message.Type != NetlinkMessage.ErrorType;
                switch (message.Type)
                {
                    case NetlinkMessage.ErrorType:
                        return NetlinkError.Read(message);
                    case NetlinkMessage.DoneType:
                        again = interrupted;
                        return NetlinkError.Read(message);
                    case NetlinkMessage.OverrunType:
                        again = true;
                        return new NetlinkError(Errno.Enobufs, null);
                    case >= NetlinkMessage.FirstFamilyType when parse(message, out T item):
                        results.Add(item);
                        break;
                }
            }
        }
    }

    private NetlinkReceipt ReceiveOnce(int flags, out ReadOnlySpan<byte> received, bool measure = true)
    {
        Span<byte> sender = stackalloc byte[AddressLength];
        received = default;
        while (true)
        {
            uint senderLength = AddressLength;

            // First only the length, so that nothing is ever cut off.
            nint length = measure ? Libc.ReceiveFrom(_socket, _buffer, 0, flags | Peek | Truncated, sender, ref senderLength) : 0;
            if (length > _buffer.Length && length <= LargestBuffer)
            {
                _buffer = new byte[length];
            }

            if (length >= 0)
            {
                senderLength = AddressLength;
                length = Libc.ReceiveFrom(_socket, _buffer, (nuint)_buffer.Length, flags | Truncated, sender, ref senderLength);
            }

            if (length >= 0)
            {
                if (!IsFromKernel(sender, senderLength))
                {
                    continue;    // another program's: nothing it says counts
                }

                if (length > _buffer.Length)
                {
                    return NetlinkReceipt.Overrun;
                }

                received = _buffer.AsSpan(0, (int)length);
                return NetlinkReceipt.Messages;
            }

            int error = Libc.LastError;
            switch (error)
            {
                case Errno.Eintr:
                    continue;
                case Errno.Eagain:
                    return NetlinkReceipt.Nothing;
                case Errno.Enobufs:
                    return NetlinkReceipt.Overrun;
                default:
                    throw new LinuxException("recvfrom AF_NETLINK", error);
            }
        }
    }
}
