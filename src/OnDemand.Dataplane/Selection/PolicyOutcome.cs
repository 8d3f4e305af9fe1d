using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>What policy says of a flow: a type, a prefix, or nothing. The default value is <see cref="Legacy"/>.</summary>
public readonly record struct PolicyOutcome
{
    /// <summary>No type: RFC 6724 chooses among what is there, and the network is never asked (RFC 8653 §4.2).</summary>
    public static readonly PolicyOutcome Legacy;

    /// <summary>The type that the flow's source must have; <see cref="AddressType.None"/> if policy names none.</summary>
    public AddressType Type { get; private init; }

    /// <summary>The prefix that the flow's source must come from, this very one; null if policy names none.</summary>
    public IpPrefix? Prefix { get; private init; }

    /// <summary>Whether the prefix must be one of the network that serves the host now; only with a type.</summary>
    public bool OnNet { get; private init; }

    /// <summary>What RFC 6724 selection is told; only where neither type nor prefix is named (RFC 8653 §4.4).</summary>
    public AddressPreferences Preferences { get; private init; }

    /// <summary>Whether neither a type nor a prefix is named.</summary>
    public bool IsLegacy => Type == AddressType.None && Prefix is null;

    /// <summary>A source of exactly this type.</summary>
    /// <param name="type">One of the four types.</param>
    /// <param name="onNet">Whether its prefix must be one of the network that serves the host now.</param>
    /// <returns>The outcome.</returns>
    /// <exception cref="ArgumentException">The number names no type.</exception>
    public static PolicyOutcome OfType(AddressType type, bool onNet = false) => AddressTypes.IsDefined(type)
        ? new PolicyOutcome { Type = type, OnNet = onNet }
        : throw new ArgumentException($"{(byte)type} is not one of the four address types (RFC 8653 §3.2).", nameof(type));

    /// <summary>A source out of this very prefix, whatever its type.</summary>
    /// <param name="prefix">The prefix; a /128 is that very address.</param>
    /// <returns>The outcome.</returns>
    public static PolicyOutcome Pinned(IpPrefix prefix) => new() { Prefix = prefix };

    /// <summary>Legacy, with preferences as a socket could state them (RFC 5014).</summary>
    /// <param name="preferences">The preferences.</param>
    /// <returns>The outcome.</returns>
    /// <exception cref="ArgumentException">The preferences contradict each other, or ask for on-net, which needs a type.</exception>
    public static PolicyOutcome LegacyPreferring(AddressPreferences preferences)
    {
        if (!AddressPreferenceRules.AreConsistent(preferences, out string? contradiction))
        {
            throw new ArgumentException(contradiction, nameof(preferences));
        }

        if ((preferences & AddressPreferences.RequireOnNet) != 0)
        {
            throw new ArgumentException(
                "An address on the serving network can only be required together with a type.",
                nameof(preferences));
        }

        return new PolicyOutcome { Preferences = preferences };
    }
}
