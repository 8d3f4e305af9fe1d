namespace OnDemand.Dataplane.Mobility;

/// <summary>
/// The four types of RFC 8653 §3.2, numbered as in the host API (draft-17 §6.1, a 3-bit field; 0 and 5 to 7 are reserved).
/// The wire drafts number differently: see <see cref="WireAddressType"/>.
/// </summary>
public enum AddressType : byte
{
    /// <summary>No type: the socket asked for nothing, or the network gave the prefix without one.</summary>
    None = 0,

    /// <summary>Valid for a very long time, also while detached; session continuity and reachability.</summary>
    Fixed = 1,

    /// <summary>Valid as long as the sockets that use it, across moves; session continuity only.</summary>
    SessionLasting = 2,

    /// <summary>May vanish at the next move; neither continuity nor reachability.</summary>
    Nonpersistent = 3,

    /// <summary>Ends after a limited graceful period in which old and new prefix are both valid.</summary>
    GracefulReplacement = 4,
}

/// <summary>The numbering of the DHCPv6 and router advertisement drafts (draft-moses-dmm-dhcp-ondemand-mobility-10, draft-feng-dmm-ra-prefixtype-03).</summary>
public enum WireAddressType : byte
{
    /// <summary>Any type (DHCPv6 requests only).</summary>
    Any = 0,

    /// <summary>Nonpersistent.</summary>
    Nonpersistent = 1,

    /// <summary>Session-Lasting.</summary>
    SessionLasting = 2,

    /// <summary>Fixed.</summary>
    Fixed = 3,

    /// <summary>Graceful-Replacement.</summary>
    GracefulReplacement = 4,
}

/// <summary>The one map between the two numberings, and the textual names.</summary>
public static class AddressTypes
{
    /// <summary>One more than the highest type number; size of arrays indexed by type.</summary>
    public const int Count = 5;

    /// <summary>Whether a number is one of the four types; 0 and 5 to 7 are reserved (draft-17 §6.1).</summary>
    /// <param name="type">The type.</param>
    /// <returns>Whether it names a type.</returns>
    public static bool IsDefined(AddressType type) => type is >= AddressType.Fixed and <= AddressType.GracefulReplacement;

    /// <summary>The host API's number for a number on the wire.</summary>
    /// <param name="wire">The number on the wire.</param>
    /// <param name="type">The type.</param>
    /// <returns>False for <see cref="WireAddressType.Any"/> and reserved numbers.</returns>
    public static bool TryFromWire(WireAddressType wire, out AddressType type)
    {
        type = wire switch
        {
            WireAddressType.Nonpersistent => AddressType.Nonpersistent,
            WireAddressType.SessionLasting => AddressType.SessionLasting,
            WireAddressType.Fixed => AddressType.Fixed,
            WireAddressType.GracefulReplacement => AddressType.GracefulReplacement,
            _ => AddressType.None,
        };
        return type != AddressType.None;
    }

    /// <summary>The number on the wire for a type.</summary>
    /// <param name="type">The type; <see cref="AddressType.None"/> gives <see cref="WireAddressType.Any"/>.</param>
    /// <returns>The number on the wire.</returns>
    public static WireAddressType ToWire(AddressType type) => type switch
    {
        AddressType.Fixed => WireAddressType.Fixed,
        AddressType.SessionLasting => WireAddressType.SessionLasting,
        AddressType.Nonpersistent => WireAddressType.Nonpersistent,
        AddressType.GracefulReplacement => WireAddressType.GracefulReplacement,
        _ => WireAddressType.Any,
    };

    /// <summary>The name used in scenarios, reports and commands.</summary>
    /// <param name="type">The type.</param>
    /// <returns>The name, in lower case with hyphens; <c>untyped</c> for no type.</returns>
    public static string ToName(AddressType type) => type switch
    {
        AddressType.Fixed => "fixed",
        AddressType.SessionLasting => "session-lasting",
        AddressType.Nonpersistent => "nonpersistent",
        AddressType.GracefulReplacement => "graceful-replacement",
        _ => "untyped",
    };

    /// <summary>
    /// Reads a name: those of <see cref="ToName"/>, draft-17's constants, and the first slides' names (home-network-anchored,
    /// access-network-anchored, unanchored and their IPV6_REQUIRE_ constants). Case and hyphen, underscore or space do not matter.
    /// </summary>
    /// <param name="name">The name.</param>
    /// <param name="type">The type.</param>
    /// <returns>Whether the name is known.</returns>
    public static bool TryParse(string? name, out AddressType type)
    {
        type = (name ?? string.Empty).ToUpperInvariant().Replace('-', '_').Replace(' ', '_') switch
        {
            "FIXED" or "FIXED_IPV6_ADDRESS" or "IPV6_REQUIRE_FIXED_IP" or "HOME_NETWORK_ANCHORED" or "HOME_ANCHORED"
                or "IPV6_REQUIRE_HOME_ANCHORED" => AddressType.Fixed,
            "SESSION_LASTING" or "SESSION_LASTING_IPV6_ADDRESS" or "IPV6_REQUIRE_SESSION_LASTING_IP" or "ACCESS_NETWORK_ANCHORED"
                or "ACCESS_ANCHORED" or "IPV6_REQUIRE_ACCESS_ANCHORED" => AddressType.SessionLasting,
            "NONPERSISTENT" or "NON_PERSISTENT" or "NON_PERSISTENT_IPV6_ADDRESS" or "IPV6_REQUIRE_NON_PERSISTENT_IP" or "UNANCHORED"
                or "IPV6_REQUIRE_UNANCHORED" => AddressType.Nonpersistent,
            "GRACEFUL_REPLACEMENT" or "GRACEFUL" or "GRACEFUL_REPLACEMENT_IPV6_ADDRESS" or "IPV6_REQUIRE_GRACEFUL_REPLACEMENT_IP" =>
                AddressType.GracefulReplacement,
            _ => AddressType.None,
        };
        return type != AddressType.None;
    }
}
