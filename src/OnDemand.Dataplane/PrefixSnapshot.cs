using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>What the engine knew of a prefix at one moment; see <see cref="DataplaneEngine.CopyPrefixes"/>.</summary>
public readonly record struct PrefixSnapshot
{
    /// <summary>The prefix.</summary>
    public IpPrefix Prefix { get; init; }

    /// <summary>Its type; <see cref="AddressType.None"/> if the network named none.</summary>
    public AddressType Type { get; init; }

    /// <summary>Its state. An ended prefix stays until its last flow has gone.</summary>
    public PrefixState State { get; init; }

    /// <summary>Whether its addresses are home addresses (RFC 6724 rule 4).</summary>
    public bool IsHome { get; init; }

    /// <summary>Whether it was asked for, not given at attachment (RFC 8653 §3.1).</summary>
    public bool IsOnDemand { get; init; }

    /// <summary>Whether the network that the host is attached to now gave it, or renewed it.</summary>
    public bool IsOfPresentNetwork { get; init; }

    /// <summary>When new flows begin to avoid it (RFC 4862 §5.5.4); <see cref="Timestamp.Never"/> for never.</summary>
    public Timestamp PreferredUntil { get; init; }

    /// <summary>When it ends by its lifetime; <see cref="Timestamp.Never"/> for never.</summary>
    public Timestamp ValidUntil { get; init; }

    /// <summary>When its replacement window closes (RFC 8653 §3.2); <see cref="Timestamp.Never"/> unless it is closing.</summary>
    public Timestamp ClosesAt { get; init; }

    /// <summary>Whether its replacement window opened because the host detached: the next attachment gives it a new one.</summary>
    public bool IsClosedByDetachment { get; init; }

    /// <summary>Flows that are not closed, and sockets' requests.</summary>
    public int Users { get; init; }

    /// <summary>Typed addresses out of it.</summary>
    public int Addresses { get; init; }
}
