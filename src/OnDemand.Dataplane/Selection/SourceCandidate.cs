using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>An address of the host that could become a source address (RFC 6724 §4).</summary>
/// <param name="Address">The address.</param>
/// <param name="PrefixLength">Bits of its prefix, 0 to 128; rule 8 compares no further (RFC 6724 §2.2).</param>
public readonly record struct SourceCandidate(IpAddress Address, byte PrefixLength)
{
    /// <summary>The interface that has the address.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>Whether it may be used at all: a tentative address or one that failed duplicate detection may not (RFC 4862 §2).</summary>
    public bool Usable { get; init; } = true;

    /// <summary>Whether its preferred lifetime has passed (RFC 4862 §5.5.4; rule 3).</summary>
    public bool Deprecated { get; init; }

    /// <summary>Whether it is a home address (RFC 6275; rule 4).</summary>
    public bool Home { get; init; }

    /// <summary>
    /// Whether it is a care-of address; tells a home address in use on its home link (both) from one that is not. An address that is not
    /// a home address counts as a care-of address whatever is said here.
    /// </summary>
    public bool CareOf { get; init; }

    /// <summary>Whether the router that the packet will go to advertised its prefix (rule 5.5).</summary>
    public bool AdvertisedByNextHop { get; init; }

    /// <summary>Whether it is a temporary address (RFC 8981; rule 7).</summary>
    public bool Temporary { get; init; }

    /// <summary>
    /// Whether its interface prefers temporary addresses: <c>use_tempaddr</c> is 2 or more. Only <see cref="SelectionProfile.Linux"/> asks.
    /// </summary>
    public bool PrefersTemporary { get; init; }
}
