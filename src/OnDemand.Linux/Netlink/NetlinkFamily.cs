namespace OnDemand.Linux.Netlink;

/// <summary>What a netlink socket talks to, see netlink(7); the numbers of linux/netlink.h.</summary>
internal enum NetlinkFamily
{
    /// <summary>Links, addresses, routes and rules, see rtnetlink(7).</summary>
    Route = 0,

    /// <summary>Questions about sockets, see sock_diag(7).</summary>
    SocketDiagnostics = 4,

    /// <summary>Families that are told apart by name.</summary>
    Generic = 16,
}
