using System.Buffers.Binary;

namespace OnDemand.Dataplane.Wire;

/// <summary>Ethernet with any number of 802.1Q and 802.1ad tags: where the IPv6 header begins.</summary>
public static class EthernetFrame
{
    /// <summary>Octets of an untagged header.</summary>
    public const int HeaderLength = 14;

    private const ushort Ipv6EtherType = 0x86dd;

    /// <summary>Finds the IPv6 header.</summary>
    /// <param name="frame">The frame from its destination address on.</param>
    /// <returns>The header's offset in octets, or -1 if the frame does not carry IPv6 directly.</returns>
    public static int FindIpv6(ReadOnlySpan<byte> frame)
    {
        if (frame.Length < HeaderLength)
        {
            return -1;
        }

        ushort type = BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
        return type == Ipv6EtherType ? HeaderLength : FindBehindTags(frame, type);
    }

    private static int FindBehindTags(ReadOnlySpan<byte> frame, ushort type)
    {
        int offset = HeaderLength;
        while (IsTag(type) && offset + 4 <= frame.Length)
        {
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[(offset + 2)..]);
            offset += 4;
        }

        return type == Ipv6EtherType ? offset : -1;
    }

    // 802.1Q, 802.1ad, and the three values that equipment used for stacked tags before 802.1ad.
    private static bool IsTag(ushort type) => type is 0x8100 or 0x88a8 or 0x9100 or 0x9200 or 0x9300;
}
