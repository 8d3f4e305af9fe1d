using System.Buffers.Binary;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>What a device does with what is left undone in a frame: cuts superpackets of IPv6 and finishes checksums, the slow way.</summary>
internal static class Segmenter
{
    private const byte Cwr = 0x80;
    private const byte Last = 0x09;                  // FIN and PSH

    /// <summary>Finishes a frame.</summary>
    /// <param name="whole">The frame behind its virtio-net header.</param>
    /// <returns>The frames that leave the device.</returns>
    public static List<byte[]> Finish(byte[] whole)
    {
        var header = VirtioNetHeader.Read(whole);
        byte[] frame = whole[VirtioNetHeader.Length..];
        if (header.IsSuperpacket)
        {
            Assert.Equal(1, header.Flags);
            Assert.Equal(14 + 40, header.ChecksumStart);
            Assert.Equal(frame.Length - 14 - 40, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(14 + 4)));
            Assert.Equal(TestFrames.PseudoHeaderSum(frame), BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(14 + TestFrames.ChecksumAt(frame[20]))));
            return header.SegmentationType == 4 ? [.. CutTcp(frame, header)] : [.. CutUdp(frame, header)];
        }

        if (header.HasPartialChecksum)
        {
            FinishChecksum(frame, header.ChecksumStart, header.ChecksumOffset);
        }

        return [frame];
    }

    private static IEnumerable<byte[]> CutTcp(byte[] frame, VirtioNetHeader header)
    {
        int start = header.ChecksumStart + (frame[header.ChecksumStart + 12] >> 4 << 2);
        Assert.Equal((6, 16, start), (frame[20], header.ChecksumOffset, header.HeaderLength));
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(header.ChecksumStart + 4));
        for (int at = start; at < frame.Length; at += header.SegmentSize)
        {
            byte[] payload = frame[at..Math.Min(at + header.SegmentSize, frame.Length)];
            byte[] segment = [.. frame[..start], .. payload];
            BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(header.ChecksumStart + 4), sequence + (uint)(at - start));
            ref byte flags = ref segment[header.ChecksumStart + 13];
            flags &= (byte)~(at > start ? Cwr : 0);
            flags &= (byte)~(at + header.SegmentSize < frame.Length ? Last : 0);
            yield return Sum(segment, header);
        }
    }

    private static IEnumerable<byte[]> CutUdp(byte[] frame, VirtioNetHeader header)
    {
        int start = header.ChecksumStart + 8;
        Assert.Equal((17, 6, 5), (frame[20], header.ChecksumOffset, header.SegmentationType));
        Assert.Equal(frame.Length - header.ChecksumStart, BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(header.ChecksumStart + 4)));
        for (int at = start; at < frame.Length; at += header.SegmentSize)
        {
            byte[] payload = frame[at..Math.Min(at + header.SegmentSize, frame.Length)];
            byte[] datagram = [.. frame[..start], .. payload];
            BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(header.ChecksumStart + 4), (ushort)(8 + payload.Length));
            yield return Sum(datagram, header);
        }
    }

    private static byte[] Sum(byte[] frame, VirtioNetHeader header)
    {
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14 + 4), (ushort)(frame.Length - 14 - 40));
        Span<byte> checksum = frame.AsSpan(header.ChecksumStart + header.ChecksumOffset);
        BinaryPrimitives.WriteUInt16BigEndian(checksum, TestFrames.PseudoHeaderSum(frame));
        FinishChecksum(frame, header.ChecksumStart, header.ChecksumOffset);
        Assert.True(TestFrames.HasRightChecksum(frame));
        return frame;
    }

    private static void FinishChecksum(byte[] frame, int start, int offset)
    {
        uint sum = 0;
        for (int i = start; i < frame.Length; i++)
        {
            sum += ((i - start) & 1) == 0 ? (uint)frame[i] << 8 : frame[i];
            sum = (sum >> 16) + (sum & 0xffff);
        }

        ushort checksum = (ushort)~((sum >> 16) + (sum & 0xffff));
        bool isUdp = offset == 6;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(start + offset), isUdp && checksum == 0 ? ushort.MaxValue : checksum);
    }
}
