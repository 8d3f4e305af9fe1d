using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Numerics;

namespace OnDemand.Dataplane.Wire;

/// <summary>An IPv6 address by value (RFC 4291): 128 bits in two halves, most significant first.</summary>
/// <param name="High">The first eight octets as a big-endian number.</param>
/// <param name="Low">The last eight octets as a big-endian number.</param>
public readonly record struct IpAddress(ulong High, ulong Low) : IComparable<IpAddress>
{
    /// <summary>Octets of an address.</summary>
    public const int Length = 16;

    /// <summary>The unspecified address <c>::</c>.</summary>
    public static readonly IpAddress Unspecified;

    /// <summary>The loopback address <c>::1</c>.</summary>
    public static readonly IpAddress Loopback = new(0, 1);

    /// <summary>Whether this is a multicast address, <c>ff00::/8</c>.</summary>
    public bool IsMulticast => High >> 56 == 0xff;

    /// <summary>Whether this is a link-local unicast address, <c>fe80::/10</c>.</summary>
    public bool IsLinkLocal => High >> 54 == 0xfe80 >> 6;

    /// <summary>Whether this is <c>::</c>.</summary>
    public bool IsUnspecified => (High | Low) == 0;

    /// <summary>Whether this is <c>::1</c>.</summary>
    public bool IsLoopback => High == 0 && Low == 1;

    /// <summary>The one's-complement sum of the eight 16-bit words, folded (RFC 1071); byte order as on the wire.</summary>
    public ushort Sum
    {
        get
        {
            ulong sum = High + Low;
            sum += sum < High ? 1UL : 0UL;   // the carry comes back at the other end
            sum = (sum >> 32) + (sum & 0xffff_ffff);
            sum = (sum >> 32) + (sum & 0xffff_ffff);
            sum = (sum >> 16) + (sum & 0xffff);
            return (ushort)((sum >> 16) + (sum & 0xffff));
        }
    }

    /// <summary>Reads an address from the start of a span.</summary>
    /// <param name="octets">At least sixteen octets.</param>
    /// <returns>The address.</returns>
    public static IpAddress Read(ReadOnlySpan<byte> octets) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(octets), BinaryPrimitives.ReadUInt64BigEndian(octets[8..]));

    /// <summary>Writes the address to the start of a span.</summary>
    /// <param name="octets">At least sixteen octets.</param>
    public void Write(Span<byte> octets)
    {
        BinaryPrimitives.WriteUInt64BigEndian(octets[8..], Low);
        BinaryPrimitives.WriteUInt64BigEndian(octets, High);
    }

    /// <summary>The number of leading bits that two addresses share, 0 to 128 (RFC 6724 §2.2).</summary>
    /// <param name="other">The other address.</param>
    /// <returns>The number of bits.</returns>
    public int CommonPrefixLength(IpAddress other) =>
        High == other.High ? 64 + BitOperations.LeadingZeroCount(Low ^ other.Low) : BitOperations.LeadingZeroCount(High ^ other.High);

    /// <summary>Reads the textual form (RFC 4291 §2.2), without zone.</summary>
    /// <param name="text">The text.</param>
    /// <param name="address">The address.</param>
    /// <returns>Whether the text is an IPv6 address.</returns>
    public static bool TryParse([NotNullWhen(true)] string? text, out IpAddress address)
    {
        address = default;
        if (text is null || text.Contains('%', StringComparison.Ordinal) || text.Contains('[', StringComparison.Ordinal)
            || text.Contains('/', StringComparison.Ordinal)
            || !IPAddress.TryParse(text, out IPAddress? parsed))
        {
            return false;
        }

        Span<byte> octets = stackalloc byte[Length];
        if (!parsed.TryWriteBytes(octets, out int written) || written != Length)
        {
            return false;
        }

        address = Read(octets);
        return true;
    }

    /// <summary>Reads the textual form; for constants and tests.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The address.</returns>
    /// <exception cref="FormatException">The text is not an IPv6 address.</exception>
    public static IpAddress Parse(string text) =>
        TryParse(text, out IpAddress address) ? address : throw new FormatException($"'{text}' is not an IPv6 address.");

    /// <inheritdoc/>
    public int CompareTo(IpAddress other) => High == other.High ? Low.CompareTo(other.Low) : High.CompareTo(other.High);

    /// <summary>Numerically smaller.</summary>
    public static bool operator <(IpAddress left, IpAddress right) => left.CompareTo(right) < 0;

    /// <summary>Numerically greater.</summary>
    public static bool operator >(IpAddress left, IpAddress right) => left.CompareTo(right) > 0;

    /// <summary>Not numerically greater.</summary>
    public static bool operator <=(IpAddress left, IpAddress right) => left.CompareTo(right) <= 0;

    /// <summary>Not numerically smaller.</summary>
    public static bool operator >=(IpAddress left, IpAddress right) => left.CompareTo(right) >= 0;

    /// <summary>The canonical text (RFC 5952).</summary>
    /// <returns>The text.</returns>
    public override string ToString()
    {
        Span<byte> octets = stackalloc byte[Length];
        Write(octets);
        return new IPAddress(octets).ToString();
    }
}
