using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <content>Routes.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>RTM_NEWROUTE.</summary>
    internal const ushort NewRoute = 24;

    /// <summary>RTM_DELROUTE.</summary>
    internal const ushort DeleteRouteType = 25;

    private const ushort GetRoute = 26;
    private const int RouteHeaderLength = 12;
    private const int RouteProtocolOffset = 5;
    private const ushort RouteDestination = 1;
    private const ushort RouteLink = 4;
    private const ushort RouteGateway = 5;
    private const ushort RouteMetric = 6;
    private const ushort RoutePreferredSource = 7;
    private const ushort RouteTable = 15;
    private const uint ClonedFlag = 0x200;

    /// <summary>All IPv6 routes of all tables; filtered by the kernel, so that a long table costs little, where it can
    /// (Linux 4.20).</summary>
    /// <param name="protocol">Only those of this maker; 0 for all.</param>
    /// <returns>The routes.</returns>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public List<Route> Routes(byte protocol = 0)
    {
        List<Route> routes = DumpAll<Route>(GetRoute, RouteHeaderLength, inet6: true, TryReadRoute, protocol);
        routes.RemoveAll(route => protocol != 0 && route.Protocol != protocol);
        return routes;
    }

    /// <summary>The IPv6 routes of one table.</summary>
    /// <param name="table">The table.</param>
    /// <returns>The routes; none if there is no such table.</returns>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public List<Route> RoutesOf(uint table)
    {
        var request = new NetlinkRequest(stackalloc byte[NetlinkRequest.UsualLength], GetRoute, NetlinkFlags.Dump, RouteHeaderLength);
        request.Header[0] = Inet6;
        request.Add(RouteTable, table);
        List<Route> routes = [];
        NetlinkError error = _socket.Ask(ref request, TryReadRoute, routes);
        if (error.Error != Errno.Enoent)
        {
            error.ThrowIfFailed($"RTM_GETROUTE table {table}");
        }

        routes.RemoveAll(route => route.Table != table);
        return routes;
    }

    /// <summary>Adds a route.</summary>
    /// <param name="route">The route.</param>
    /// <returns>What the kernel says: <see cref="Errno.Eexist"/> if its table has one to there with the same metric.</returns>
    public NetlinkError AddRoute(Route route) => ChangeRoute(NewRoute, NetlinkFlags.Create | NetlinkFlags.Exclusive, route);

    /// <summary>Deletes a route: one that is the same in everything that is given, its maker included.</summary>
    /// <param name="route">The route.</param>
    /// <returns>What the kernel says: <see cref="Errno.Esrch"/> if there is none.</returns>
    public NetlinkError DeleteRoute(Route route) => ChangeRoute(DeleteRouteType, NetlinkFlags.None, route);

    /// <summary>Reads a route.</summary>
    /// <param name="message">A message of the kernel.</param>
    /// <param name="route">The route.</param>
    /// <returns>Whether the message tells of one.</returns>
    internal static bool TryReadRoute(NetlinkMessage message, out Route route)
    {
        route = default;
        ReadOnlySpan<byte> header = message.Payload;
        if (message.Type is not (NewRoute or DeleteRouteType) || header.Length < RouteHeaderLength || header[0] != Inet6 || header[1] > 128)
        {
            return false;
        }

        if ((MemoryMarshal.Read<uint>(header[8..]) & ClonedFlag) != 0)
        {
            return false;    // the kernel's own exceptions (path MTU, redirects)
        }

        var destination = default(IpAddress);
        uint table = header[4];
        int link = 0;
        route = new Route { Protocol = header[RouteProtocolOffset], Type = header[7] };
        foreach (NetlinkAttribute attribute in message.Attributes(RouteHeaderLength))
        {
            switch (attribute.Type)
            {
                case RouteDestination:
                    destination = attribute.Address;
                    break;
                case RouteTable:
                    table = attribute.UInt32;
                    break;
                case RouteLink:
                    link = (int)attribute.UInt32;
                    break;
                case RouteMetric:
                    route = route with { Metric = attribute.UInt32 };
                    break;
                case RoutePreferredSource:
                    route = route with { PreferredSource = attribute.Address };
                    break;
                case RouteGateway:
                    route = route with { Gateway = attribute.Address };
                    break;
            }
        }

        route = route with { Table = table, Destination = new IpPrefix(destination, header[1]), LinkIndex = link };
        return true;
    }

    private NetlinkError ChangeRoute(ushort type, NetlinkFlags flags, Route route)
    {
        var request = new NetlinkRequest(
            stackalloc byte[NetlinkRequest.UsualLength], type, flags | NetlinkFlags.Acknowledge, RouteHeaderLength);
        request.Header[0] = Inet6;
        request.Header[1] = route.Destination.Length;
        request.Header[RouteProtocolOffset] = route.Protocol;
        request.Header[7] = route.Type;
        request.Add(RouteTable, route.Table);
        if (route.Destination.Length != 0)
        {
            request.Add(RouteDestination, route.Destination.Address);
        }

        if (route.LinkIndex != 0)
        {
            request.Add(RouteLink, (uint)route.LinkIndex);
        }

        if (route.Gateway is IpAddress gateway)
        {
            request.Add(RouteGateway, gateway);
        }

        if (route.Metric != 0)
        {
            request.Add(RouteMetric, route.Metric);
        }

        if (route.PreferredSource is IpAddress source)
        {
            request.Add(RoutePreferredSource, source);
        }

        return _socket.Change(ref request);
    }
}
