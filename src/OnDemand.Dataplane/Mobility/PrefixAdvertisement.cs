using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

/// <summary>A source prefix as the network gives it: with its attachment, in an advertisement, or in answer to a request.</summary>
/// <param name="Prefix">The prefix; a /128 is that very address, not one made by the host.</param>
/// <param name="Type">Its type; <see cref="AddressType.None"/> if the network named none.</param>
/// <param name="PreferredLifetime">How long new flows may take it.</param>
/// <param name="ValidLifetime">How long it may be used at all.</param>
/// <param name="Home">Whether it makes home addresses in the sense of RFC 6724 rule 4.</param>
public readonly record struct PrefixAdvertisement(
    IpPrefix Prefix, AddressType Type, Duration PreferredLifetime, Duration ValidLifetime, bool Home = false)
{
    /// <summary>A prefix with infinite lifetimes.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="type">Its type.</param>
    public PrefixAdvertisement(IpPrefix prefix, AddressType type)
        : this(prefix, type, Duration.Infinite, Duration.Infinite)
    {
    }

    /// <summary>
    /// Whether a host may use it (RFC 4862 §5.5.3): preferred not longer than valid, and a unicast prefix that is neither link-local,
    /// loopback nor unspecified.
    /// </summary>
    public bool IsAcceptable =>
        PreferredLifetime <= ValidLifetime && PreferredLifetime >= Duration.Zero
        && !Prefix.Address.IsMulticast && !Prefix.Address.IsLinkLocal && !Prefix.Address.IsLoopback && Prefix.Length > 0;
}
