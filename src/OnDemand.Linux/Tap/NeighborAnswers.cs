using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Tap;

/// <summary>
/// Answers neighbor solicitations on a TAP whose interface does neighbor discovery (RFC 4861 §7.2). To the kernel every destination that
/// is routed into the TAP is a neighbor there; all of them live at the other end's one hardware address.
/// </summary>
internal static class NeighborAnswers
{
    /// <summary>Octets of an answer with its Ethernet header.</summary>
    public const int Length = NetworkOffset + Ipv6HeaderLength + MessageLength;

    private const int NetworkOffset = EthernetFrame.HeaderLength;
    private const int Ipv6HeaderLength = 40;
    private const int MessageLength = 32;            // with the target link-layer address option
    private const int SolicitationLength = 24;       // without options
    private const byte Icmpv6 = 58;
    private const byte Solicitation = 135;
    private const byte Advertisement = 136;
    private const byte HopLimit = 255;               // RFC 4861 §7.1: proves that no router forwarded it
    private const byte TargetLinkLayerAddress = 2;
    private const uint SolicitedOverride = 0x6000_0000;

    /// <summary>Answers a solicitation.</summary>
    /// <param name="frame">A frame from the TAP.</param>
    /// <param name="host">The TAP's own address.</param>
    /// <param name="answer">At least <see cref="Length"/> octets.</param>
    /// <returns>
    /// Whether the frame was a solicitation to be answered. One without source asks whether an address is taken (RFC 4862 §5.4.3): it is
    /// not. Nobody has a link-local address at the other end.
    /// </returns>
    public static bool TryAnswer(ReadOnlySpan<byte> frame, MacAddress host, Span<byte> answer)
    {
        if (frame.Length < NetworkOffset + Ipv6HeaderLength + SolicitationLength || EthernetFrame.FindIpv6(frame) != NetworkOffset)
        {
            return false;
        }

        ReadOnlySpan<byte> packet = frame[NetworkOffset..];
        ReadOnlySpan<byte> message = packet[Ipv6HeaderLength..];
        IpAddress source = IpAddress.Read(packet[8..]);
        IpAddress target = IpAddress.Read(message[8..]);
        if (packet[0] >> 4 != 6 || packet[6] != Icmpv6 || packet[7] != HopLimit || message[0] != Solicitation || message[1] != 0
            || source.IsUnspecified || source.IsMulticast || target.IsMulticast || target.IsLinkLocal)
        {
            return false;
        }

        Write(answer, source, target, host);
        return true;
    }

    private static void Write(Span<byte> answer, IpAddress asker, IpAddress target, MacAddress host)
    {
        answer[..Length].Clear();
        host.Write(answer);
        host.OtherEnd.Write(answer[MacAddress.Length..]);
        BinaryPrimitives.WriteUInt16BigEndian(answer[12..], 0x86dd);
        Span<byte> packet = answer[NetworkOffset..];
        packet[0] = 6 << 4;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], MessageLength);
        packet[6] = Icmpv6;
        packet[7] = HopLimit;
        target.Write(packet[8..]);
        asker.Write(packet[24..]);
        Span<byte> message = packet.Slice(Ipv6HeaderLength, MessageLength);
        message[0] = Advertisement;
        BinaryPrimitives.WriteUInt32BigEndian(message[4..], SolicitedOverride);
        target.Write(message[8..]);
        message[24] = TargetLinkLayerAddress;
        message[25] = 1;                             // in units of eight octets
        host.OtherEnd.Write(message[26..]);
        uint sum = InternetChecksum.PseudoHeaderSum(target, asker, MessageLength, Icmpv6);
        BinaryPrimitives.WriteUInt16BigEndian(message[2..], (ushort)~InternetChecksum.Fold((ulong)sum + InternetChecksum.Sum(message)));
    }
}
