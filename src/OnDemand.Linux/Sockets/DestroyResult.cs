namespace OnDemand.Linux.Sockets;

/// <summary>What became of the wish to abort a socket.</summary>
internal enum DestroyResult
{
    /// <summary>Done: the program's calls give ECONNABORTED, and a TCP peer gets a RST.</summary>
    Destroyed,

    /// <summary>There is no such socket (any more), or it is another one by now.</summary>
    NotFound,

    /// <summary>It needs CAP_NET_ADMIN in the user namespace of the network.</summary>
    NotAllowed,

    /// <summary>The kernel cannot do that (CONFIG_INET_DIAG_DESTROY) or not with such a socket.</summary>
    NotSupported,
}
