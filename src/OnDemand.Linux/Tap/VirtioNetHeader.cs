using System.Buffers.Binary;

namespace OnDemand.Linux.Tap;

/// <summary>
/// The header that stands before each frame of a TAP with IFF_VNET_HDR (Virtio 1.3 §5.1.6, struct virtio_net_hdr): what a device would
/// still have to do with the frame. A rewrite changes no length, so it goes back as it came. Its numbers are in the machine's byte order.
/// </summary>
/// <param name="Flags">VIRTIO_NET_HDR_F_*.</param>
/// <param name="SegmentationType">VIRTIO_NET_HDR_GSO_*; 0 for a frame that is no superpacket.</param>
/// <param name="HeaderLength">Octets of headers, a hint.</param>
/// <param name="SegmentSize">Octets of payload in each segment.</param>
/// <param name="ChecksumStart">Where checksumming starts, from the frame's beginning.</param>
/// <param name="ChecksumOffset">Where the sum goes, from there.</param>
internal readonly record struct VirtioNetHeader(
    byte Flags, byte SegmentationType, ushort HeaderLength, ushort SegmentSize, ushort ChecksumStart, ushort ChecksumOffset)
{
    /// <summary>Octets of the header.</summary>
    public const int Length = 10;

    private const byte NeedsChecksum = 1;        // VIRTIO_NET_HDR_F_NEEDS_CSUM

    // A tag has 64 bits and the header 80: the flags that exist take three, the segmentation types with ECN four, and the checksums of
    // all transports lie within 256 octets.
    private const int FlagBits = 3;
    private const int TypeBits = 3;
    private const int OffsetShift = FlagBits + TypeBits + 1;
    private const byte Ecn = 0x80;               // VIRTIO_NET_HDR_GSO_ECN

    /// <summary>Whether a checksum field holds the bare pseudo-header sum: the frame's own, or that of a packet inside.</summary>
    public bool HasPartialChecksum => (Flags & NeedsChecksum) != 0;

    /// <summary>Whether this stands before a superpacket.</summary>
    public bool IsSuperpacket => SegmentationType != 0;

    /// <summary>Reads the header.</summary>
    /// <param name="octets">At least <see cref="Length"/> octets.</param>
    /// <returns>The header.</returns>
    public static VirtioNetHeader Read(ReadOnlySpan<byte> octets) => new(
        octets[0], octets[1], Number(octets[2..]), Number(octets[4..]), Number(octets[6..]), Number(octets[8..]));

    /// <summary>Writes the header.</summary>
    /// <param name="octets">At least <see cref="Length"/> octets.</param>
    public void Write(Span<byte> octets)
    {
        octets[0] = Flags;
        octets[1] = SegmentationType;
        Put(octets[2..], HeaderLength);
        Put(octets[4..], SegmentSize);
        Put(octets[6..], ChecksumStart);
        Put(octets[8..], ChecksumOffset);
    }

    /// <summary>Packs the header into the tag that travels with a held frame.</summary>
    /// <returns>The tag.</returns>
    public long ToTag()
    {
        uint type = (SegmentationType & ((1u << TypeBits) - 1)) | ((SegmentationType & Ecn) == 0 ? 0 : 1u << TypeBits);
        uint small = (Flags & ((1u << FlagBits) - 1)) | (type << FlagBits) | ((uint)(byte)ChecksumOffset << OffsetShift);
        return (long)(small | ((ulong)HeaderLength << 16) | ((ulong)SegmentSize << 32) | ((ulong)ChecksumStart << 48));
    }

    /// <summary>Unpacks a tag.</summary>
    /// <param name="tag">What <see cref="ToTag"/> returned.</param>
    /// <returns>The header.</returns>
    public static VirtioNetHeader FromTag(long tag)
    {
        uint small = (ushort)tag;
        uint type = small >> FlagBits;
        return new VirtioNetHeader(
            (byte)(small & ((1u << FlagBits) - 1)),
            (byte)((type & ((1u << TypeBits) - 1)) | ((type & (1u << TypeBits)) == 0 ? 0u : Ecn)),
            (ushort)(tag >> 16),
            (ushort)(tag >> 32),
            (ushort)(tag >> 48),
            (byte)(small >> OffsetShift));
    }

    private static ushort Number(ReadOnlySpan<byte> octets) =>
        BitConverter.IsLittleEndian ? BinaryPrimitives.ReadUInt16LittleEndian(octets) : BinaryPrimitives.ReadUInt16BigEndian(octets);

    private static void Put(Span<byte> octets, ushort number)
    {
        if (BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(octets, number);
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(octets, number);
        }
    }
}
