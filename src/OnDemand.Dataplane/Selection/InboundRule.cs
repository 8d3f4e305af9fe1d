using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>Lets unsolicited flows in to addresses of a type that is not reachable by itself. What is null may be anything.</summary>
/// <param name="Type">The type of the address they may come to; <see cref="AddressType.None"/> opens addresses without a type.</param>
public readonly record struct InboundRule(AddressType Type)
{
    /// <summary>The Next Header value of the upper-layer protocol.</summary>
    public byte? Protocol { get; init; }

    /// <summary>The local port; a protocol without ports never matches.</summary>
    public PortRange? LocalPort { get; init; }

    /// <summary>Where the remote address lies.</summary>
    public IpPrefix? Remote { get; init; }

    /// <summary>Whether a flow may come in by this rule.</summary>
    /// <param name="type">The type of the address it comes to.</param>
    /// <param name="facts">The flow.</param>
    /// <returns>Whether it may.</returns>
    public bool Matches(AddressType type, in FlowFacts facts) =>
        type == Type
        && Protocol.GetValueOrDefault(facts.Protocol) == facts.Protocol
        && (LocalPort is not { } ports || (facts.HasPorts && ports.Contains(facts.LocalPort)))
        && (Remote is not { } remotes || remotes.Contains(facts.Remote));
}
