using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

/// <summary>
/// The state of a source prefix (RFC 4862 §5.5.4, RFC 8653 §3.2).
///
/// <code>
/// state       new flows          flows that have it       inbound    ends by
/// Preferred   yes                yes                      yes        preferred lifetime, move, withdrawal, release
/// Deprecated  only if no other   yes                      yes        valid lifetime, move, withdrawal, release
/// Closing     no                 yes (window open)        yes        end of the replacement window
/// Ended       no                 stranded or go over      no         its last user
/// </code>
/// </summary>
public enum PrefixState : byte
{
    /// <summary>No prefix.</summary>
    Free,

    /// <summary>For all uses.</summary>
    Preferred,

    /// <summary>Valid, but new flows avoid it.</summary>
    Deprecated,

    /// <summary>Being replaced: valid until the replacement window closes.</summary>
    Closing,

    /// <summary>Never again a source, and nothing addressed to it is accepted.</summary>
    Ended,
}

/// <summary>Why a prefix ended.</summary>
public enum PrefixEnd : byte
{
    /// <summary>It has not.</summary>
    None,

    /// <summary>The host moved and the new network does not have it.</summary>
    Moved,

    /// <summary>Its replacement window closed.</summary>
    WindowClosed,

    /// <summary>The network withdrew it.</summary>
    Withdrawn,

    /// <summary>Its valid lifetime passed.</summary>
    LifetimePassed,

    /// <summary>The host gave it back: its last socket was gone.</summary>
    Released,

    /// <summary>The host detached.</summary>
    Detached,
}

/// <summary>A source prefix that the network gave.</summary>
internal struct PrefixEntry
{
    public IpPrefix Prefix;
    public AddressType Type;
    public PrefixState State;
    public bool Home;               // an RFC 6724 rule 4 home address
    public bool OnDemand;           // asked for, not given at attachment
    public bool ClosesByDetachment; // its window opened when the host detached
    public int Attachment;          // number of the attachment that gave or renewed it last
    public Timestamp PreferredUntil;
    public Timestamp ValidUntil;
    public Timestamp ClosesAt;      // end of the replacement window
    public Timestamp UnusedSince;
    public int Users;               // flows that are not closed, and socket requests
    public int Addresses;           // typed addresses that are not freed
    public int OnlyAddress;         // the typed address of a /128, or -1
    public uint Order;              // of advertisement
}
