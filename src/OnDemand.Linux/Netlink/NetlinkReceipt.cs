namespace OnDemand.Linux.Netlink;

/// <summary>What a look into a netlink socket gave.</summary>
internal enum NetlinkReceipt
{
    /// <summary>Nothing is there yet.</summary>
    Nothing,

    /// <summary>Messages.</summary>
    Messages,

    /// <summary>The kernel had more to say than the socket could hold (ENOBUFS): something was lost, so what is known
    /// must be read anew.</summary>
    Overrun,
}
