namespace OnDemand.Dataplane.Wire;

/// <summary>What a parse found out about a frame's shape.</summary>
public enum FrameShape : byte
{
    /// <summary>The upper-layer header was found and the flow's ports (or what stands for them) are known.</summary>
    Transport,

    /// <summary>A fragment other than the first: no upper-layer header in it.</summary>
    LaterFragment,

    /// <summary>An ICMPv6 error (type below 128 that quotes a packet: 1 to 4).</summary>
    Icmpv6Error,

    /// <summary>Neighbor discovery or multicast listener discovery; never touched (RFC 4861, RFC 3810).</summary>
    NeighborDiscovery,

    /// <summary>A protocol whose checksum, if any, is unknown or hidden (ESP): only a checksum-neutral rewrite is safe.</summary>
    OpaqueTransport,

    /// <summary>An Authentication Header covers the addresses (RFC 4302 §3.3.3.1).</summary>
    Authenticated,

    /// <summary>Mobility, HIP or Shim6 signaling, which speaks about the addresses themselves.</summary>
    AddressSignaling,

    /// <summary>A first fragment without its whole header chain (RFC 7112 §5).</summary>
    TinyFragment,

    /// <summary>The header chain is malformed, or cut before the upper-layer header.</summary>
    BrokenChain,

    /// <summary>Not an IPv6 header, or cut inside it.</summary>
    NotIpv6,
}

/// <summary>Marks beside the shape.</summary>
[Flags]
public enum FrameMarks : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Part of a fragmented datagram (not set for atomic fragments, RFC 6946).</summary>
    Fragment = 1,

    /// <summary>A Home Address option stands in for the source in the pseudo-header (RFC 6275 §11.3.1).</summary>
    HomeAddress = 2,

    /// <summary>A Routing header with segments left: the final destination is not the header's.</summary>
    SegmentsLeft = 4,

    /// <summary>At least twenty octets of TCP header are here.</summary>
    TcpHeader = 8,

    /// <summary>The frame ends before the packet does.</summary>
    Cut = 16,

    /// <summary>ICMPv6 echo request; <see cref="Icmpv6EchoReply"/> marks the reply.</summary>
    Icmpv6EchoRequest = 32,

    /// <summary>ICMPv6 echo reply.</summary>
    Icmpv6EchoReply = 64,

    /// <summary>More fragments follow.</summary>
    MoreFragments = 128,
}

/// <summary>
/// The offsets that one parse found (RFC 8200 §3, §4); later steps never walk extension headers again. All offsets are from the
/// start of the frame, and every octet they name lies inside it.
/// </summary>
public struct FrameLayout
{
    /// <summary>The IPv6 header.</summary>
    public int NetworkOffset;

    /// <summary>One past the packet's last octet, as its headers say; may lie past the frame's end if the frame is cut.</summary>
    public long PacketEnd;

    /// <summary>The upper-layer header; valid unless the shape is a later fragment, broken or not IPv6.</summary>
    public int UpperOffset;

    /// <summary>The upper-layer checksum field; 0 if there is none or it is not in the frame.</summary>
    public int ChecksumOffset;

    /// <summary>The address that the pseudo-header has as destination: the IPv6 header's, or the Routing header's last one.</summary>
    public int FinalDestinationOffset;

    /// <summary>The Fragment header; 0 if none.</summary>
    public int FragmentHeaderOffset;

    /// <summary>Source port, or the echo identifier in an echo request.</summary>
    public ushort SourcePort;

    /// <summary>Destination port, or the echo identifier in an echo reply.</summary>
    public ushort DestinationPort;

    /// <summary>The upper-layer Next Header value.</summary>
    public byte Protocol;

    /// <summary>What the frame is.</summary>
    public FrameShape Shape;

    /// <summary>Further marks.</summary>
    public FrameMarks Marks;

    /// <summary>Whether a mark is set.</summary>
    /// <param name="mark">The mark.</param>
    /// <returns>Whether it is set.</returns>
    public readonly bool Has(FrameMarks mark) => (Marks & mark) != 0;
}
