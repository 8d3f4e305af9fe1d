namespace OnDemand.Dataplane.Tests.Support;

/// <summary>What stands before a built frame's IPv6 header.</summary>
public enum LinkHeader
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Ethernet.</summary>
    Ethernet,

    /// <summary>Ethernet with an 802.1Q tag.</summary>
    Vlan,

    /// <summary>Ethernet with an 802.1ad and an 802.1Q tag.</summary>
    DoubleVlan,
}
