using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>Builds the frames of the tests from scratch: nothing of the engine's own packet code is used.</summary>
internal static class Frames
{
    public static readonly IpAddress Host = IpAddress.Parse("fd00:db8::1");
    public static readonly IpAddress OtherHost = IpAddress.Parse("fd00:db8::2");
    public static readonly IpAddress Server = IpAddress.Parse("2001:db8:c::1");
    public static readonly IpAddress OtherServer = IpAddress.Parse("2001:db8:d::1");

    public static byte[] Payload(int length, int seed = 1)
    {
        byte[] payload = new byte[length];
        new Random(seed).NextBytes(payload);
        return payload;
    }

    public static TestFrame Tcp(
        IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort,
        TcpControl flags = TcpControl.Ack, uint sequence = 1000, uint acknowledgment = 2000, int payload = 0)
    {
        byte[] upper = new byte[20 + payload];
        WritePorts(upper, sourcePort, destinationPort);
        BinaryPrimitives.WriteUInt32BigEndian(upper.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(upper.AsSpan(8), flags.HasFlag(TcpControl.Ack) ? acknowledgment : 0);
        upper[12] = 5 << 4;
        upper[13] = (byte)flags;
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(14), 0x7210);
        Payload(payload).CopyTo(upper, 20);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Tcp, Upper = upper };
    }

    public static TestFrame Udp(IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, int payload = 12,
        int seed = 1)
    {
        byte[] upper = new byte[8 + payload];
        WritePorts(upper, sourcePort, destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(4), (ushort)(upper.Length > ushort.MaxValue ? 0 : upper.Length));
        Payload(payload, seed).CopyTo(upper, 8);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Udp, Upper = upper };
    }

    /// <summary>UDP-Lite; a coverage of 0 is the whole datagram (RFC 3828 §3.1).</summary>
    public static TestFrame UdpLite(
        IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, ushort coverage = 8, int payload = 12)
    {
        byte[] upper = new byte[8 + payload];
        WritePorts(upper, sourcePort, destinationPort);
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(4), coverage);
        Payload(payload).CopyTo(upper, 8);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.UdpLite, Upper = upper };
    }

    /// <summary>A DCCP-Data packet with its short header (RFC 4340 §5.1).</summary>
    public static TestFrame Dccp(
        IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, byte coverage = 0, int payload = 12)
    {
        byte[] upper = new byte[12 + payload];
        WritePorts(upper, sourcePort, destinationPort);
        upper[4] = 3;
        upper[5] = coverage;
        upper[8] = 2 << 1;
        Payload(payload).CopyTo(upper, 12);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Dccp, Upper = upper };
    }

    /// <summary>SCTP with a DATA chunk; its CRC-32c does not cover the addresses and is left alone (RFC 9260 §6.8).</summary>
    public static TestFrame Sctp(IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort, int payload = 12)
    {
        byte[] upper = new byte[12 + payload];
        WritePorts(upper, sourcePort, destinationPort);
        BinaryPrimitives.WriteUInt32BigEndian(upper.AsSpan(4), 0x01020304);
        BinaryPrimitives.WriteUInt32BigEndian(upper.AsSpan(8), 0xdeadbeef);
        Payload(payload).CopyTo(upper, 12);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Sctp, Upper = upper };
    }

    public static TestFrame Echo(IpAddress source, IpAddress destination, ushort identifier, bool reply = false, int payload = 16)
    {
        byte[] upper = new byte[8 + payload];
        upper[0] = (byte)(reply ? 129 : 128);
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(4), identifier);
        upper[7] = 1;
        Payload(payload).CopyTo(upper, 8);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Icmpv6, Upper = upper };
    }

    /// <summary>Any other ICMPv6 message.</summary>
    public static TestFrame Icmpv6(IpAddress source, IpAddress destination, byte type, byte code = 0, int payload = 16)
    {
        byte[] upper = new byte[8 + payload];
        upper[0] = type;
        upper[1] = code;
        Payload(payload).CopyTo(upper, 8);
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Icmpv6, Upper = upper };
    }

    /// <summary>An ICMPv6 error that quotes a packet (without link header), or its beginning.</summary>
    public static TestFrame Error(IpAddress source, IpAddress destination, byte type, byte code, ReadOnlySpan<byte> quoted, uint field = 0)
    {
        byte[] upper = new byte[8 + quoted.Length];
        upper[0] = type;
        upper[1] = code;
        BinaryPrimitives.WriteUInt32BigEndian(upper.AsSpan(4), field);
        quoted.CopyTo(upper.AsSpan(8));
        return new TestFrame { Source = source, Destination = destination, Protocol = IpProtocol.Icmpv6, Upper = upper };
    }

    /// <summary>A protocol about which nothing is known, or ESP.</summary>
    public static TestFrame Other(IpAddress source, IpAddress destination, byte protocol, int payload = 24) =>
        new() { Source = source, Destination = destination, Protocol = protocol, Upper = Payload(payload, protocol) };

    /// <summary>A Binding Update (RFC 6275 §6.1.7), which speaks about addresses.</summary>
    public static TestFrame Mobility(IpAddress source, IpAddress destination) => new()
    {
        Source = source,
        Destination = destination,
        Protocol = IpProtocol.Mobility,
        Upper = [IpProtocol.NoNextHeader, 1, 5, 0, 0, 0, 0, 1, 0x80, 0, 0, 60, 1, 2, 0, 0],
    };

    public static ExtensionHeader HopByHop() => new(IpProtocol.HopByHop, [0, 0, 5, 2, 0, 0, 1, 0]);

    public static ExtensionHeader DestinationOptions(int units = 1)
    {
        byte[] octets = new byte[units * 8];
        octets[1] = (byte)(units - 1);
        octets[2] = 1;                                   // PadN
        octets[3] = (byte)(octets.Length - 4);
        return new ExtensionHeader(IpProtocol.DestinationOptions, octets);
    }

    /// <summary>A Home Address option (RFC 6275 §6.3): the pseudo-header has this address as source.</summary>
    public static ExtensionHeader HomeAddress(IpAddress home)
    {
        byte[] octets = new byte[24];
        octets[1] = 2;
        octets[2] = 1;
        octets[3] = 2;
        octets[6] = 0xc9;
        octets[7] = 16;
        home.Write(octets.AsSpan(8));
        return new ExtensionHeader(IpProtocol.DestinationOptions, octets);
    }

    /// <summary>A Routing header of type 0 or 2 with one address.</summary>
    public static ExtensionHeader Routing(IpAddress address, byte segmentsLeft, byte type = 2)
    {
        byte[] octets = new byte[24];
        octets[1] = 2;
        octets[2] = type;
        octets[3] = segmentsLeft;
        address.Write(octets.AsSpan(8));
        return new ExtensionHeader(IpProtocol.Routing, octets);
    }

    /// <summary>A Segment Routing header (RFC 8754 §2): the segment list is in reverse, so the first entry is the last segment.</summary>
    public static ExtensionHeader SegmentRouting(byte segmentsLeft, params IpAddress[] segments)
    {
        byte[] octets = new byte[8 + (segments.Length * 16)];
        octets[1] = (byte)(segments.Length * 2);
        octets[2] = 4;
        octets[3] = segmentsLeft;
        octets[4] = (byte)(segments.Length - 1);
        for (int index = 0; index < segments.Length; index++)
        {
            segments[index].Write(octets.AsSpan(8 + (index * 16)));
        }

        return new ExtensionHeader(IpProtocol.Routing, octets);
    }

    /// <summary>A Fragment header with neither offset nor more (RFC 6946).</summary>
    public static ExtensionHeader AtomicFragment(uint identification = 77)
    {
        byte[] octets = new byte[8];
        BinaryPrimitives.WriteUInt32BigEndian(octets.AsSpan(4), identification);
        return new ExtensionHeader(IpProtocol.Fragment, octets);
    }

    public static ExtensionHeader Authentication()
    {
        byte[] octets = new byte[24];
        octets[1] = 4;
        octets[7] = 1;
        return new ExtensionHeader(IpProtocol.AuthenticationHeader, octets);
    }

    /// <summary>The option of a jumbogram (RFC 2675 §2).</summary>
    public static ExtensionHeader Jumbo(int payloadLength)
    {
        byte[] octets = [0, 0, 0xc2, 4, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32BigEndian(octets.AsSpan(4), (uint)payloadLength);
        return new ExtensionHeader(IpProtocol.HopByHop, octets);
    }

    private static void WritePorts(byte[] upper, ushort source, ushort destination)
    {
        BinaryPrimitives.WriteUInt16BigEndian(upper, source);
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(2), destination);
    }
}
