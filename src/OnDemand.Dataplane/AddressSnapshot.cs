using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>What the engine knew of a typed address at one moment; see <see cref="DataplaneEngine.CopyAddresses"/>.</summary>
public readonly record struct AddressSnapshot
{
    /// <summary>The typed address.</summary>
    public IpAddress Address { get; init; }

    /// <summary>The internal address that it stands for.</summary>
    public IpAddress Internal { get; init; }

    /// <summary>Its type; <see cref="AddressType.None"/> for one out of a prefix without a type.</summary>
    public AddressType Type { get; init; }

    /// <summary>Its prefix.</summary>
    public IpPrefix Prefix { get; init; }

    /// <summary>The state of that prefix.</summary>
    public PrefixState State { get; init; }

    /// <summary>Whether it was renewed, so that new sockets get another (RFC 8653 §5).</summary>
    public bool IsRetired { get; init; }

    /// <summary>Whether it is the network's own (a /128), not made by the host.</summary>
    public bool IsExact { get; init; }

    /// <summary>Flows and bindings that hold it.</summary>
    public int Users { get; init; }

    /// <summary>Flows of sockets that are bound to it themselves.</summary>
    public int NativeFlows { get; init; }

    /// <summary>When it was made.</summary>
    public Timestamp Since { get; init; }

    /// <summary>Packets sent from it.</summary>
    public ulong PacketsOut { get; init; }

    /// <summary>Packets received at it.</summary>
    public ulong PacketsIn { get; init; }

    /// <summary>Octets sent from it, IPv6 headers included.</summary>
    public ulong OctetsOut { get; init; }

    /// <summary>Octets received at it, IPv6 headers included.</summary>
    public ulong OctetsIn { get; init; }
}
