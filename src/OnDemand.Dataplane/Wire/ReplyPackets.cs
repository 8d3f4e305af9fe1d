using System.Buffers.Binary;

namespace OnDemand.Dataplane.Wire;

/// <summary>The packets that the engine makes itself; all are IPv6 packets without link header.</summary>
public static class ReplyPackets
{
    /// <summary>Octets of a RST.</summary>
    public const int ResetLength = FrameParser.HeaderLength + 20;

    /// <summary>An ICMPv6 error is never longer than the minimum IPv6 MTU (RFC 4443 §2.4 (c)).</summary>
    public const int MaximumErrorLength = 1280;

    /// <summary>ICMPv6 destination unreachable (RFC 4443 §3.1).</summary>
    public const byte DestinationUnreachable = 1;

    /// <summary>Communication with destination administratively prohibited.</summary>
    public const byte AdministrativelyProhibited = 1;

    /// <summary>Source address failed ingress/egress policy.</summary>
    public const byte SourceFailedPolicy = 5;

    private const byte HopLimit = 64;
    private const byte Reset = 0x04;
    private const byte Acknowledgment = 0x10;

    /// <summary>
    /// A RST as the remote would send it. The host accepts it because its sequence number is exactly the host's RCV.NXT (RFC 5961 §3.2);
    /// in SYN-SENT because it acknowledges the SYN (RFC 9293 §3.10.7.3).
    /// </summary>
    /// <param name="packet">At least <see cref="ResetLength"/> octets.</param>
    /// <param name="remote">The remote address, which becomes the source.</param>
    /// <param name="host">The host's internal address.</param>
    /// <param name="remotePort">The remote port.</param>
    /// <param name="localPort">The local port.</param>
    /// <param name="sequence">The host's RCV.NXT.</param>
    /// <param name="acknowledgment">The host's SND.NXT.</param>
    /// <returns>The packet's length.</returns>
    public static int WriteReset(
        Span<byte> packet, IpAddress remote, IpAddress host, ushort remotePort, ushort localPort, uint sequence, uint acknowledgment)
    {
        Span<byte> segment = WriteHeader(packet, 20, IpProtocol.Tcp, remote, host);
        segment.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(segment, remotePort);
        BinaryPrimitives.WriteUInt16BigEndian(segment[2..], localPort);
        BinaryPrimitives.WriteUInt32BigEndian(segment[4..], sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment[8..], acknowledgment);
        segment[12] = 5 << 4;
        segment[13] = Reset | Acknowledgment;
        Finish(segment, 16, IpProtocol.Tcp, remote, host);
        return ResetLength;
    }

    /// <summary>An ICMPv6 destination unreachable that quotes as much of the packet as fits (RFC 4443 §3.1).</summary>
    /// <param name="packet">At least <see cref="MaximumErrorLength"/> octets.</param>
    /// <param name="source">The error's source address.</param>
    /// <param name="code">Its code.</param>
    /// <param name="offender">The packet it is about, from its IPv6 header on; its source is the error's destination.</param>
    /// <returns>The packet's length.</returns>
    public static int WriteUnreachable(Span<byte> packet, IpAddress source, byte code, ReadOnlySpan<byte> offender)
    {
        IpAddress destination = IpAddress.Read(offender[8..]);
        int quoted = Math.Min(offender.Length, MaximumErrorLength - FrameParser.HeaderLength - 8);
        Span<byte> message = WriteHeader(packet, 8 + quoted, IpProtocol.Icmpv6, source, destination);
        message[..8].Clear();
        message[0] = DestinationUnreachable;
        message[1] = code;
        offender[..quoted].CopyTo(message[8..]);
        Finish(message, 2, IpProtocol.Icmpv6, source, destination);
        return FrameParser.HeaderLength + 8 + quoted;
    }

    private static Span<byte> WriteHeader(Span<byte> packet, int payload, byte protocol, IpAddress source, IpAddress destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(packet, 0x6000_0000);
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], (ushort)payload);
        packet[6] = protocol;
        packet[7] = HopLimit;
        source.Write(packet[8..]);
        destination.Write(packet[24..]);
        return packet.Slice(FrameParser.HeaderLength, payload);
    }

    private static void Finish(Span<byte> message, int checksumAt, byte protocol, IpAddress source, IpAddress destination)
    {
        uint sum = InternetChecksum.PseudoHeaderSum(source, destination, (uint)message.Length, protocol);
        sum += InternetChecksum.Sum(message);
        BinaryPrimitives.WriteUInt16BigEndian(message[checksumAt..], (ushort)~InternetChecksum.Fold(sum));
    }
}
