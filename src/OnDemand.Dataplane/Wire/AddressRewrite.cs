using System.Buffers.Binary;

namespace OnDemand.Dataplane.Wire;

/// <summary>
/// A rewrite is sixteen octets and one addition: the new address, and the pair's difference added to the checksum that covers it.
/// Absent checksums stay absent, wrong ones stay equally wrong, partial ones (offload) stay partial.
/// </summary>
public static class AddressRewrite
{
    /// <summary>Puts a source address in.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="layout">Its layout.</param>
    /// <param name="address">The new source.</param>
    /// <param name="difference">Difference from the old source to the new one.</param>
    /// <param name="partial">Whether the checksum field holds only the pseudo-header sum.</param>
    public static void Source(Span<byte> frame, in FrameLayout layout, IpAddress address, ushort difference, bool partial)
    {
        address.Write(frame[(layout.NetworkOffset + 8)..]);
        if (layout.ChecksumOffset != 0 && !layout.Has(FrameMarks.HomeAddress))
        {
            Adjust(frame[layout.ChecksumOffset..], layout.Protocol, difference, partial);
        }
    }

    /// <summary>Puts a destination address in.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="layout">Its layout.</param>
    /// <param name="address">The new destination.</param>
    /// <param name="difference">Difference from the old destination to the new one.</param>
    /// <param name="partial">Whether the checksum field holds only the pseudo-header sum.</param>
    public static void Destination(Span<byte> frame, in FrameLayout layout, IpAddress address, ushort difference, bool partial)
    {
        address.Write(frame[(layout.NetworkOffset + 24)..]);
        if (layout.ChecksumOffset != 0 && !layout.Has(FrameMarks.SegmentsLeft))
        {
            Adjust(frame[layout.ChecksumOffset..], layout.Protocol, difference, partial);
        }
    }

    /// <summary>
    /// Restores or hides an address in an ICMPv6 error: the outer one (source outbound, destination inbound), the same one in the
    /// packet it quotes, the quoted transport checksum, and the error's own checksum for all three (RFC 5508 §4.2, RFC 7915 §5.3).
    /// </summary>
    /// <param name="frame">The frame.</param>
    /// <param name="layout">The error's layout.</param>
    /// <param name="quoted">The layout of the quoted packet.</param>
    /// <param name="outbound">True: outer source and quoted destination; false: outer destination and quoted source.</param>
    /// <param name="address">The address to put in.</param>
    /// <param name="difference">Difference from the old address to the new one.</param>
    /// <param name="partial">Whether the error's own checksum field holds only the pseudo-header sum.</param>
    public static void Error(
        Span<byte> frame, in FrameLayout layout, in FrameLayout quoted, bool outbound, IpAddress address, ushort difference, bool partial)
    {
        uint total = difference;   // inside the quoted packet: the address itself
        address.Write(frame[(quoted.NetworkOffset + (outbound ? 24 : 8))..]);
        bool covered = !quoted.Has(outbound ? FrameMarks.SegmentsLeft : FrameMarks.HomeAddress);
        if (quoted.ChecksumOffset != 0 && covered)
        {
            Span<byte> field = frame[quoted.ChecksumOffset..];
            ushort before = BinaryPrimitives.ReadUInt16BigEndian(field);
            Adjust(field, quoted.Protocol, difference, partial: false);
            total += InternetChecksum.Difference(before, BinaryPrimitives.ReadUInt16BigEndian(field));
        }

        // A partial sum covers only the pseudo-header: the device adds what is inside later.
        ushort inside = partial ? (ushort)0 : InternetChecksum.Fold(total);
        uint sum = (uint)inside + difference;   // and outside: the pseudo-header
        ushort whole = InternetChecksum.Fold(sum);
        whole = whole == ushort.MaxValue ? (ushort)0 : whole;
        if (outbound)
        {
            Source(frame, layout, address, whole, partial);
        }
        else
        {
            Destination(frame, layout, address, whole, partial);
        }
    }

    private static void Adjust(Span<byte> field, byte protocol, ushort difference, bool partial)
    {
        ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(field);
        if (partial)
        {
            BinaryPrimitives.WriteUInt16BigEndian(field, InternetChecksum.UpdatePartial(checksum, difference));
            return;
        }

        bool datagram = protocol is IpProtocol.Udp or IpProtocol.UdpLite;
        if (protocol == IpProtocol.Udp && checksum == 0)
        {
            return;
        }

        checksum = InternetChecksum.Update(checksum, difference);
        BinaryPrimitives.WriteUInt16BigEndian(field, datagram ? InternetChecksum.ForUdp(checksum) : checksum);
    }
}
