using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Lab;

/// <summary>
/// The lab's cables and addresses. An interface is named after what is at its other end.
/// <code>
///                     peer   2001:db8:c::1
///                      │     2001:db8:c::/64
///                    anchor  2001:db8::f0
///                    ╱    ╲
///  2001:db8::a1   ar1 ──── ar2   2001:db8::a2      the link between them carries the replacement window
///                    ╲    ╱
///                     host   one of the two links is up
/// </code>
/// Next hops are link-local and chosen by node: nothing has to be discovered twice, and the host's links have no other address.
/// </summary>
internal static class LabLinks
{
    /// <summary>The correspondent's address.</summary>
    public const string PeerAddress = "2001:db8:c::1";

    /// <summary>The anchor's address on the correspondent's link.</summary>
    public const string AnchorOnPeerLink = "2001:db8:c::fe";

    /// <summary>The next hop from an access router to the host.</summary>
    public const string RouterToHost = "via fe80::2 dev host";

    /// <summary>The cables: node and interface at either end.</summary>
    public static IReadOnlyList<(string Node, string Interface, string OtherNode, string OtherInterface)> Cables { get; } =
    [
        (LabNodes.Host, "ar1", LabNodes.FirstRouter, "host"),
        (LabNodes.Host, "ar2", LabNodes.SecondRouter, "host"),
        (LabNodes.FirstRouter, "ar2", LabNodes.SecondRouter, "ar1"),
        (LabNodes.FirstRouter, "anchor", LabNodes.Anchor, "ar1"),
        (LabNodes.SecondRouter, "anchor", LabNodes.Anchor, "ar2"),
        (LabNodes.Anchor, "peer", LabNodes.Peer, "anchor"),
    ];

    /// <summary>The link-local address of a node, on all of its links.</summary>
    /// <param name="node">The node.</param>
    /// <returns>The address.</returns>
    public static string LinkLocal(string node) => node switch
    {
        LabNodes.Host => "fe80::2",
        LabNodes.FirstRouter => "fe80::a1",
        LabNodes.SecondRouter => "fe80::a2",
        LabNodes.Anchor => "fe80::f0",
        _ => "fe80::c",
    };

    /// <summary>The address that a router speaks from, in traceroute for example; null for the end nodes.</summary>
    /// <param name="node">The node.</param>
    /// <returns>The address.</returns>
    public static string? RouterAddress(string node) => node switch
    {
        LabNodes.FirstRouter => "2001:db8::a1",
        LabNodes.SecondRouter => "2001:db8::a2",
        LabNodes.Anchor => "2001:db8::f0",
        _ => null,
    };

    /// <summary>The next hop from the anchor to an access router.</summary>
    /// <param name="router">The router.</param>
    /// <returns>Next hop and device.</returns>
    public static string AnchorTo(string router) => $"via {LinkLocal(router)} dev {router}";

    /// <summary>The next hop from the other access router to this one.</summary>
    /// <param name="router">The router.</param>
    /// <returns>Next hop and device.</returns>
    public static string RouterToRouter(string router) => $"via {LinkLocal(router)} dev {router}";

    /// <summary>The next hop from the host to an access router.</summary>
    /// <param name="router">The router.</param>
    /// <returns>Next hop and device.</returns>
    public static string HostTo(string router) => $"via {LinkLocal(router)} dev {router}";

    /// <summary>What the network itself lives in: no prefix of the host may overlap it.</summary>
    public static IReadOnlyList<IpPrefix> OwnPrefixes { get; } = [IpPrefix.Parse("2001:db8::/64"), IpPrefix.Parse("2001:db8:c::/64")];
}
