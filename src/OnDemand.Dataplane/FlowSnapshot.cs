using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>What the engine knew of a flow at one moment; see <see cref="DataplaneEngine.CopyFlows"/>.</summary>
public readonly record struct FlowSnapshot
{
    /// <summary>The flow's number, as in <see cref="Verdict.Flow"/>; used again after the flow has left the table.</summary>
    public int Number { get; init; }

    /// <summary>Protocol and both ends.</summary>
    public FlowIdentity Identity { get; init; }

    /// <summary>The type of its typed address; <see cref="AddressType.None"/> for one out of a prefix without a type.</summary>
    public AddressType Type { get; init; }

    /// <summary>The typed address it has in the network.</summary>
    public IpAddress Address { get; init; }

    /// <summary>
    /// The typed address it had before, as long as packets to it are still accepted: within its replacement window (RFC 8653 §3.2).
    /// </summary>
    public IpAddress? OldAddress { get; init; }

    /// <summary>The prefix of <see cref="Address"/>.</summary>
    public IpPrefix Prefix { get; init; }

    /// <summary>The state of that prefix: <see cref="PrefixState.Closing"/> means that a replacement window is open over the
    /// flow.</summary>
    public PrefixState PrefixState { get; init; }

    /// <summary>Where it is in its life.</summary>
    public FlowState State { get; init; }

    /// <summary>Packets in both directions, modulo 2^32.</summary>
    public uint Packets { get; init; }

    /// <summary>Octets of those packets, IPv6 headers included.</summary>
    public ulong Octets { get; init; }

    /// <summary>When its last packet came, on a grid of 67 ms.</summary>
    public Timestamp LastSeen { get; init; }

    /// <summary>When it will be forgotten unless another packet comes, on the same grid.</summary>
    public Timestamp IdleAt { get; init; }

    /// <summary>Whether the remote opened it.</summary>
    public bool IsInbound { get; init; }

    /// <summary>Whether its socket is bound to the typed address, so that its packets are not rewritten.</summary>
    public bool IsNative { get; init; }

    /// <summary>The kernel's cookie of its socket; 0 if it is not known.</summary>
    public ulong Socket { get; init; }

    /// <summary>Why it has its address.</summary>
    public Decision Decision { get; init; }
}
