namespace OnDemand.Linux.Netlink;

/// <summary>What a notice of the kernel tells of.</summary>
internal enum RouteNoticeKind
{
    /// <summary>Notices were lost: read everything anew.</summary>
    Overrun,

    /// <summary>A link has come or changed.</summary>
    LinkChanged,

    /// <summary>A link has gone.</summary>
    LinkRemoved,

    /// <summary>An address has come or changed.</summary>
    AddressChanged,

    /// <summary>An address has gone.</summary>
    AddressRemoved,

    /// <summary>A route has come or changed.</summary>
    RouteChanged,

    /// <summary>A route has gone. Not told of those that go with their interface.</summary>
    RouteRemoved,

    /// <summary>A rule has come.</summary>
    RuleAdded,

    /// <summary>A rule has gone.</summary>
    RuleRemoved,
}

/// <summary>A notice of the kernel.</summary>
/// <param name="Kind">What it tells of; only the matching one of the others is set.</param>
internal readonly record struct RouteNotice(RouteNoticeKind Kind)
{
    /// <summary>The link.</summary>
    public Link? Link { get; init; }

    /// <summary>The address.</summary>
    public InterfaceAddress Address { get; init; }

    /// <summary>The route.</summary>
    public Route Route { get; init; }

    /// <summary>The rule.</summary>
    public RoutingRule Rule { get; init; }
}
