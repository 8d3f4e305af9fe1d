using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>The kernel's own number of a socket, by which <see cref="SocketRecord.Cookie"/> knows it.</summary>
internal static class SocketCookie
{
    private const int SocketLevel = 1;    // SOL_SOCKET
    private const int Cookie = 57;        // SO_COOKIE

    /// <summary>Asks the kernel for it.</summary>
    /// <param name="socket">The socket.</param>
    /// <returns>The cookie.</returns>
    /// <exception cref="LinuxException">It is no socket.</exception>
    public static ulong Of(SafeHandle socket) =>
        TryGet(socket, out ulong cookie) ? cookie : throw new LinuxException("getsockopt SO_COOKIE", Libc.LastError);

    /// <summary>Asks the kernel for it.</summary>
    /// <param name="socket">What may be a socket.</param>
    /// <param name="cookie">The cookie.</param>
    /// <returns>Whether it is one; if not, <see cref="Libc.LastError"/> says why.</returns>
    public static bool TryGet(SafeHandle socket, out ulong cookie)
    {
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        uint length = sizeof(ulong);
        bool isThere = Libc.GetSocketOption(socket, SocketLevel, Cookie, value, ref length) == 0 && length == sizeof(ulong);
        cookie = isThere ? MemoryMarshal.Read<ulong>(value) : 0;
        return isThere;
    }
}
