namespace OnDemand.Dataplane;

/// <summary>What the caller knows of a frame beside its octets.</summary>
/// <param name="NetworkOffset">Where its IPv6 header begins; negative if it carries none. See <see cref="Wire.EthernetFrame.FindIpv6"/>.</param>
/// <param name="PartialChecksum">Whether its upper-layer checksum is left to a device (VIRTIO_NET_HDR_F_NEEDS_CSUM).</param>
/// <param name="Tag">The caller's own number; comes back with a frame that was held.</param>
public readonly record struct FrameInfo(int NetworkOffset, bool PartialChecksum = false, long Tag = 0);

/// <summary>Where an output goes.</summary>
public enum OutputDirection : byte
{
    /// <summary>To the host.</summary>
    Host,

    /// <summary>To the network.</summary>
    Network,
}

/// <summary>What an output is.</summary>
public enum OutputKind : byte
{
    /// <summary>A frame that was held and may go on now, rewritten, with its own link header.</summary>
    Released,

    /// <summary>A RST for a stranded TCP flow: an IPv6 packet without link header.</summary>
    Reset,

    /// <summary>An ICMPv6 error: an IPv6 packet without link header.</summary>
    Icmpv6Error,
}

/// <summary>A frame that the engine gives out.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Direction">Where it goes.</param>
/// <param name="NetworkOffset">Where its IPv6 header begins; 0 for packets that the engine made.</param>
/// <param name="PartialChecksum">As it was given with the frame that was held.</param>
/// <param name="Tag">As it was given with the frame that was held, or that was answered.</param>
/// <param name="Flow">The flow's number, or -1.</param>
/// <param name="About">What an answer is about.</param>
public readonly record struct OutputFrame(
    OutputKind Kind, OutputDirection Direction, int NetworkOffset, bool PartialChecksum, long Tag, int Flow, DropReason About);
