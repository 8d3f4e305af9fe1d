using System.Globalization;
using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Control;

/// <summary>
/// The process at the other end of a connection. It is taken hold of by the descriptor that the kernel keeps for the connection
/// (SO_PEERPIDFD), so that another process which has its number by now is never taken for it; before Linux 6.5 by its number.
/// </summary>
/// <param name="credentials">Who it was when it connected.</param>
/// <param name="socket">The connection.</param>
internal sealed class PeerProcess(PeerCredentials credentials, SafeHandle socket) : IApplicant
{
    private const int SocketLevel = 1;       // SOL_SOCKET
    private const int PeerGroups = 59;       // SO_PEERGROUPS
    private const int PeerProcessHandle = 77;   // SO_PEERPIDFD
    private const int GroupRoom = 64;        // more than this are asked for again
    private const uint WhichFile = Libc.StatusInode;

    private uint[]? _groups;

    /// <summary>Its number; 0 if it is not to be seen from here.</summary>
    public int Id => credentials.ProcessId;

    /// <inheritdoc/>
    public uint User => credentials.UserId;

    /// <inheritdoc/>
    public bool IsInGroup(uint group) => group == credentials.GroupId || (_groups ??= ReadGroups()).Contains(group);

    /// <inheritdoc/>
    public bool Runs(string program)
    {
        // By file and not by name: in a mount namespace of his own, anybody can call anything /usr/bin/ssh.
        using FileDescriptor process = Open();
        Span<byte> running = stackalloc byte[Libc.StatusLength];
        Span<byte> wanted = stackalloc byte[Libc.StatusLength];
        string link = string.Create(CultureInfo.InvariantCulture, $"/proc/{Id}/exe");
        return !process.IsInvalid
            && Libc.GetStatus(Libc.WorkingDirectory, program, 0, WhichFile, wanted) == 0
            && Libc.GetStatus(Libc.WorkingDirectory, link, 0, WhichFile, running) == 0
            && IsSame(running, wanted, Libc.StatusInodeOffset) && IsSame(running, wanted, Libc.StatusDeviceOffset)
            && IsAlive(process);
    }

    /// <summary>What it runs, for the record.</summary>
    /// <returns>The path as the kernel says it; null if it does not, or the process has ended.</returns>
    public string? FindProgram()
    {
        using FileDescriptor process = Open();
        return !process.IsInvalid && ProcessSockets.ProgramOf(Id) is { } program && IsAlive(process) ? program : null;
    }

    /// <summary>Takes hold of it.</summary>
    /// <returns>Its descriptor, or an invalid one with <see cref="Libc.LastError"/> if it has ended or is not to be seen from
    /// here.</returns>
    public FileDescriptor Open()
    {
        Span<int> number = [-1];
        uint length = sizeof(int);
        if (TryOption(PeerProcessHandle, MemoryMarshal.AsBytes(number), ref length))
        {
            return FileDescriptor.Own(number[0]);
        }

        return Libc.LastError == Errno.Enoprotoopt ? Libc.OpenProcess(Id) : FileDescriptor.Own(-1);
    }

    // Its descriptor becomes readable when it ends (pidfd_open(2)).
    private static unsafe bool IsAlive(FileDescriptor process)
    {
        Span<PollEntry> entries = [new PollEntry { Descriptor = process.Number, Wanted = Libc.PollIn }];
        TimeSpec now = default;
        return Libc.Poll(entries, 1, &now, 0) == 0;
    }

    private static bool IsSame(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right, int offset) =>
        left.Slice(offset, sizeof(ulong)).SequenceEqual(right.Slice(offset, sizeof(ulong)));

    private bool TryOption(int option, Span<byte> value, ref uint length)
    {
        try
        {
            return Libc.GetSocketOption(socket, SocketLevel, option, value, ref length) == 0;
        }
        catch (ObjectDisposedException)
        {
            // The connection has been closed meanwhile.
            Marshal.SetLastPInvokeError(Errno.Ebadf);
            return false;
        }
    }

    private uint[] ReadGroups()
    {
        for (int room = GroupRoom; ; room *= 4)
        {
            uint[] groups = new uint[room];
            uint length = (uint)room * sizeof(uint);
            if (TryOption(PeerGroups, MemoryMarshal.AsBytes(groups.AsSpan()), ref length))
            {
                return groups[..(int)(length / sizeof(uint))];
            }

            if (Libc.LastError != Errno.Erange)
            {
                return [];
            }
        }
    }
}
