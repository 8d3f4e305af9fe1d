using System.Buffers.Binary;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Support;

/// <summary>An extension header of a built frame; its first octet is filled in.</summary>
internal sealed record ExtensionHeader(byte Type, byte[] Octets);

/// <summary>A frame to be built from scratch; <see cref="Frames"/> has the usual ones.</summary>
internal sealed record TestFrame
{
    private const int WrongBy = 0x1234;

    public required IpAddress Source { get; init; }

    public required IpAddress Destination { get; init; }

    public required byte Protocol { get; init; }

    /// <summary>Upper-layer header and payload; the checksum field is filled in.</summary>
    public required byte[] Upper { get; init; }

    public IReadOnlyList<ExtensionHeader> Extensions { get; init; } = [];

    public ChecksumState Checksum { get; init; }

    public LinkHeader Link { get; init; }

    public byte TrafficClass { get; init; }

    public byte HopLimit { get; init; } = 64;

    /// <summary>What the pseudo-header has as source: that of a Home Address option (RFC 6275 §11.3.1).</summary>
    public IpAddress? PseudoSource { get; init; }

    /// <summary>What the pseudo-header has as destination: the last of a Routing header (RFC 8200 §8.1).</summary>
    public IpAddress? PseudoDestination { get; init; }

    public int NetworkOffset => Link switch
    {
        LinkHeader.Ethernet => 14,
        LinkHeader.Vlan => 18,
        LinkHeader.DoubleVlan => 22,
        _ => 0,
    };

    public FrameInfo Info => new(NetworkOffset, Checksum == ChecksumState.Partial);

    public FrameInfo Tagged(long tag) => Info with { Tag = tag };

    public byte[] Build()
    {
        List<byte> packet = [];
        foreach (ExtensionHeader extension in Extensions)
        {
            packet.AddRange(extension.Octets);
        }

        byte[] frame = Wrap(Extensions.Count > 0 ? Extensions[0].Type : Protocol, [.. packet, .. SummedUpper()]);
        int at = NetworkOffset + 40;
        for (int index = 0; index < Extensions.Count; index++)
        {
            frame[at] = index + 1 < Extensions.Count ? Extensions[index + 1].Type : Protocol;
            at += Extensions[index].Octets.Length;
        }

        return frame;
    }

    /// <summary>The frame in fragments that begin at these octets of the fragmentable part, the first of which is 0 and left out.</summary>
    public byte[][] BuildFragments(uint identification, params int[] beginnings)
    {
        byte[] upper = SummedUpper();
        int[] ends = [.. beginnings, upper.Length];
        byte[][] fragments = new byte[ends.Length][];
        int begin = 0;
        for (int index = 0; index < ends.Length; index++)
        {
            fragments[index] = BuildFragment(identification, begin, ends[index] < upper.Length, upper.AsSpan(begin, ends[index] - begin));
            begin = ends[index];
        }

        return fragments;
    }

    /// <summary>One fragment with these octets.</summary>
    public byte[] BuildFragment(uint identification, int offset, bool more, ReadOnlySpan<byte> octets)
    {
        byte[] packet = new byte[8 + octets.Length];
        packet[0] = Protocol;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)(offset | (more ? 1 : 0)));
        BinaryPrimitives.WriteUInt32BigEndian(packet.AsSpan(4), identification);
        octets.CopyTo(packet.AsSpan(8));
        return Wrap(IpProtocol.Fragment, packet);
    }

    /// <summary>The upper layer with its checksum.</summary>
    public byte[] SummedUpper()
    {
        byte[] upper = [.. Upper];
        int field = NaiveChecksum.FieldOf(Protocol);
        if (field < 0 || upper.Length < field + 2)
        {
            return upper;
        }

        IpAddress source = PseudoSource ?? Source;
        IpAddress destination = PseudoDestination ?? Destination;
        int checksum = Checksum switch
        {
            ChecksumState.Right => NaiveChecksum.Right(source, destination, Protocol, upper),
            ChecksumState.Wrong => Wrong(NaiveChecksum.Right(source, destination, Protocol, upper)),
            ChecksumState.Partial => NaiveChecksum.PseudoHeader(source, destination, upper.Length, Protocol),
            _ => 0,
        };
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(field), (ushort)checksum);
        return upper;
    }

    // Never zero, which for UDP would mean that there is none.
    private static int Wrong(int right) => ((right + WrongBy) & 0xffff) == 0 ? 1 : (right + WrongBy) & 0xffff;

    private byte[] Wrap(byte nextHeader, byte[] payload)
    {
        byte[] link = Link switch
        {
            LinkHeader.Ethernet => [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd],
            LinkHeader.Vlan => [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7, 0x86, 0xdd],
            LinkHeader.DoubleVlan => [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0, 9, 0x81, 0, 0, 7, 0x86, 0xdd],
            _ => [],
        };
        byte[] header = new byte[40];
        header[0] = (byte)(0x60 | (TrafficClass >> 4));
        header[1] = (byte)(TrafficClass << 4);
        int length = payload.Length > ushort.MaxValue ? 0 : payload.Length;   // a jumbogram says it in its option (RFC 2675)
        BinaryPrimitives.WriteUInt16BigEndian(header.AsSpan(4), (ushort)length);
        header[6] = nextHeader;
        header[7] = HopLimit;
        Source.Write(header.AsSpan(8));
        Destination.Write(header.AsSpan(24));
        return [.. link, .. header, .. payload];
    }
}
