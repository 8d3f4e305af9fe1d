namespace OnDemand.Dataplane.Selection;

/// <summary>
/// A socket's preferences among source addresses (RFC 5014 §3), with the bit values of Linux's IPV6_ADDR_PREFERENCES (option 72). They
/// count only where no address type was asked for (RFC 8653 §4.4).
/// </summary>
[Flags]
public enum AddressPreferences
{
    /// <summary>Nothing was said: the host's defaults hold.</summary>
    None = 0,

    /// <summary>IPV6_PREFER_SRC_TMP: temporary rather than public addresses.</summary>
    Temporary = 0x1,

    /// <summary>IPV6_PREFER_SRC_PUBLIC: public rather than temporary addresses.</summary>
    Public = 0x2,

    /// <summary>IPV6_PREFER_SRC_COA: care-of rather than home addresses.</summary>
    CareOf = 0x4,

    /// <summary>IPV6_PREFER_SRC_CGA: cryptographically generated addresses. Accepted and without effect, as on Linux.</summary>
    Cga = 0x8,

    /// <summary>IPV6_PREFER_SRC_PUBTMP_DEFAULT: the host's default between public and temporary addresses.</summary>
    PublicTemporaryDefault = 0x100,

    /// <summary>IPV6_PREFER_SRC_HOME: home rather than care-of addresses, which is the default.</summary>
    Home = 0x400,

    /// <summary>
    /// IPV6_PREFER_SRC_NONCGA: addresses that are not cryptographically generated. Accepted and without effect, as on Linux.
    /// </summary>
    NonCga = 0x800,

    /// <summary>
    /// IPV6_REQUIRE_SRC_ON_NET: an address from the network that serves the host now. The bit is this project's own choice out of what
    /// Linux leaves free; the kernel, which ignores it, is never given it.
    /// </summary>
    RequireOnNet = 0x10000,
}
