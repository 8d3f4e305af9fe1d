// What rtnetlink(7) offers, as far as this program needs it: one file each for links, addresses, routes and rules. Numbers are those of
// linux/rtnetlink.h, if_link.h, if_addr.h and fib_rules.h. Only IPv6.
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <summary>
/// Links, IPv6 addresses, routes and rules of the network namespace of the thread that opened it. Belongs to one thread at a time.
/// Reading throws <see cref="LinuxException"/> if the kernel refuses; changes answer with what the kernel says.
/// </summary>
internal sealed partial class RouteNetlink : IDisposable
{
    private const byte Inet6 = 10;

    private readonly NetlinkSocket _socket = NetlinkSocket.Open(NetlinkFamily.Route);

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private List<T> DumpAll<T>(ushort type, int headerLength, bool inet6, NetlinkParser<T> parse, byte routeProtocol = 0)
    {
        var request = new NetlinkRequest(stackalloc byte[NetlinkRequest.UsualLength], type, NetlinkFlags.Dump, headerLength);
        request.Header[0] = inet6 ? Inet6 : (byte)0;
        if (routeProtocol != 0)
        {
            request.Header[RouteProtocolOffset] = routeProtocol;
        }

        List<T> results = [];
        _socket.Ask(ref request, parse, results).ThrowIfFailed($"netlink dump {type}");
        return results;
    }
}
