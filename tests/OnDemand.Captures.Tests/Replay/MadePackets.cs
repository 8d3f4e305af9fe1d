using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Puts IPv6 packets together, with checksums summed the slow way.</summary>
internal static class MadePackets
{
    public const string Host = "fd00::1";
    public const string Remote = "2001:db8:9::1";

    public static byte[] Udp(string from, int fromPort, string to, int toPort, int length = 16) => Packet(from, to, 17, Datagram(from, fromPort, to, toPort, length));

    public static byte[] Tcp(string from, int fromPort, string to, int toPort, byte flags, uint sequence = 1, uint acknowledgment = 1, int length = 0)
    {
        byte[] segment = new byte[20 + length];
        BinaryPrimitives.WriteUInt16BigEndian(segment, (ushort)fromPort);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), (ushort)toPort);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(8), acknowledgment);
        segment[12] = 0x50;
        segment[13] = flags;
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(16), Checksum(from, to, 6, segment));
        return Packet(from, to, 6, segment);
    }

    /// <summary>A datagram in fragments, in order.</summary>
    public static IReadOnlyList<byte[]> Fragments(string from, int fromPort, string to, int toPort, uint identification, int pieces)
    {
        const int Piece = 64;
        byte[] datagram = Datagram(from, fromPort, to, toPort, (pieces * Piece) - 8);
        List<byte[]> fragments = [];
        for (int i = 0; i < pieces; i++)
        {
            byte[] payload = new byte[8 + Piece];
            payload[0] = 17;
            BinaryPrimitives.WriteUInt16BigEndian(payload.AsSpan(2), (ushort)((i * Piece) | (i + 1 < pieces ? 1 : 0)));
            BinaryPrimitives.WriteUInt32BigEndian(payload.AsSpan(4), identification);
            datagram.AsSpan(i * Piece, Piece).CopyTo(payload.AsSpan(8));
            fragments.Add(Packet(from, to, 44, payload));
        }

        return fragments;
    }

    public static byte[] Packet(string from, string to, byte nextHeader, byte[] payload)
    {
        byte[] packet = new byte[40 + payload.Length];
        packet[0] = 0x60;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)payload.Length);
        packet[6] = nextHeader;
        packet[7] = 64;
        IpAddress.Parse(from).Write(packet.AsSpan(8));
        IpAddress.Parse(to).Write(packet.AsSpan(24));
        payload.CopyTo(packet, 40);
        return packet;
    }

    /// <summary>Whether the checksum of a whole TCP, UDP or ICMPv6 packet is right.</summary>
    public static bool IsRight(ReadOnlySpan<byte> packet) =>
        Sum(packet[8..40], (uint)packet.Length - 40, packet[6], packet[40..]) == 0xffff;

    /// <summary>The bare sum of the pseudo-header, as offload leaves it.</summary>
    public static ushort Partial(ReadOnlySpan<byte> packet) => (ushort)Sum(packet[8..40], (uint)packet.Length - 40, packet[6], default);

    private static byte[] Datagram(string from, int fromPort, string to, int toPort, int length)
    {
        byte[] datagram = new byte[8 + length];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, (ushort)fromPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(2), (ushort)toPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(4), (ushort)datagram.Length);
        for (int i = 8; i < datagram.Length; i++)
        {
            datagram[i] = (byte)i;
        }

        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(6), Checksum(from, to, 17, datagram));
        return datagram;
    }

    private static ushort Checksum(string from, string to, byte protocol, byte[] upper)
    {
        Span<byte> addresses = stackalloc byte[32];
        IpAddress.Parse(from).Write(addresses);
        IpAddress.Parse(to).Write(addresses[16..]);
        return (ushort)~Sum(addresses, (uint)upper.Length, protocol, upper);
    }

    private static uint Sum(ReadOnlySpan<byte> addresses, uint length, byte protocol, ReadOnlySpan<byte> upper)
    {
        ulong sum = length + (ulong)protocol;
        foreach (int part in (int[])[0, 1])
        {
            ReadOnlySpan<byte> octets = part == 0 ? addresses : upper;
            for (int i = 0; i < octets.Length; i++)
            {
                sum += (ulong)octets[i] << ((i & 1) == 0 ? 8 : 0);
            }
        }

        while (sum >> 16 != 0)
        {
            sum = (sum & 0xffff) + (sum >> 16);
        }

        return (uint)sum;
    }
}
