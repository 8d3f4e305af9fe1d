using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <summary>Tells of changes to links and to IPv6 addresses, routes and rules, whoever makes them, from its opening on. Needs no
/// privileges. Belongs to one thread at a time.</summary>
internal sealed class RouteMonitor : IDisposable
{
    // RTNLGRP_*.
    private const int LinkGroup = 1;
    private const int AddressGroup = 9;
    private const int RouteGroup = 11;
    private const int RuleGroup = 19;

    private readonly NetlinkSocket _socket = NetlinkSocket.Open(NetlinkFamily.Route, LinkGroup, AddressGroup, RouteGroup, RuleGroup);
    private readonly Queue<RouteNotice> _notices = [];

    /// <summary>Its descriptor: readable when there are notices, see poll(2). Then <see cref="TryTake"/> until it says no.</summary>
    public int Descriptor => _socket.Descriptor;

    /// <summary>Takes the next notice, without waiting.</summary>
    /// <param name="notice">The notice.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="LinuxException">The socket failed.</exception>
    public bool TryTake(out RouteNotice notice)
    {
        while (!_notices.TryDequeue(out notice))
        {
            NetlinkReceipt receipt = _socket.TryReceive(out ReadOnlySpan<byte> received);
            if (receipt == NetlinkReceipt.Nothing)
            {
                return false;
            }

            Read(receipt, received);
        }

        return true;
    }

    /// <summary>Waits for the next notice.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The notice.</returns>
    /// <exception cref="LinuxException">The socket failed.</exception>
    /// <exception cref="OperationCanceledException">The wait was ended.</exception>
    public RouteNotice Take(CancellationToken cancellationToken)
    {
        RouteNotice notice;
        while (!_notices.TryDequeue(out notice))
        {
            NetlinkReceipt receipt = _socket.Receive(out ReadOnlySpan<byte> received, cancellationToken);
            Read(receipt, received);
        }

        return notice;
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    /// <summary>Reads a notice.</summary>
    /// <param name="message">A message of the kernel.</param>
    /// <param name="notice">The notice.</param>
    /// <returns>Whether the message is one.</returns>
    internal static bool TryRead(NetlinkMessage message, out RouteNotice notice)
    {
        notice = default;
        if (RouteNetlink.TryReadLink(message, out Link link))
        {
            bool isRemoved = message.Type == RouteNetlink.DeleteLinkType;
            notice = new RouteNotice(isRemoved ? RouteNoticeKind.LinkRemoved : RouteNoticeKind.LinkChanged) { Link = link };
        }
        else if (RouteNetlink.TryReadAddress(message, out InterfaceAddress address))
        {
            bool isRemoved = message.Type == RouteNetlink.DeleteAddressType;
            notice = new RouteNotice(isRemoved ? RouteNoticeKind.AddressRemoved : RouteNoticeKind.AddressChanged) { Address = address };
        }
        else if (RouteNetlink.TryReadRoute(message, out Route route))
        {
            bool isRemoved = message.Type == RouteNetlink.DeleteRouteType;
            notice = new RouteNotice(isRemoved ? RouteNoticeKind.RouteRemoved : RouteNoticeKind.RouteChanged) { Route = route };
        }
        else if (RouteNetlink.TryReadRule(message, out RoutingRule rule))
        {
            bool isRemoved = message.Type == RouteNetlink.DeleteRuleType;
            notice = new RouteNotice(isRemoved ? RouteNoticeKind.RuleRemoved : RouteNoticeKind.RuleAdded) { Rule = rule };
        }

        return notice.Kind != RouteNoticeKind.Overrun;
    }

    private void Read(NetlinkReceipt receipt, ReadOnlySpan<byte> received)
    {
        if (receipt == NetlinkReceipt.Overrun)
        {
            _notices.Enqueue(new RouteNotice(RouteNoticeKind.Overrun));
            return;
        }

        while (!received.IsEmpty)
        {
            if (!NetlinkMessage.TryTake(ref received, out NetlinkMessage message) || message.Type == NetlinkMessage.OverrunType)
            {
                // Something that cannot be read was told: that is the same as something lost.
                _notices.Enqueue(new RouteNotice(RouteNoticeKind.Overrun));
            }
            else if (TryRead(message, out RouteNotice notice))
            {
                _notices.Enqueue(notice);
            }
        }
    }
}
