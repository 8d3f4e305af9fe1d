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

    /// <summary>The segment's checksum, in the order of octets of the wire.</summary>
    [FieldOffset(56)]
    public ushort SegmentChecksum;

    /// <summary>The datagram's checksum, in the order of octets of the wire; 0 for none.</summary>
    [FieldOffset(46)]
    public ushort DatagramChecksum;

    [FieldOffset(0)]
    private readonly byte _version;     // and half of the traffic class
    [FieldOffset(4)]
    private readonly uint _lengthAndNext;   // payload length, next header, hop limit
    [FieldOffset(6)]
    private readonly byte _nextHeader;
    [FieldOffset(8)]
    public IpAddress Source;
    [FieldOffset(24)]
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
        get => (_version & 0xf0) == 0x60 && (_nextHeader == IpProtocol.Tcp ? LengthAndNext >= 20 << 16
            : _nextHeader == IpProtocol.Udp && LengthAndNext >= 8 << 16);
    }

    /// <summary>Octets behind the IPv6 header, as it says; not 0 in a common packet.</summary>
    public readonly uint PayloadLength => LengthAndNext >> 16;

    /// <summary>TCP or UDP in a common packet.</summary>
    public readonly byte Protocol => _nextHeader;

    private readonly uint LengthAndNext => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(_lengthAndNext) : _lengthAndNext;
}
