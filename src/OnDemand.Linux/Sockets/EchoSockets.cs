using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Finds sockets for ICMPv6 echoes (<c>socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6)</c>, as ping(8) has them where net.ipv4.ping_group_range lets
/// it), by their identifier. sock_diag(7) does not know them in any kernel; <c>/proc/net/icmp6</c> has them with user and inode, so cookie and
/// cgroup are those of the process that has the socket, which is searched for. A raw socket is bound to no identifier: nothing tells which of
/// them an echo came from. Of the network namespace of the thread that makes this; belongs to one thread at a time.
/// </summary>
internal sealed class EchoSockets : IDisposable
{
    private const string Table = "/proc/thread-self/net/icmp6";
    private const int TableLength = 1 << 16;      // some 380 sockets; what is beyond is not found
    private const int Burst = 16;                 // a ping is typed by hand: some after another, then none for long
    private const int LocalField = 1;
    private const int RemoteField = 2;
    private const int UserField = 7;
    private const int InodeField = 9;
    private const ulong NotYetKnown = 1UL << 63;  // no cookie: these count from 1

    private readonly SafeFileHandle _table;
    private readonly SocketOwners _owners;
    private readonly SearchBudget _budget;
    private readonly string? _cgroupRoot;
    private readonly byte[] _text = new byte[TableLength];

    private EchoSockets(SafeFileHandle table, SocketOwners owners, TimeProvider time, string? cgroupRoot)
    {
        _table = table;
        _owners = owners;
        _budget = new SearchBudget(time, Burst);
        _cgroupRoot = cgroupRoot;
    }

    /// <summary>Opens the kernel's table.</summary>
    /// <param name="owners">Finds who has a socket.</param>
    /// <param name="time">Measures the time of searches.</param>
    /// <param name="cgroupRoot">Where the cgroup hierarchy (version 2) is mounted; null if it is not.</param>
    /// <returns>It; null if the kernel has no such sockets.</returns>
    public static EchoSockets? Open(SocketOwners owners, TimeProvider time, string? cgroupRoot)
    {
        try
        {
            return new EchoSockets(File.OpenHandle(Table, FileMode.Open, FileAccess.Read, FileShare.ReadWrite), owners, time, cgroupRoot);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Finds the socket of an echo.</summary>
    /// <param name="flow">The echo's flow; its port is the identifier.</param>
    /// <param name="socket">The socket; without cookie and cgroup if its process was not found.</param>
    /// <param name="holder">Where it is.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryFind(in FlowIdentity flow, out SocketRecord socket, out SocketHolder holder)
    {
        holder = default;
        if (!TryFindRow(flow, out socket))
        {
            return false;
        }

        if (_budget.TryBegin(socket))
        {
            bool isFound = _owners.TryFindHolder(socket with { Cookie = NotYetKnown | socket.Inode }, SearchBudget.Most, out holder)
                && TryName(ref socket, holder);
            _budget.End(socket, isUseless: !isFound && !_owners.HasGivenUp);
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _table.Dispose();

    // The cookie is that of the very socket that the table has: its inode is compared, on a descriptor of our own.
    private bool TryName(ref SocketRecord socket, SocketHolder holder)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        using FileDescriptor process = Libc.OpenProcess(holder.ProcessId);
        if (process.IsInvalid)
        {
            return false;
        }

        using FileDescriptor taken = Libc.TakeDescriptor(process, holder.Descriptor);
        if (taken.IsInvalid || Libc.GetStatus(taken, string.Empty, Libc.EmptyPath, Libc.StatusInode, status) != 0
            || MemoryMarshal.Read<uint>(status[Libc.StatusInodeOffset..]) != socket.Inode || !SocketCookie.TryGet(taken, out ulong cookie))
        {
            return false;
        }

        socket = socket with { Cookie = cookie, CgroupId = CgroupOf(holder.ProcessId) };
        return true;
    }

    // The cgroup that the process is in now; the kernel knows the one that the socket was made in, but does not say.
    private ulong CgroupOf(int process)
    {
        const string head = "0::";
        if (_cgroupRoot is null)
        {
            return 0;
        }

        try
        {
            string? line = File.ReadLines($"/proc/{process.ToString(CultureInfo.InvariantCulture)}/cgroup")
                .FirstOrDefault(static line => line.StartsWith(head, StringComparison.Ordinal));
            return line is null ? 0 : CgroupPaths.IdOf(_cgroupRoot + line[head.Length..]);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private bool TryFindRow(in FlowIdentity flow, out SocketRecord socket)
    {
        int length = 0;
        for (int read = 1; read > 0 && length < _text.Length; length += read)
        {
            read = RandomAccess.Read(_table, _text.AsSpan(length), length);
        }

        ReadOnlySpan<byte> text = _text.AsSpan(0, length);
        foreach (Range line in text.Split((byte)'\n'))
        {
            if (TryReadRow(text[line], out socket) && socket.LocalPort == flow.LocalPort
                && (socket.Local.IsUnspecified || socket.Local == flow.Internal) && (socket.Remote.IsUnspecified || socket.Remote == flow.Remote))
            {
                return true;
            }
        }

        socket = default;
        return false;
    }

    /// <summary>Reads a line of the table.</summary>
    /// <param name="line">The line.</param>
    /// <param name="socket">What it says.</param>
    /// <returns>Whether it tells of a socket that a program has.</returns>
    internal static bool TryReadRow(ReadOnlySpan<byte> line, out SocketRecord socket)
    {
        socket = default;
        string[] fields = Encoding.ASCII.GetString(line).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length <= InodeField || !TryReadEnd(fields[LocalField], out IpAddress local, out ushort port)
            || !TryReadEnd(fields[RemoteField], out IpAddress remote, out _)
            || !uint.TryParse(fields[UserField], NumberStyles.None, CultureInfo.InvariantCulture, out uint user)
            || !uint.TryParse(fields[InodeField], NumberStyles.None, CultureInfo.InvariantCulture, out uint inode))
        {
            return false;
        }

        socket = new SocketRecord
        {
            Protocol = SocketProtocol.Icmpv6,
            Local = local,
            LocalPort = port,
            Remote = remote,
            Uid = user,
            Inode = inode,
        };
        return socket.HasProgram;
    }

    // Four words as this machine keeps them, a colon, the port.
    private static bool TryReadEnd(string text, out IpAddress address, out ushort port)
    {
        const int words = 4;
        const int digits = 8;
        Span<uint> octets = stackalloc uint[words];
        address = default;
        port = 0;
        if (text.Length != (words * digits) + 5 || text[words * digits] != ':'
            || !ushort.TryParse(text.AsSpan((words * digits) + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out port))
        {
            return false;
        }

        for (int i = 0; i < words; i++)
        {
            if (!uint.TryParse(text.AsSpan(i * digits, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out octets[i]))
            {
                return false;
            }
        }

        address = IpAddress.Read(MemoryMarshal.AsBytes(octets));
        return true;
    }
}
