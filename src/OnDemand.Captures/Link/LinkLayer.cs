using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Link;

/// <summary>Finds the IPv6 header behind the link header of a captured frame, and makes link headers for frames that are added.</summary>
public static class LinkLayer
{
    // Specification constants.
    private const ushort Ipv6EtherType = 0x86DD;
    private const int TagLength = 4;
    private const int EthernetAddressLength = 6;
    private const int EthernetTypeOffset = 12;
    private const int FamilyLength = 4;
    private const int SllProtocolOffset = 14;
    private const int SllAddressLengthOffset = 4;
    private const int SllAddressOffset = 6;
    private const int SllAddressLength = 8;
    private const int Sll2HeaderLength = 20;
    private const int Sll2PacketTypeOffset = 10;
    private const int Sll2AddressLengthOffset = 11;
    private const int Sll2AddressOffset = 12;
    private const byte PacketToUs = 0;
    private const byte PacketFromUs = 4;

    /// <summary>Finds the IPv6 header of a frame that carries IPv6 directly: no tunnel, PPP or MPLS header is stepped over, VLAN tags
    /// are. Reads nothing outside the frame.</summary>
    /// <param name="linkType">The interface's LINKTYPE_ value.</param>
    /// <param name="frame">The captured octets, perhaps cut short.</param>
    /// <param name="networkOffset">Where the IPv6 header begins; 0 when the result is false.</param>
    /// <returns>Whether the link header announces IPv6 and an octet with version 6 follows it. The rest of the IPv6 header may be
    /// missing.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool TryFindIpv6(ushort linkType, ReadOnlySpan<byte> frame, out int networkOffset)
    {
        int offset = linkType switch
        {
            LinkType.Ethernet => StepOverTags(frame, EthernetTypeOffset, oldTags: true),
            LinkType.LinuxSll => StepOverTags(frame, SllProtocolOffset, oldTags: false),
            LinkType.LinuxSll2 => IsIpv6At(frame, 0) ? Sll2HeaderLength : -1,
            LinkType.Null or LinkType.Loop => IsIpv6Family(frame) ? FamilyLength : -1,
            LinkType.Raw or LinkType.Raw12 or LinkType.Raw14 or LinkType.Ipv6 => 0,
            _ => -1,
        };
        bool found = (uint)offset < (uint)frame.Length && frame[offset] >> 4 == 6;
        networkOffset = found ? offset : 0;
        return found;
    }

    /// <summary>Writes the link header of a frame that is to carry an IPv6 packet, after the model of a frame seen on the same
    /// interface.</summary>
    /// <param name="linkType">The interface's LINKTYPE_ value.</param>
    /// <param name="templateFrame">A frame of that interface that carries IPv6.</param>
    /// <param name="templateNetworkOffset">Where its IPv6 header begins, as <see cref="TryFindIpv6"/> says: the length of the
    /// header.</param>
    /// <param name="reverse">Whether the new frame goes the other way: Ethernet addresses change places; a Linux "cooked" header changes
    /// between received and sent and loses the sender's address, since the other end's is not known.</param>
    /// <param name="destination">Room for at least <paramref name="templateNetworkOffset"/> octets.</param>
    /// <returns>The length of the header: <paramref name="templateNetworkOffset"/>.</returns>
    /// <exception cref="ArgumentException">The offset is outside the frame, is no offset this link type can have, or the destination is
    /// too short.</exception>
    public static int WriteHeader(
        ushort linkType,
        ReadOnlySpan<byte> templateFrame,
        int templateNetworkOffset,
        bool reverse,
        Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)templateNetworkOffset, (uint)templateFrame.Length);
        ArgumentOutOfRangeException.ThrowIfLessThan(templateNetworkOffset, ShortestHeader(linkType));
        ReadOnlySpan<byte> template = templateFrame[..templateNetworkOffset];
        template.CopyTo(destination);
        if (!reverse)
        {
            return template.Length;
        }

        switch (linkType)
        {
            case LinkType.Ethernet:
                template.Slice(EthernetAddressLength, EthernetAddressLength).CopyTo(destination);
                template[..EthernetAddressLength].CopyTo(destination[EthernetAddressLength..]);
                break;
            case LinkType.LinuxSll:
                BinaryPrimitives.WriteUInt16BigEndian(destination, Turn(BinaryPrimitives.ReadUInt16BigEndian(template)));
                destination.Slice(SllAddressLengthOffset, 2).Clear();
                destination.Slice(SllAddressOffset, SllAddressLength).Clear();
                break;
            case LinkType.LinuxSll2:
                destination[Sll2PacketTypeOffset] = Turn(template[Sll2PacketTypeOffset]);
                destination[Sll2AddressLengthOffset] = 0;
                destination[Sll2AddressOffset..Sll2HeaderLength].Clear();
                break;
            default:
                break;   // no direction in these headers
        }

        return template.Length;
    }

    // Any number of tags; each is two octets of tag and the type of what follows. IEEE 802.1Q and 802.1ad name two types; Ethernet also
    // sees those in use before 802.1ad was there, which no kernel puts into a "cooked" header.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int StepOverTags(ReadOnlySpan<byte> frame, int typeOffset, bool oldTags)
    {
        int offset = typeOffset;
        while (offset + 2 <= frame.Length)
        {
            ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[offset..]);
            bool isTag = type is 0x8100 or 0x88A8 || (oldTags && type is (0x9100 or 0x9200 or 0x9300));
            if (!isTag)
            {
                return type == Ipv6EtherType ? offset + 2 : -1;
            }

            offset += TagLength;
        }

        return -1;
    }

    private static bool IsIpv6At(ReadOnlySpan<byte> frame, int offset) =>
        frame.Length >= offset + 2 && BinaryPrimitives.ReadUInt16BigEndian(frame[offset..]) == Ipv6EtherType;

    // AF_INET6 differs from system to system: Linux 10, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30.
    private static bool IsIpv6Family(ReadOnlySpan<byte> frame) =>
        frame.Length >= FamilyLength
        && (IsIpv6Family(BinaryPrimitives.ReadUInt32LittleEndian(frame)) || IsIpv6Family(BinaryPrimitives.ReadUInt32BigEndian(frame)));

    private static bool IsIpv6Family(uint family) => family is 10 or 24 or 28 or 30;

    private static int ShortestHeader(ushort linkType) => linkType switch
    {
        LinkType.Ethernet => EthernetTypeOffset + 2,
        LinkType.LinuxSll => SllProtocolOffset + 2,
        LinkType.LinuxSll2 => Sll2HeaderLength,
        LinkType.Null or LinkType.Loop => FamilyLength,
        _ => 0,
    };

    private static byte Turn(ushort packetType) => packetType == PacketFromUs ? PacketToUs : PacketFromUs;
}
