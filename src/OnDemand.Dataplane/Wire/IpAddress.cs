using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace OnDemand.Dataplane.Wire;

/// <summary>
/// An IPv6 address by value (RFC 4291): 128 bits in two halves, most significant first. In memory it has the octets' order of the wire, so
/// that a packet's address is compared and copied as it lies there.
/// </summary>
public readonly record struct IpAddress : IComparable<IpAddress>
{
    private readonly ulong _first;
    private readonly ulong _second;

    /// <summary>Makes an address.</summary>
    /// <param name="high">The first eight octets as a big-endian number.</param>
    /// <param name="low">The last eight octets as a big-endian number.</param>
    public IpAddress(ulong high, ulong low)
    {
        _first = Turn(high);
        _second = Turn(low);
    }

    /// <summary>The first eight octets as a big-endian number.</summary>
    public ulong High => Turn(_first);

    /// <summary>The last eight octets as a big-endian number.</summary>
    public ulong Low => Turn(_second);

    /// <summary>The first octet.</summary>
    internal byte FirstOctet => Unsafe.As<IpAddress, byte>(ref Unsafe.AsRef(in this));

    /// <summary>The last octet.</summary>
    internal byte LastOctet => Unsafe.Add(ref Unsafe.As<IpAddress, byte>(ref Unsafe.AsRef(in this)), Length - 1);

    /// <summary>The first eight octets as they lie in memory: for keys, not for arithmetic.</summary>
    internal ulong FirstWord => _first;

    /// <summary>The last eight octets as they lie in memory: for keys, not for arithmetic.</summary>
    internal ulong SecondWord => _second;

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
    public static IpAddress Read(ReadOnlySpan<byte> octets) => MemoryMarshal.Read<IpAddress>(octets);

    /// <summary>Writes the address to the start of a span.</summary>
    /// <param name="octets">At least sixteen octets.</param>
    public void Write(Span<byte> octets) => MemoryMarshal.Write(octets, this);

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

    /// <summary>The same as equality, faster where both are in memory and not in registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static bool AreSame(in IpAddress one, in IpAddress other) =>
        Unsafe.As<IpAddress, Vector128<byte>>(ref Unsafe.AsRef(in one)) == Unsafe.As<IpAddress, Vector128<byte>>(ref Unsafe.AsRef(in other));

    /// <summary>Compares all octets at once.</summary>
    /// <param name="other">The other address.</param>
    /// <returns>Whether they are the same.</returns>
    public bool Equals(IpAddress other) => ((_first ^ other._first) | (_second ^ other._second)) == 0;

    /// <inheritdoc/>
    public override int GetHashCode() => ((_first * 0x9e37_79b9_7f4a_7c15) ^ _second).GetHashCode();

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

    private static ulong Turn(ulong value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;
}
