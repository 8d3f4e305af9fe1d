using System.Buffers.Binary;
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

    private const ulong Mask = 0xf000_0000_0000_ff00;         // version and next header
    private const ulong Segment = 0x6000_0000_0000_0000 | (IpProtocol.Tcp << 8);
    private const ulong Datagram = 0x6000_0000_0000_0000 | (IpProtocol.Udp << 8);

    [FieldOffset(0)]
    private readonly ulong _first;      // version to hop limit
    [FieldOffset(8)]
    private ulong _sourceHigh;
    [FieldOffset(16)]
    private ulong _sourceLow;
    [FieldOffset(24)]
    private ulong _destinationHigh;
    [FieldOffset(32)]
    private ulong _destinationLow;
    [FieldOffset(40)]
    private readonly uint _ports;
    [FieldOffset(44)]
    private readonly uint _sequence;
    [FieldOffset(46)]
    private ushort _datagramChecksum;
    [FieldOffset(48)]
    private readonly uint _acknowledgment;
    [FieldOffset(52)]
    private readonly byte _dataOffset;
    [FieldOffset(53)]
    private readonly byte _flags;
    [FieldOffset(56)]
    private ushort _segmentChecksum;

    /// <summary>Version to hop limit; see <see cref="IsCommon"/>.</summary>
    public readonly ulong First => Turn(_first);

    public IpAddress Source
    {
        readonly get => new(Turn(_sourceHigh), Turn(_sourceLow));
        set
        {
            _sourceHigh = Turn(value.High);
            _sourceLow = Turn(value.Low);
        }
    }

    public IpAddress Destination
    {
        readonly get => new(Turn(_destinationHigh), Turn(_destinationLow));
        set
        {
            _destinationHigh = Turn(value.High);
            _destinationLow = Turn(value.Low);
        }
    }

    /// <summary>Source port in the upper half, destination port in the lower.</summary>
    public readonly uint Ports => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_ports) : _ports;

    public readonly uint Sequence => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_sequence) : _sequence;

    public readonly uint Acknowledgment => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_acknowledgment) : _acknowledgment;

    public readonly byte Flags => _flags;

    /// <summary>Octets of the TCP header, as it says.</summary>
    public readonly uint SegmentHeaderLength => (uint)(_dataOffset >> 4 << 2);

    public ushort SegmentChecksum
    {
        readonly get => Turn(_segmentChecksum);
        set => _segmentChecksum = Turn(value);
    }

    public ushort DatagramChecksum
    {
        readonly get => Turn(_datagramChecksum);
        set => _datagramChecksum = Turn(value);
    }

    /// <summary>Whether a packet with these first octets is a common one: IPv6, and TCP or UDP with its whole header inside the payload.</summary>
    public static bool IsCommon(ulong first) => (first & Mask) switch
    {
        Segment => PayloadLengthOf(first) >= 20,
        Datagram => PayloadLengthOf(first) >= 8,
        _ => false,
    };

    /// <summary>Octets behind the IPv6 header, as it says; not 0 in a common packet.</summary>
    public static uint PayloadLengthOf(ulong first) => (ushort)(first >> 16);

    public static byte ProtocolOf(ulong first) => (byte)(first >> 8);

    private static ulong Turn(ulong value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;

    private static ushort Turn(ushort value) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(value) : value;
}
