using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>The Internet checksum (RFC 1071) one word at a time, for checking those of the engine: slow, and plainly right.</summary>
internal static class NaiveChecksum
{
    /// <summary>Where an upper-layer protocol that sums a pseudo-header has its checksum; -1 for others.</summary>
    public static int FieldOf(byte protocol) => protocol switch
    {
        IpProtocol.Tcp => 16,
        IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Dccp => 6,
        IpProtocol.Icmpv6 => 2,
        _ => -1,
    };

    /// <summary>The folded one's-complement sum.</summary>
    public static int Sum(ReadOnlySpan<byte> octets)
    {
        long sum = 0;
        for (int index = 0; index < octets.Length; index++)
        {
            sum += index % 2 == 0 ? octets[index] << 8 : octets[index];
        }

        return Fold(sum);
    }

    public static int Fold(long sum)
    {
        while (sum > 0xffff)
        {
            sum = (sum & 0xffff) + (sum >> 16);
        }

        return (int)sum;
    }

    /// <summary>The sum of the pseudo-header (RFC 8200 §8.1).</summary>
    public static int PseudoHeader(IpAddress source, IpAddress destination, long length, byte protocol)
    {
        byte[] header = new byte[40];
        source.Write(header);
        destination.Write(header.AsSpan(16));
        for (int index = 0; index < 4; index++)
        {
            header[32 + index] = (byte)(length >> (24 - (index * 8)));
        }

        header[39] = protocol;
        return Sum(header);
    }

    /// <summary>How much of the upper layer its checksum covers (RFC 3828 §3.1; RFC 4340 §9.2).</summary>
    public static int Covered(byte protocol, ReadOnlySpan<byte> upper)
    {
        if (protocol == IpProtocol.UdpLite)
        {
            int coverage = (upper[4] << 8) | upper[5];
            return coverage == 0 ? upper.Length : Math.Min(coverage, upper.Length);
        }

        if (protocol == IpProtocol.Dccp)
        {
            int coverage = upper[5] & 15;
            return coverage == 0 ? upper.Length : Math.Min((upper[4] * 4) + ((coverage - 1) * 4), upper.Length);
        }

        return upper.Length;
    }

    /// <summary>The checksum that an upper layer must have, whatever stands in its field.</summary>
    public static int Right(IpAddress source, IpAddress destination, byte protocol, ReadOnlySpan<byte> upper)
    {
        byte[] copy = upper[..Covered(protocol, upper)].ToArray();
        int field = FieldOf(protocol);
        copy[field] = 0;
        copy[field + 1] = 0;
        int sum = Fold(Sum(copy) + (long)PseudoHeader(source, destination, upper.Length, protocol));
        int checksum = ~sum & 0xffff;
        return checksum == 0 && protocol is IpProtocol.Udp or IpProtocol.UdpLite ? 0xffff : checksum;
    }

    /// <summary>The field of an upper layer.</summary>
    public static int Read(ReadOnlySpan<byte> upper, byte protocol)
    {
        int field = FieldOf(protocol);
        return (upper[field] << 8) | upper[field + 1];
    }
}
