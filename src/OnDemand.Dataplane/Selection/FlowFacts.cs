using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>What policy may know of a new flow.</summary>
/// <param name="Protocol">The Next Header value of its upper-layer protocol.</param>
/// <param name="Internal">The internal address.</param>
/// <param name="LocalPort">The local port; 0 where the protocol has none.</param>
/// <param name="Remote">The remote address.</param>
/// <param name="RemotePort">The remote port; 0 where the protocol has none.</param>
/// <param name="TrafficClass">The Traffic Class of its first packet.</param>
public readonly record struct FlowFacts(
    byte Protocol,
    IpAddress Internal,
    ushort LocalPort,
    IpAddress Remote,
    ushort RemotePort,
    byte TrafficClass = 0)
{
    /// <summary>Which conditions on sockets its socket meets, one bit each (<see cref="PolicyRule.Traits"/>); 0 if it is not known.</summary>
    public ulong Traits { get; init; }

    /// <summary>
    /// Whether the protocol has ports: TCP, UDP, DCCP, SCTP or UDP-Lite. For others a rule that names ports does not match, whatever
    /// stands in the port fields (an ICMPv6 Identifier, say).
    /// </summary>
    public bool HasPorts => Protocol is 6 or 17 or 33 or 132 or 136;
}
