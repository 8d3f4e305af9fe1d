using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>What sockets get that asked for nothing. First match wins.</summary>
public sealed record ScenarioPolicy
{
    /// <summary>The type of sockets that no rule names; <see cref="AddressType.None"/> is legacy.</summary>
    public AddressType Default { get; init; }

    /// <summary>The rules, in order.</summary>
    public IReadOnlyList<ScenarioRule> Rules { get; init; } = [];

    /// <summary>Unsolicited flows that may come in besides those to Fixed addresses.</summary>
    public IReadOnlyList<ScenarioInbound> Inbound { get; init; } = [];

    /// <summary>Whether flows other than TCP go over as soon as a replacement window opens, instead of when it closes.</summary>
    public bool GracefulDatagramsAtOnce { get; init; }

    /// <summary>
    /// Whether new Session-Lasting flows prefer the serving network's prefix (RFC 6724 rule 5.5) to the one that is held.
    /// </summary>
    public bool PreferRoute { get; init; }

    /// <summary>What ON_NET means: the drafts differ.</summary>
    public OnNetReading OnNet { get; init; }
}

/// <summary>One rule: every condition that is given must hold; then the flow gets what the rule says.</summary>
public sealed record ScenarioRule
{
    /// <summary>The protocol; null for any.</summary>
    public byte? Protocol { get; init; }

    /// <summary>Where the remote address lies; null for anywhere.</summary>
    public IpPrefix? Remote { get; init; }

    /// <summary>The remote port; null for any.</summary>
    public PortRange? RemotePort { get; init; }

    /// <summary>The local port; null for any.</summary>
    public PortRange? LocalPort { get; init; }

    /// <summary>Where the internal address lies; null for anywhere.</summary>
    public IpPrefix? Internal { get; init; }

    /// <summary>The Traffic Class of the first packet; null for any.</summary>
    public byte? TrafficClass { get; init; }

    /// <summary>The type to give; <see cref="AddressType.None"/> when the rule gives a prefix, preferences or legacy treatment.</summary>
    public AddressType Type { get; init; }

    /// <summary>The very prefix to take the address from; null when the rule names none.</summary>
    public IpPrefix? Prefix { get; init; }

    /// <summary>Whether the flow is to be treated as one that no policy names.</summary>
    public bool Legacy { get; init; }

    /// <summary>Whether the type is asked for with ON_NET.</summary>
    public bool OnNet { get; init; }

    /// <summary>RFC 5014 preferences; they count only where no type is given (RFC 8653 §4.4).</summary>
    public AddressPreferences Preferences { get; init; }

    /// <summary>The rule in the engine's form.</summary>
    /// <returns>The rule.</returns>
    internal PolicyRule Build() => new()
    {
        Protocol = Protocol,
        Remote = Remote,
        RemotePort = RemotePort,
        LocalPort = LocalPort,
        Internal = Internal,
        TrafficClass = TrafficClass,
        Outcome = Prefix is { } prefix ? PolicyOutcome.Pinned(prefix)
            : Type != AddressType.None ? PolicyOutcome.OfType(Type, OnNet)
            : PolicyOutcome.LegacyPreferring(Preferences),
    };
}

/// <summary>Unsolicited flows that may come in.</summary>
public sealed record ScenarioInbound
{
    /// <summary>The type of the address they come to; null for any.</summary>
    public AddressType? Type { get; init; }

    /// <summary>The protocol; null for any.</summary>
    public byte? Protocol { get; init; }

    /// <summary>The local port; null for any.</summary>
    public PortRange? LocalPort { get; init; }

    /// <summary>Where the remote address lies; null for anywhere.</summary>
    public IpPrefix? Remote { get; init; }

    /// <summary>The rule in the engine's form: one for each type that needs a rule, where the scenario names none.</summary>
    /// <returns>The rules.</returns>
    internal IEnumerable<InboundRule> Build()
    {
        AddressType[] types = Type is { } only
            ? [only]
            : [AddressType.None, AddressType.SessionLasting, AddressType.Nonpersistent, AddressType.GracefulReplacement];
        return types.Select(type => new InboundRule(type) { Protocol = Protocol, LocalPort = LocalPort, Remote = Remote });
    }
}

/// <summary>A request of a program, as <c>setsc()</c> would make it.</summary>
public sealed record SocketRequest
{
    /// <summary>When the program asks.</summary>
    public ScenarioTime At { get; init; }

    /// <summary>When it closes the socket; null for never.</summary>
    public ScenarioTime? Close { get; init; }

    /// <summary>The socket's protocol.</summary>
    public byte Protocol { get; init; }

    /// <summary>The socket's local port.</summary>
    public ushort LocalPort { get; init; }

    /// <summary>The socket's internal address; null for any.</summary>
    public IpAddress? Internal { get; init; }

    /// <summary>The type it asks for; <see cref="AddressType.None"/> when it asks for a prefix or only has preferences.</summary>
    public AddressType Type { get; init; }

    /// <summary>Whether it asks with ON_NET.</summary>
    public bool OnNet { get; init; }

    /// <summary>RFC 5014 preferences; they count only where no type is asked for (RFC 8653 §4.4).</summary>
    public AddressPreferences Preferences { get; init; }

    /// <summary>The very prefix it binds to; null when it names none.</summary>
    public IpPrefix? Prefix { get; init; }

    /// <summary>Where the scenario says so.</summary>
    public ScenarioPlace Place { get; init; }
}
