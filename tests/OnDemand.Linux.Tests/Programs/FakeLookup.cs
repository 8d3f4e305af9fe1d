using OnDemand.Linux.Programs;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>A kernel that knows one socket of each of some users: the cookie and the port are 1000 more than the user.</summary>
internal sealed class FakeLookup : ISocketLookup
{
    public const uint Offset = 1000;

    public SocketOwnerInfo? ByCookie(ulong cookie) => cookie is >= Offset and < 100_000 ? new SocketOwnerInfo(cookie, (uint)cookie - Offset) : null;

    public SocketOwnerInfo? ByFlow(SocketQuery flow) => flow.LocalPort >= Offset ? ByCookie(flow.LocalPort) : null;
}
