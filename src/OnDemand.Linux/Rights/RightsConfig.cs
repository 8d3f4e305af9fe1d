using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Rights;

/// <summary>Who may have what (RFC 8653 §5): the map <c>rights</c> of a host's configuration. Root may have everything.</summary>
internal sealed record RightsConfig
{
    /// <summary>Everybody may have every type, without limits.</summary>
    public static readonly RightsConfig Unlimited = new();

    /// <summary>Who may have a type; a type that is not here is for everybody.</summary>
    public IReadOnlyDictionary<AddressType, TypeRights> Types { get; init; } = new Dictionary<AddressType, TypeRights>();

    /// <summary>How much each user may have.</summary>
    public UserQuotas Quotas { get; init; } = new();
}

/// <summary>Who may have a type: one of these people, by one of these programs. Null is everybody, or any program.</summary>
/// <param name="Users">The users, by number.</param>
/// <param name="Groups">The groups, by number; to be in one of them is as good as being one of the users.</param>
/// <param name="Programs">The executables, as absolute paths.</param>
internal sealed record TypeRights(
    IReadOnlySet<uint>? Users, IReadOnlySet<uint>? Groups, IReadOnlyList<string>? Programs);

/// <summary>How much one user may have, over all of the user's programs; null is as much as there is.</summary>
internal sealed record UserQuotas
{
    /// <summary>Sockets with an address of their own at once, 0 or more.</summary>
    public int? Addresses { get; init; }

    /// <summary>Different prefixes that those addresses come from, 0 or more.</summary>
    public int? Prefixes { get; init; }

    /// <summary>Requests in a minute, above zero.</summary>
    public int? RequestsPerMinute { get; init; }
}
