using System.Buffers.Binary;
using System.Net;
using OnDemand.Dataplane.Wire;

namespace OnDemand.LabTests;

/// <summary>Whole IPv6 packets, made by hand octet by octet, so that the same can be sent twice.</summary>
internal sealed class RawPackets(IPAddress source, IPAddress destination, byte hopLimit)
{
    private const byte Tcp = 6;
    private const byte Udp = 17;
    private const byte Icmpv6 = 58;
    private const byte DestinationOptions = 60;
    private const int HeaderLength = 40;

    /// <summary>The traffic class and the flow label of what is made next.</summary>
    public uint Marks { get; set; }

    public byte[] OfUdp(ushort from, ushort to, ReadOnlySpan<byte> payload, bool withOptions = false)
    {
        byte[] datagram = new byte[8 + payload.Length];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, from);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(2), to);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(4), (ushort)datagram.Length);
        payload.CopyTo(datagram.AsSpan(8));
        ushort checksum = Checksum(source, destination, Udp, datagram);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(6), checksum == 0 ? ushort.MaxValue : checksum);

        // One header of options that holds a PadN option of six octets.
        return withOptions ? Packet(DestinationOptions, [Udp, 0, 1, 4, 0, 0, 0, 0, .. datagram]) : Packet(Udp, datagram);
    }

    public byte[] OfSyn(ushort from, ushort to, uint sequence)
    {
        // MSS 1440, SACK permitted, timestamps, window scale 7.
        ReadOnlySpan<byte> options = [2, 4, 5, 160, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];
        byte[] segment = new byte[20 + options.Length];
        BinaryPrimitives.WriteUInt16BigEndian(segment, from);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), to);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(4), sequence);
        segment[12] = (byte)(segment.Length / 4 << 4);
        segment[13] = 2;
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(14), 64800);
        options.CopyTo(segment.AsSpan(20));
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(16), Checksum(source, destination, Tcp, segment));
        return Packet(Tcp, segment);
    }

    public byte[] OfEcho(ushort identifier, ushort sequence, ReadOnlySpan<byte> payload) =>
        OfIcmp(128, 0, (uint)((identifier << 16) | sequence), payload);

    /// <summary>Port unreachable, about a packet that came.</summary>
    public byte[] OfPortUnreachable(ReadOnlySpan<byte> about) => OfIcmp(1, 4, 0, about);

    /// <summary>The word to append to a payload so that the checksum of the datagram, sent from another address, is zero.</summary>
    public static ushort WordForZero(IPAddress from, IPAddress to, ReadOnlySpan<byte> datagramWithoutChecksum) =>
        Checksum(from, to, Udp, datagramWithoutChecksum);

    private byte[] OfIcmp(byte type, byte code, uint rest, ReadOnlySpan<byte> payload)
    {
        byte[] message = new byte[8 + payload.Length];
        message[0] = type;
        message[1] = code;
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(4), rest);
        payload.CopyTo(message.AsSpan(8));
        BinaryPrimitives.WriteUInt16BigEndian(message.AsSpan(2), Checksum(source, destination, Icmpv6, message));
        return Packet(Icmpv6, message);
    }

    private byte[] Packet(byte next, ReadOnlySpan<byte> rest)
    {
        byte[] packet = new byte[HeaderLength + rest.Length];
        BinaryPrimitives.WriteUInt32BigEndian(packet, 0x6000_0000 | (Marks & 0x0fff_ffff));
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)rest.Length);
        packet[6] = next;
        packet[7] = hopLimit;
        source.GetAddressBytes().CopyTo(packet, 8);
        destination.GetAddressBytes().CopyTo(packet, 24);
        rest.CopyTo(packet.AsSpan(HeaderLength));
        return packet;
    }

    // RFC 8200 §8.1; over the octets themselves, pseudo-header first.
    private static ushort Checksum(IPAddress from, IPAddress to, byte protocol, ReadOnlySpan<byte> octets)
    {
        byte[] length = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, octets.Length);
        return (ushort)~InternetChecksum.Sum([.. from.GetAddressBytes(), .. to.GetAddressBytes(), .. length, 0, 0, 0, protocol, .. octets]);
    }
}
