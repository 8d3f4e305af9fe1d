namespace OnDemand.Setsc;

/// <summary>Why a socket did not get its address; the results of the C library's <c>setsc()</c> with names.</summary>
public enum SetscError
{
    /// <summary>An error of the system.</summary>
    System = 0,

    /// <summary>The host or the network does not offer this type (EAI_REQUIREDIPNOTSUPPORTED).</summary>
    NotSupported = 1,

    /// <summary>The network refused, or the address did not come within the timeout (EAI_REQUIREDIPFAILED).</summary>
    Failed = 2,

    /// <summary>The dataplane says that the request is wrong (EINVAL).</summary>
    InvalidRequest = 3,

    /// <summary>The dataplane could not find the socket (ENOTSOCK).</summary>
    UnknownSocket = 4,

    /// <summary>The socket is not an IPv6 socket (EAFNOSUPPORT).</summary>
    NotIPv6 = 5,

    /// <summary>This user or program may not have this type of address, or may not use the dataplane (EACCES).</summary>
    Forbidden = 6,

    /// <summary>This user has all the addresses, prefixes or requests per minute that it may have (EDQUOT).</summary>
    QuotaUsedUp = 7,

    /// <summary>The dataplane has no room for another request or binding (ENOBUFS).</summary>
    NoRoom = 8,

    /// <summary>No dataplane runs here (ECONNREFUSED).</summary>
    NoDataplane = 9,

    /// <summary>The dataplane ended the conversation before its answer was complete (ECONNRESET).</summary>
    ConversationLost = 10,

    /// <summary>The dataplane's answer was not understood, or was not what had been asked for (EPROTO).</summary>
    Misunderstood = 11,

    /// <summary>The socket has no typed address that could be released (ENOENT).</summary>
    NoAddress = 12,
}
