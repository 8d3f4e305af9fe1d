using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OnDemand.Dataplane.Wire;

/// <summary>
/// The first sixty octets of the common packet, in place: an IPv6 header (RFC 8200 §3) with TCP (RFC 9293 §3.1) or UDP (RFC 768) right
/// behind it. One check of the length gives all of it; the fields turn the byte order.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = Length)]
internal struct CommonHeader
{
    /// <summary>Octets that must be there, of UDP too.</summary>
    public const int Length = 60;

    private const int SourceOffset = 8;
    private const int DestinationOffset = 24;
    private const ulong Mask = 0xf000_0000_0000_ff00;         // version and next header
    private const ulong Segment = 0x6000_0000_0000_0000 | (IpProtocol.Tcp << 8);
    private const ulong Datagram = 0x6000_0000_0000_0000 | (IpProtocol.Udp << 8);

    /// <summary>The segment's checksum, in the order of octets of the wire.</summary>
    [FieldOffset(56)]
    public ushort SegmentChecksum;

    /// <summary>The datagram's checksum, in the order of octets of the wire; 0 for none.</summary>
    [FieldOffset(46)]
    public ushort DatagramChecksum;

    [FieldOffset(0)]
    private readonly ulong _first;      // version to hop limit
    [FieldOffset(4)]
    private readonly ushort _payloadLength;
    [FieldOffset(6)]
    private readonly byte _nextHeader;
    [FieldOffset(SourceOffset)]
    public IpAddress Source;
    [FieldOffset(DestinationOffset)]
    public IpAddress Destination;
    [FieldOffset(40)]
    private readonly uint _ports;
    [FieldOffset(44)]
    private readonly uint _sequence;
    [FieldOffset(48)]
    private readonly uint _acknowledgment;
    [FieldOffset(52)]
    private readonly byte _dataOffset;
    [FieldOffset(53)]
    private readonly byte _flags;

    private readonly ulong First => Turn(_first);

    /// <summary>Source port in the upper half, destination port in the lower.</summary>
    public readonly uint Ports => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_ports) : _ports;

    public readonly uint Sequence => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_sequence) : _sequence;

    public readonly uint Acknowledgment => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_acknowledgment) : _acknowledgment;

    public readonly byte Flags => _flags;

    /// <summary>Octets of the TCP header, as it says.</summary>
    public readonly uint SegmentHeaderLength => (uint)(_dataOffset >> 4 << 2);

    /// <summary>Whether the packet is a common one: IPv6, and TCP or UDP with its whole header inside the payload.</summary>
    public readonly bool IsCommon
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => (First & Mask) switch
        {
            Segment => PayloadLength >= 20,
            Datagram => PayloadLength >= 8,
            _ => false,
        };
    }

    /// <summary>Octets behind the IPv6 header, as it says; not 0 in a common packet.</summary>
    public readonly uint PayloadLength
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_payloadLength) : _payloadLength;
    }

    /// <summary>TCP or UDP in a common packet.</summary>
    public readonly byte Protocol => _nextHeader;

    /// <summary>The address of the other side, in the header that begins at an octet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref readonly IpAddress Remote(ref byte header, bool inbound) =>
        ref Unsafe.As<byte, IpAddress>(ref Unsafe.Add(ref header, DestinationOffset - ((nint)Unsafe.BitCast<bool, byte>(inbound) << 4)));

    /// <summary>The address of this host, in the header that begins at an octet.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref readonly IpAddress Ours(ref byte header, bool inbound) =>
        ref Unsafe.As<byte, IpAddress>(ref Unsafe.Add(ref header, SourceOffset + ((nint)Unsafe.BitCast<bool, byte>(inbound) << 4)));

    private static ulong Turn(ulong value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;
}
