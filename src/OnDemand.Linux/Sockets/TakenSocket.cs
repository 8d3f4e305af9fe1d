using System.Diagnostics.CodeAnalysis;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>Takes a second descriptor of another process's socket (pidfd_getfd(2)), for a moment: as long as it is open, the socket does not
/// end. It takes the same user or CAP_SYS_PTRACE, and Linux 5.6.</summary>
internal static class TakenSocket
{
    /// <summary>Takes it.</summary>
    /// <param name="holder">Where it is.</param>
    /// <param name="cookie">Which one it must be.</param>
    /// <param name="socket">The descriptor.</param>
    /// <returns>Whether that socket is there, and may be taken.</returns>
    public static bool TryTake(SocketHolder holder, ulong cookie, [NotNullWhen(true)] out FileDescriptor? socket)
    {
        socket = null;
        using FileDescriptor process = Libc.OpenProcess(holder.ProcessId);
        if (process.IsInvalid)
        {
            return false;
        }

        FileDescriptor taken = Libc.TakeDescriptor(process, holder.Descriptor);
        if (!taken.IsInvalid && SocketCookie.TryGet(taken, out ulong found) && found == cookie)
        {
            socket = taken;
            return true;
        }

        taken.Dispose();
        return false;
    }

    /// <summary>Whether a process still has a socket where it had it.</summary>
    /// <param name="holder">Where it was.</param>
    /// <param name="cookie">Which one it was.</param>
    /// <returns>Whether it is there; also no if it may not be looked at.</returns>
    public static bool IsThere(SocketHolder holder, ulong cookie)
    {
        bool isThere = TryTake(holder, cookie, out FileDescriptor? socket);
        socket?.Dispose();
        return isThere;
    }
}
