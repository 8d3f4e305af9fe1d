namespace OnDemand.Linux.Host;

/// <summary>What happened to the host's network under a running dataplane.</summary>
internal enum HostEventKind
{
    /// <summary>The TAP was deleted (or renamed): the dataplane cannot go on.</summary>
    TapGone,

    /// <summary>The TAP was set down, whereby its addresses and routes are lost: <see cref="HostNetwork.Apply"/> repairs it.</summary>
    TapDown,

    /// <summary>The TAP is up again.</summary>
    TapUp,

    /// <summary>The TAP's longest packet was changed.</summary>
    TapMtuChanged,

    /// <summary>An uplink was deleted, set down, has lost its carrier, or its MTU has become too small for IPv6.</summary>
    UplinkDown,

    /// <summary>An uplink is there, up, has a carrier and an MTU that IPv6 can use.</summary>
    UplinkUp,

    /// <summary>The longest packet of an uplink that is up was changed.</summary>
    UplinkMtuChanged,

    /// <summary>An address, route or rule that must be there was removed by somebody: <see cref="HostNetwork.Apply"/> repairs it.</summary>
    Disturbed,
}

/// <summary>Something that happened to the host's network.</summary>
/// <param name="Kind">What.</param>
/// <param name="Name">The interface, or for <see cref="HostEventKind.Disturbed"/> what was removed, in words.</param>
/// <param name="Mtu">The interface's longest packet in octets; 0 where it has gone or does not matter.</param>
internal readonly record struct HostEvent(HostEventKind Kind, string Name, int Mtu);
