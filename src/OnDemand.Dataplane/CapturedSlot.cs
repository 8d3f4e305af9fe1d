namespace OnDemand.Dataplane;

/// <summary>One packet of a batch that a capture taken inside shows; see <see cref="DataplaneEngine.HandleCaptured"/>.</summary>
public struct CapturedSlot
{
    /// <summary>Where the frame begins in the buffer.</summary>
    public int Offset;

    /// <summary>Its length in octets.</summary>
    public int Length;

    /// <summary>Where its IPv6 header begins, from the frame's beginning.</summary>
    public int NetworkOffset;

    /// <summary>Whether its upper-layer checksum is left to a device (VIRTIO_NET_HDR_F_NEEDS_CSUM).</summary>
    public bool PartialChecksum;

    /// <summary>Its time, never earlier than that of the slot before.</summary>
    public Timestamp Time;

    /// <summary>After the call: whether it comes from the network.</summary>
    public bool Inbound;

    /// <summary>After the call: the number of its flow.</summary>
    public int Flow;
}
