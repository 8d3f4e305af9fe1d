using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>A socket that a program has, and whose it is: what the kernel says.</summary>
/// <param name="Cookie">The kernel's own number of the socket.</param>
/// <param name="User">The user whose program made it.</param>
internal sealed record SocketOwnerInfo(ulong Cookie, uint User)
{
    /// <summary>Where it is.</summary>
    public SocketPlace Place { get; init; }
}

/// <summary>Finds sockets of TCP and UDP over IPv6 that programs have. From any thread.</summary>
internal interface ISocketLookup
{
    /// <summary>By its number.</summary>
    /// <param name="cookie">The number.</param>
    /// <returns>The socket; null if there is none, or it has no port yet.</returns>
    SocketOwnerInfo? ByCookie(ulong cookie);

    /// <summary>By its flow.</summary>
    /// <param name="flow">The flow; without a peer, the socket that is bound there.</param>
    /// <returns>The socket; null if there is none.</returns>
    SocketOwnerInfo? ByFlow(SocketQuery flow);
}
