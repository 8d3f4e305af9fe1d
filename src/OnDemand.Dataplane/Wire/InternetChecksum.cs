using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace OnDemand.Dataplane.Wire;

/// <summary>
/// The Internet checksum (RFC 1071) and its incremental update (RFC 1624). A <em>difference</em> is the folded one's-complement sum of
/// what is added less what is taken away; one is computed when an address pair is made, and each packet needs one addition.
/// </summary>
public static class InternetChecksum
{
    private const int LeastForVectors = 32;   // words; what is shorter is summed up before vectors are set up

    /// <summary>The sum of octets as big-endian 16-bit words, folded; an odd last octet is padded with zero (RFC 1071 §1).</summary>
    /// <param name="octets">The octets.</param>
    /// <returns>The sum, not complemented.</returns>
    public static ushort Sum(ReadOnlySpan<byte> octets)
    {
        // One's-complement addition does not mind the byte order (RFC 1071 §2B), so words are added as the machine reads them
        // and the sum is turned at the end.
        ReadOnlySpan<uint> words = MemoryMarshal.Cast<byte, uint>(octets);
        ulong sum = 0;
        if (Vector256.IsHardwareAccelerated && words.Length >= LeastForVectors)
        {
            Vector256<ulong> even = default;
            Vector256<ulong> odd = default;
            for (; words.Length >= Vector256<uint>.Count; words = words[Vector256<uint>.Count..])
            {
                Vector256<ulong> pairs = Vector256.Create(words).AsUInt64();
                even += pairs & Vector256.Create(0xffff_fffful);
                odd += pairs >>> 32;
            }

            sum = Vector256.Sum(even + odd);   // 2^33 words fit, more than a span has
        }

        foreach (uint word in words)
        {
            sum += word;
        }

        ReadOnlySpan<byte> rest = octets[(octets.Length & ~3)..];
        if (rest.Length >= 2)
        {
            sum += MemoryMarshal.Read<ushort>(rest);
        }

        if ((rest.Length & 1) != 0)
        {
            sum += BitConverter.IsLittleEndian ? rest[^1] : (uint)rest[^1] << 8;
        }

        ushort folded = Fold(sum);
        return BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(folded) : folded;
    }

    /// <summary>Adds the carries back until sixteen bits remain.</summary>
    /// <param name="sum">Any sum.</param>
    /// <returns>The folded sum; zero only for zero.</returns>
    public static ushort Fold(ulong sum)
    {
        sum = (sum >> 32) + (sum & 0xffff_ffff);
        sum = (sum >> 32) + (sum & 0xffff_ffff);
        sum = (sum >> 16) + (sum & 0xffff);
        sum = (sum >> 16) + (sum & 0xffff);
        return (ushort)((sum >> 16) + (sum & 0xffff));
    }

    /// <summary>The difference that replacing one address by another makes: ~m + m' of RFC 1624 §3. Zero when the sums agree.</summary>
    /// <param name="from">The address that is taken away.</param>
    /// <param name="to">The address that is put in.</param>
    /// <returns>The difference; never 0xffff, which would be a second zero.</returns>
    public static ushort Difference(IpAddress from, IpAddress to) => Difference(from.Sum, to.Sum);

    /// <summary>The difference that replacing one 16-bit word by another makes.</summary>
    /// <param name="from">The old word or sum.</param>
    /// <param name="to">The new word or sum.</param>
    /// <returns>The difference; never 0xffff.</returns>
    public static ushort Difference(ushort from, ushort to)
    {
        ushort difference = Fold((ulong)(ushort)~from + to);
        return difference == ushort.MaxValue ? (ushort)0 : difference;
    }

    /// <summary>The difference of the way back.</summary>
    /// <param name="difference">A difference.</param>
    /// <returns>Its negation; never 0xffff.</returns>
    public static ushort Negate(ushort difference) => difference == 0 ? (ushort)0 : (ushort)~difference;

    /// <summary>RFC 1624 §3, equation 3: HC' = ~(~HC + ~m + m'). A wrong checksum stays equally wrong.</summary>
    /// <param name="checksum">A finished checksum.</param>
    /// <param name="difference">The difference.</param>
    /// <returns>The finished checksum of the changed packet.</returns>
    public static ushort Update(ushort checksum, ushort difference)
    {
        uint sum = (checksum ^ 0xffffu) + difference;
        return (ushort)~((sum >> 16) + sum);
    }

    /// <summary>The same for a partial checksum left by offload: the bare pseudo-header sum, not complemented.</summary>
    /// <param name="sum">The partial sum in the checksum field.</param>
    /// <param name="difference">The difference.</param>
    /// <returns>The partial sum of the changed packet.</returns>
    public static ushort UpdatePartial(ushort sum, ushort difference)
    {
        uint total = (uint)sum + difference;
        return (ushort)((total >> 16) + total);
    }

    /// <summary>UDP sends a computed zero as ones, for zero would mean "no checksum" (RFC 768; RFC 8200 §8.1).</summary>
    /// <param name="checksum">A computed checksum.</param>
    /// <returns>The checksum to write.</returns>
    public static ushort ForUdp(ushort checksum) => checksum == 0 ? ushort.MaxValue : checksum;

    /// <summary>The pseudo-header's sum (RFC 8200 §8.1).</summary>
    /// <param name="source">Source address.</param>
    /// <param name="destination">Final destination address.</param>
    /// <param name="length">Upper-layer packet length in octets.</param>
    /// <param name="protocol">Upper-layer Next Header value.</param>
    /// <returns>The folded sum, not complemented.</returns>
    public static ushort PseudoHeaderSum(IpAddress source, IpAddress destination, uint length, byte protocol) =>
        Fold((ulong)source.Sum + destination.Sum + (length >> 16) + (length & 0xffff) + protocol);

    // For fields that are read and written as they lie in memory.
    internal static ushort InWireOrder(ushort sum) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(sum) : sum;
}
