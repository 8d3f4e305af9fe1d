using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Ethernet frames with IPv6 in them, made and checked the slow way.</summary>
internal static class TestFrames
{
    public const byte Syn = 2;
    public const byte Ack = 16;

    public static byte[] Udp(string source, string destination, ushort from, ushort to, byte[] payload)
    {
        byte[] datagram = new byte[8 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, from);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(2), to);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(4), (ushort)datagram.Length);
        payload.CopyTo(datagram, 8);
        return Ipv6(IpAddress.Parse(source), IpAddress.Parse(destination), 17, datagram);
    }

    public static byte[] Tcp(
        string source, string destination, ushort from, ushort to, byte flags, uint sequence, uint acknowledgment, int payload = 0)
    {
        byte[] segment = new byte[20 + payload];
        BinaryPrimitives.WriteUInt16BigEndian(segment, from);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), to);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(8), acknowledgment);
        segment[12] = 5 << 4;
        segment[13] = flags;
        return Ipv6(IpAddress.Parse(source), IpAddress.Parse(destination), 6, segment);
    }

    public static byte[] Ipv6(IpAddress source, IpAddress destination, byte protocol, byte[] payload, byte hopLimit = 64)
    {
        byte[] frame = new byte[14 + 40 + payload.Length];
        frame[12] = 0x86;
        frame[13] = 0xdd;
        Span<byte> packet = frame.AsSpan(14);
        packet[0] = 6 << 4;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)payload.Length);
        packet[6] = protocol;
        packet[7] = hopLimit;
        source.Write(packet[8..]);
        destination.Write(packet[24..]);
        payload.CopyTo(packet[40..]);
        int at = ChecksumAt(protocol);
        BinaryPrimitives.WriteUInt16BigEndian(packet[at..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(packet[at..], (ushort)~SumOf(packet));
        return frame;
    }

    public static IpAddress SourceOf(ReadOnlySpan<byte> frame) => IpAddress.Read(frame[(14 + 8)..]);

    public static IpAddress DestinationOf(ReadOnlySpan<byte> frame) => IpAddress.Read(frame[(14 + 24)..]);

    /// <summary>Whether a finished checksum is right: everything it covers sums to all ones.</summary>
    public static bool HasRightChecksum(ReadOnlySpan<byte> frame) => SumOf(frame[14..]) == 0xffff;

    /// <summary>The pseudo-header's sum, as a partial checksum has it.</summary>
    public static ushort PseudoHeaderSum(ReadOnlySpan<byte> frame)
    {
        ReadOnlySpan<byte> packet = frame[14..];
        return Fold(Add(packet[8..40], (uint)(packet.Length - 40) + packet[6]));
    }

    public static int ChecksumAt(byte protocol) => 40 + (protocol switch { 6 => 16, 17 => 6, _ => 2 });

    private static ushort SumOf(ReadOnlySpan<byte> packet) => Fold(Add(packet[8..], (uint)(packet.Length - 40) + packet[6]));

    private static uint Add(ReadOnlySpan<byte> octets, uint sum)
    {
        for (int i = 0; i < octets.Length; i++)
        {
            sum += (i & 1) == 0 ? (uint)octets[i] << 8 : octets[i];
            sum = (sum >> 16) + (sum & 0xffff);
        }

        return sum;
    }

    private static ushort Fold(uint sum) => (ushort)((sum >> 16) + (sum & 0xffff));
}
