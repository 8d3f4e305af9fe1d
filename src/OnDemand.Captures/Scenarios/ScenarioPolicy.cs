using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>What sockets get that asked for nothing. First match wins.</summary>
public sealed record ScenarioPolicy
{
    /// <summary>The most different conditions on sockets: each has one bit of <see cref="PolicyRule.Traits"/>.</summary>
    public const int MaximumConditions = 64;

    private readonly IReadOnlyList<SocketCondition?>? _conditions;

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

    /// <summary>
    /// The different conditions on sockets that rules have, each at the place of its bit of <see cref="PolicyRule.Traits"/>; null at a place
    /// whose bit has no meaning. In the order of the rules, unless the policy is a <see cref="Successor"/>.
    /// </summary>
    public IReadOnlyList<SocketCondition?> Conditions
    {
        get => _conditions ?? InOrder();
        init => _conditions = value;
    }

    /// <summary>
    /// A later policy with the bits of this one: a condition that both have keeps its bit, and a new one gets, as long as there are any, a bit
    /// that had no meaning here. So what was said of a socket before the change still means the same.
    /// </summary>
    /// <param name="later">The later policy.</param>
    /// <returns>The later policy, with its <see cref="Conditions"/> in their places.</returns>
    public ScenarioPolicy Successor(ScenarioPolicy later)
    {
        ArgumentNullException.ThrowIfNull(later);
        SocketCondition[] wanted = later.InOrder();
        var places = new SocketCondition?[MaximumConditions];
        for (int bit = 0; bit < Conditions.Count; bit++)
        {
            places[bit] = Conditions[bit] is { } kept ? Array.Find(wanted, kept.Equals) : null;
        }

        // Bits without a meaning in either policy come first.
        IEnumerable<int> free = Enumerable.Range(0, places.Length).Where(bit => places[bit] is null)
            .OrderBy(bit => bit < Conditions.Count && Conditions[bit] is not null);
        foreach ((int bit, SocketCondition condition) in free.ToArray().Zip(wanted.Where(condition => !places.Contains(condition))))
        {
            places[bit] = condition;
        }

        return later with { Conditions = places[..(Array.FindLastIndex(places, place => place is not null) + 1)] };
    }

    /// <summary>The policy in the engine's form.</summary>
    /// <returns>The policy.</returns>
    public ServicePolicy Build()
    {
        IReadOnlyList<SocketCondition?> conditions = Conditions;
        Dictionary<SocketCondition, ulong> bits = [];
        for (int bit = 0; bit < conditions.Count; bit++)
        {
            if (conditions[bit] is { } condition)
            {
                bits.Add(condition, 1UL << bit);
            }
        }

        return new ServicePolicy(
            [.. Rules.Select(rule => rule.Build(rule.Socket is { } condition ? bits[condition] : 0))],
            [.. Inbound.SelectMany(rule => rule.Build())],
            Default == AddressType.None ? PolicyOutcome.Legacy : PolicyOutcome.OfType(Default));
    }

    private SocketCondition[] InOrder() => [.. Rules.Select(rule => rule.Socket).OfType<SocketCondition>().Distinct()];
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

    /// <summary>What is demanded of the socket; null for nothing.</summary>
    public SocketCondition? Socket { get; init; }

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
    /// <param name="traits">The bit of its condition on the socket; 0 if it has none.</param>
    /// <returns>The rule.</returns>
    internal PolicyRule Build(ulong traits) => new()
    {
        Traits = traits,
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
