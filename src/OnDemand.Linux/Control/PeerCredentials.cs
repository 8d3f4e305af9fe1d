using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Control;

/// <summary>Who is at the other end of a connection: what the kernel says (SO_PEERCRED, unix(7)), never what a message says.</summary>
/// <param name="ProcessId">The process that connected.</param>
/// <param name="UserId">Its effective user.</param>
/// <param name="GroupId">Its effective group.</param>
internal sealed record PeerCredentials(int ProcessId, uint UserId, uint GroupId)
{
    private const int SocketLevel = 1;        // SOL_SOCKET
    private const int PeerCredential = 17;    // SO_PEERCRED

    /// <summary>Whether it may give commands to a server: root, or the server's own user.</summary>
    public bool IsOperator => UserId == 0 || UserId == Libc.GetEffectiveUserId();

    /// <summary>Asks the kernel once for each connection; a request finds the answer among its features.</summary>
    /// <param name="next">What is done with the connection.</param>
    /// <returns>The same, with the credentials known.</returns>
    public static ConnectionDelegate Learn(ConnectionDelegate next) => async connection =>
    {
        if (connection.Features.Get<IConnectionSocketFeature>() is { Socket: { } socket })
        {
            PeerCredentials credentials = TryOf(socket.SafeHandle) ?? throw new LinuxException("getsockopt", Libc.LastError);
            connection.Features.Set(credentials);
            connection.Features.Set(new PeerProcess(credentials, socket.SafeHandle));
        }

        await next(connection).ConfigureAwait(false);
    };

    /// <summary>Asks the kernel.</summary>
    /// <param name="socket">The connection.</param>
    /// <returns>Who is at its other end; null if the kernel does not say, see <see cref="Libc.LastError"/>.</returns>
    public static PeerCredentials? TryOf(SafeHandle socket)
    {
        Span<uint> credentials = stackalloc uint[3];
        uint length = (uint)credentials.Length * sizeof(uint);
        return Libc.GetSocketOption(socket, SocketLevel, PeerCredential, MemoryMarshal.AsBytes(credentials), ref length) == 0
            ? new PeerCredentials((int)credentials[0], credentials[1], credentials[2])
            : null;
    }
}
