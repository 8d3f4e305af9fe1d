using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>One rule of policy: a flow that has every named property gets the outcome. What is null may be anything.</summary>
public readonly record struct PolicyRule
{
    /// <summary>The Next Header value of the upper-layer protocol.</summary>
    public byte? Protocol { get; init; }

    /// <summary>Where the internal address lies; a /128 is that very address.</summary>
    public IpPrefix? Internal { get; init; }

    /// <summary>The local port; a protocol without ports never matches.</summary>
    public PortRange? LocalPort { get; init; }

    /// <summary>Where the remote address lies.</summary>
    public IpPrefix? Remote { get; init; }

    /// <summary>The remote port; a protocol without ports never matches.</summary>
    public PortRange? RemotePort { get; init; }

    /// <summary>The Traffic Class of the flow's first packet, all eight bits.</summary>
    public byte? TrafficClass { get; init; }

    /// <summary>
    /// Conditions on the socket (its user, its program, …) that must all be met, one bit each. What a bit means is the caller's affair,
    /// who says of each new flow's socket which of them it meets.
    /// </summary>
    public ulong Traits { get; init; }

    /// <summary>What the flow gets.</summary>
    public PolicyOutcome Outcome { get; init; }

    /// <summary>Whether a flow has every named property.</summary>
    /// <param name="facts">The flow.</param>
    /// <returns>Whether it has.</returns>
    public bool Matches(in FlowFacts facts) =>
        Protocol.GetValueOrDefault(facts.Protocol) == facts.Protocol
        && (facts.Traits & Traits) == Traits
        && TrafficClass.GetValueOrDefault(facts.TrafficClass) == facts.TrafficClass
        && (RemotePort is not { } remotePorts || (facts.HasPorts && remotePorts.Contains(facts.RemotePort)))
        && (LocalPort is not { } localPorts || (facts.HasPorts && localPorts.Contains(facts.LocalPort)))
        && (Remote is not { } remotes || remotes.Contains(facts.Remote))
        && (Internal is not { } internals || internals.Contains(facts.Internal));
}
