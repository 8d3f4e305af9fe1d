namespace OnDemand.Setsc;

/// <summary>What an address promises: the four types of RFC 8653 §3.2, numbered as in draft-ietf-dmm-ondemand-mobility-17 §6.1.</summary>
public enum AddressType
{
    /// <summary>Reserved: asking for it is an error.</summary>
    None = 0,

    /// <summary>Stays for a very long time, whether used or not: reachable, and may stand in the DNS.</summary>
    Fixed = 1,

    /// <summary>Stays for the life of the socket, wherever the host moves.</summary>
    SessionLasting = 2,

    /// <summary>May vanish with the next move.</summary>
    Nonpersistent = 3,

    /// <summary>Is replaced at a move, and both addresses are valid for a while.</summary>
    GracefulReplacement = 4,
}
