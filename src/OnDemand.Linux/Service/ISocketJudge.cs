using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Service;

/// <summary>What is known of a socket beside its own request.</summary>
/// <param name="Traits">Which of the policy's conditions on sockets it meets, one bit each.</param>
/// <param name="Type">The type of the command it was started under; none if there was none.</param>
/// <param name="OnNet">ON_NET, together with <paramref name="Type"/>.</param>
/// <param name="MayPrefer">Whether the preferences that its program gave the kernel may make a difference: it has no type yet, and policy leaves
/// some sockets without one.</param>
internal readonly record struct SocketVerdict(ulong Traits, AddressType Type, bool OnNet, bool MayPrefer = false);

/// <summary>Judges sockets. On the broker's thread.</summary>
internal interface ISocketJudge
{
    /// <summary>Judges a socket.</summary>
    /// <param name="socket">What the kernel says of it.</param>
    /// <returns>What is known of it.</returns>
    SocketVerdict Judge(in SocketRecord socket);

    /// <summary>The sockets that are counted somewhere until they end.</summary>
    IEnumerable<ulong> Counted => [];
}
