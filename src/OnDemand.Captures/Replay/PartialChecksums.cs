using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>
/// A capture taken on the sender shows checksums that its device was still to finish: the field holds the bare pseudo-header sum. Nothing
/// in the file says so. A field that equals that sum, in a packet whose checksum is wrong, is taken for one.
/// </summary>
internal static class PartialChecksums
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool LooksPartial(ReadOnlySpan<byte> frame, int networkOffset)
    {
        if (IsSurelyFinished(frame[networkOffset..]))
        {
            return false;
        }

        FrameParser.Parse(frame, networkOffset, out FrameLayout layout);
        if (layout.Shape != FrameShape.Transport || layout.Protocol is not (IpProtocol.Tcp or IpProtocol.Udp) || layout.ChecksumOffset == 0
            || layout.Has(FrameMarks.Cut) || layout.Has(FrameMarks.Fragment) || layout.Has(FrameMarks.SegmentsLeft) || layout.Has(FrameMarks.HomeAddress))
        {
            return false;
        }

        ReadOnlySpan<byte> upper = frame[layout.UpperOffset..(int)layout.PacketEnd];
        IpAddress source = IpAddress.Read(frame[(networkOffset + 8)..]);
        IpAddress destination = IpAddress.Read(frame[(networkOffset + 24)..]);
        ushort pseudo = InternetChecksum.PseudoHeaderSum(source, destination, (uint)upper.Length, layout.Protocol);
        ushort field = BinaryPrimitives.ReadUInt16BigEndian(frame[layout.ChecksumOffset..]);
        return field == pseudo && InternetChecksum.Fold((uint)pseudo + InternetChecksum.Sum(upper)) != ushort.MaxValue;
    }

    /// <summary>
    /// Whether two frames are the same, where the two zeros of one's-complement arithmetic count as one: a rewrite and its way back turn
    /// a checksum of ffff into 0.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool AreSame(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other, int networkOffset)
    {
        int at = one.CommonPrefixLength(other);
        if (one.Length != other.Length || at == one.Length)
        {
            return one.Length == other.Length;
        }

        FrameParser.Parse(one, networkOffset, out FrameLayout layout);
        int begin = at - ((at - networkOffset) & 1);   // words are counted from the IPv6 header

        // Either the packet's own checksum, or that of a packet that an ICMPv6 error quotes.
        bool zero = begin + 2 <= one.Length && IsZero(one[begin..]) && IsZero(other[begin..]);
        bool allowed = begin == layout.ChecksumOffset || layout.Shape == FrameShape.Icmpv6Error;
        return zero && allowed && one[(begin + 2)..].SequenceEqual(other[(begin + 2)..]);
    }

    // Almost every packet: TCP or UDP right behind the IPv6 header, and its checksum is not the pseudo-header's sum.
    private static bool IsSurelyFinished(ReadOnlySpan<byte> packet)
    {
        const int leastLength = FrameParser.HeaderLength + 20;
        if (packet.Length < leastLength || packet[6] is not (IpProtocol.Tcp or IpProtocol.Udp))
        {
            return false;
        }

        int payload = BinaryPrimitives.ReadUInt16BigEndian(packet[4..]);
        ulong sum = (uint)payload + (uint)packet[6];
        foreach (uint word in MemoryMarshal.Cast<byte, uint>(packet.Slice(8, 2 * IpAddress.Length)))
        {
            sum += BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(word) : word;
        }

        int checksum = FrameParser.HeaderLength + (packet[6] == IpProtocol.Tcp ? 16 : 6);
        return payload != 0 && BinaryPrimitives.ReadUInt16BigEndian(packet[checksum..]) != InternetChecksum.Fold(sum);
    }

    private static bool IsZero(ReadOnlySpan<byte> word) => BinaryPrimitives.ReadUInt16BigEndian(word) is 0 or ushort.MaxValue;
}
