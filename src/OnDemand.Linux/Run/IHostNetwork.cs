using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Run;

/// <summary>What changed on the host.</summary>
internal enum HostChangeKind : byte
{
    /// <summary>The TAP was deleted.</summary>
    TapGone,

    /// <summary>The TAP was set down; the kernel has thrown its addresses and routes away.</summary>
    TapDown,

    /// <summary>The TAP is up again.</summary>
    TapUp,

    /// <summary>The TAP has another MTU.</summary>
    TapMtu,

    /// <summary>The TAP has another hardware address.</summary>
    TapAddress,

    /// <summary>An uplink is gone or down.</summary>
    UplinkDown,

    /// <summary>An uplink is there and up.</summary>
    UplinkUp,
}

/// <summary>A change on the host.</summary>
/// <param name="Kind">What.</param>
/// <param name="Interface">Of which interface.</param>
/// <param name="Mtu">The interface's MTU now.</param>
internal readonly record struct HostChange(HostChangeKind Kind, string Interface, int Mtu = 0);

/// <summary>The host's network around the TAP, as the loop needs it. Only for the engine's thread.</summary>
internal interface IHostNetwork
{
    /// <summary>Readable when something may have changed; -1 if nobody watches.</summary>
    int Descriptor { get; }

    /// <summary>Whether any uplink is there and up, or none was named.</summary>
    bool UplinkUp { get; }

    /// <summary>Makes addresses, rules and routes as they must be, those of typed prefixes included; what is right already stays.</summary>
    /// <exception cref="HostException">The host cannot have it so.</exception>
    void Apply();

    /// <summary>Takes back everything that this or a crashed run made.</summary>
    void TakeBack();

    /// <summary>Routes a typed prefix into the TAP.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <exception cref="HostException">The host cannot have it so.</exception>
    void AddPrefixRoute(IpPrefix prefix);

    /// <summary>Routes a typed prefix no more into the TAP.</summary>
    /// <param name="prefix">The prefix.</param>
    void RemovePrefixRoute(IpPrefix prefix);

    /// <summary>Takes the next change.</summary>
    /// <param name="change">The change.</param>
    /// <returns>Whether there was one.</returns>
    bool TryTakeChange(out HostChange change);
}
