using System.Buffers.Binary;

namespace OnDemand.Dataplane.Wire;

/// <summary>
/// One parse: IPv6, every extension header, the upper-layer header. The walk is bounded by the packet's length, not by a number of
/// headers. Nothing is read outside the frame, and no input makes it throw.
/// </summary>
public static class FrameParser
{
    /// <summary>Octets of the IPv6 header.</summary>
    public const int HeaderLength = 40;

    private const byte JumboPayloadOption = 0xc2;
    private const byte HomeAddressOption = 201;

    /// <summary>Parses the packet that begins at an offset.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="networkOffset">Where the IPv6 header begins; an offset outside the frame, also a negative one, gives <see cref="FrameShape.NotIpv6"/>.</param>
    /// <param name="layout">What was found.</param>
    public static void Parse(ReadOnlySpan<byte> frame, int networkOffset, out FrameLayout layout)
    {
        layout = default;
        layout.NetworkOffset = networkOffset;
        if ((uint)networkOffset > (uint)frame.Length || frame.Length - networkOffset < HeaderLength || frame[networkOffset] >> 4 != 6)
        {
            layout.Shape = FrameShape.NotIpv6;
            return;
        }

        ReadOnlySpan<byte> header = frame.Slice(networkOffset, HeaderLength);
        int payload = BinaryPrimitives.ReadUInt16BigEndian(header[4..]);
        byte next = header[6];
        int upper = networkOffset + HeaderLength;
        layout.PacketEnd = upper + payload;
        layout.FinalDestinationOffset = networkOffset + 24;
        if (payload == 0 && next is not (IpProtocol.HopByHop or IpProtocol.NoNextHeader))
        {
            layout.PacketEnd = frame.Length;   // A sender's segmentation offload leaves the length to the device.
        }

        int end = (int)Math.Min(layout.PacketEnd, frame.Length);
        layout.UpperOffset = upper;
        layout.Protocol = next;

        // The common packet: TCP or UDP right behind the header.
        if (next == IpProtocol.Tcp && end - upper >= 20)
        {
            ReadOnlySpan<byte> segment = frame.Slice(upper, 20);
            layout.SourcePort = BinaryPrimitives.ReadUInt16BigEndian(segment);
            layout.DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(segment[2..]);
            layout.ChecksumOffset = upper + 16;
            layout.Marks = layout.PacketEnd > frame.Length ? FrameMarks.TcpHeader | FrameMarks.Cut : FrameMarks.TcpHeader;
            return;
        }

        if (next == IpProtocol.Udp && end - upper >= 8)
        {
            ReadOnlySpan<byte> datagram = frame.Slice(upper, 8);
            layout.SourcePort = BinaryPrimitives.ReadUInt16BigEndian(datagram);
            layout.DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(datagram[2..]);
            layout.ChecksumOffset = upper + 6;
            layout.Marks = layout.PacketEnd > frame.Length ? FrameMarks.Cut : FrameMarks.None;
            return;
        }

        Walk(frame, payload == 0 && next == IpProtocol.HopByHop, ref layout);
    }

    private static void Walk(ReadOnlySpan<byte> frame, bool maybeJumbo, ref FrameLayout layout)
    {
        int offset = layout.UpperOffset;
        byte next = layout.Protocol;
        bool first = true;
        FrameShape special = FrameShape.Transport;
        int end = maybeJumbo ? frame.Length : (int)Math.Min(layout.PacketEnd, frame.Length);
        while (IsExtensionHeader(next))
        {
            // Later fragments and ESP hide what follows, so they end the walk below; everything else tells its length.
            if (end - offset < 8)
            {
                Finish(frame, ref layout, FrameShape.BrokenChain, next);
                return;
            }

            ReadOnlySpan<byte> header = frame[offset..end];
            int length = next switch
            {
                IpProtocol.Fragment => 8,
                IpProtocol.AuthenticationHeader => (header[1] + 2) * 4,
                _ => (header[1] + 1) * 8,
            };
            if (length > header.Length || (next == IpProtocol.HopByHop && !first)
                || (next == IpProtocol.Fragment && layout.FragmentHeaderOffset != 0))
            {
                Finish(frame, ref layout, FrameShape.BrokenChain, next);
                return;
            }

            header = header[..length];
            switch (next)
            {
                case IpProtocol.HopByHop or IpProtocol.DestinationOptions:
                    if (!ReadOptions(header, offset, frame.Length, maybeJumbo && first, ref layout))
                    {
                        Finish(frame, ref layout, FrameShape.BrokenChain, next);
                        return;
                    }

                    if (first && maybeJumbo)
                    {
                        end = (int)Math.Min(layout.PacketEnd, frame.Length);
                        if (end - offset < length)
                        {
                            Finish(frame, ref layout, FrameShape.BrokenChain, next);
                            return;
                        }
                    }

                    break;
                case IpProtocol.Routing:
                    if (!ReadRouting(header, offset, ref layout))
                    {
                        Finish(frame, ref layout, FrameShape.BrokenChain, next);
                        return;
                    }

                    break;
                case IpProtocol.Fragment:
                    layout.FragmentHeaderOffset = offset;
                    ushort field = BinaryPrimitives.ReadUInt16BigEndian(header[2..]);
                    layout.Marks |= (field & 0xfff9) != 0 ? FrameMarks.Fragment : FrameMarks.None;
                    layout.Marks |= (field & 1) != 0 ? FrameMarks.MoreFragments : FrameMarks.None;
                    if (field >> 3 != 0)
                    {
                        FrameShape shape = special == FrameShape.Transport ? FrameShape.LaterFragment : special;
                        layout.UpperOffset = offset + 8;
                        Finish(frame, ref layout, shape, header[0]);
                        return;
                    }

                    break;
                case IpProtocol.AuthenticationHeader:
                    special = FrameShape.Authenticated;
                    break;
                default:
                    special = special == FrameShape.Transport ? FrameShape.AddressSignaling : special;
                    break;
            }

            next = header[0];
            offset += length;
            first = false;
        }

        layout.UpperOffset = offset;
        if (special != FrameShape.Transport)
        {
            Finish(frame, ref layout, special, next);
            return;
        }

        ReadUpper(frame, end, ref layout, next);
    }

    private static bool IsExtensionHeader(byte next) => next is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment
        or IpProtocol.AuthenticationHeader or IpProtocol.DestinationOptions or IpProtocol.Mobility or IpProtocol.Hip or IpProtocol.Shim6;

    private static void Finish(ReadOnlySpan<byte> frame, ref FrameLayout layout, FrameShape shape, byte protocol)
    {
        bool cut = layout.PacketEnd > frame.Length;
        layout.Protocol = protocol;
        layout.Marks |= cut ? FrameMarks.Cut : FrameMarks.None;
        layout.Shape = shape == FrameShape.BrokenChain && !cut && layout.Has(FrameMarks.Fragment) ? FrameShape.TinyFragment : shape;
    }

    // RFC 8200 §4.2: type, length, data; Pad1 has no length. Returns false if an option leaves its header.
    private static bool ReadOptions(ReadOnlySpan<byte> header, int offset, int frameLength, bool mayBeJumbo, ref FrameLayout layout)
    {
        int at = 2;
        while (at < header.Length)
        {
            if (header[at] == 0)
            {
                at++;
                continue;
            }

            if (header.Length - at < 2 || header.Length - at - 2 < header[at + 1])
            {
                return false;
            }

            int length = header[at + 1];
            if (header[at] == HomeAddressOption && length == IpAddress.Length)
            {
                layout.Marks |= FrameMarks.HomeAddress;
            }
            else if (header[at] == JumboPayloadOption && length == 4 && mayBeJumbo)
            {
                // RFC 2675 §2: the length of the packet without its IPv6 header.
                layout.PacketEnd = layout.NetworkOffset + HeaderLength + (long)BinaryPrimitives.ReadUInt32BigEndian(header[(at + 2)..]);
            }

            at += 2 + length;
        }

        if (mayBeJumbo && layout.PacketEnd == offset)
        {
            layout.PacketEnd = frameLength;   // No jumbo option: the zero length is a segmentation offload's.
        }

        return true;
    }

    // RFC 8200 §4.4, RFC 6275 §6.4 (type 2), RFC 8754 §2 (SRH, type 4).
    private static bool ReadRouting(ReadOnlySpan<byte> header, int offset, ref FrameLayout layout)
    {
        byte type = header[2];
        byte left = header[3];
        int count = (header.Length - 8) / IpAddress.Length;
        if (left == 0)
        {
            return true;
        }

        if (type is not (0 or 2 or 4) || (type != 4 && (header.Length - 8) % IpAddress.Length != 0))
        {
            return false;
        }

        if (type == 4)
        {
            count = Math.Min(count, header[4] + 1);
        }

        if (left > count)
        {
            return false;
        }

        layout.Marks |= FrameMarks.SegmentsLeft;
        layout.FinalDestinationOffset = offset + 8 + (type == 4 ? 0 : (count - 1) * IpAddress.Length);
        return true;
    }

    private static void ReadUpper(ReadOnlySpan<byte> frame, int end, ref FrameLayout layout, byte protocol)
    {
        int offset = layout.UpperOffset;
        ReadOnlySpan<byte> upper = frame[Math.Min(offset, end)..end];
        FrameShape shape = FrameShape.Transport;
        int checksum = 0;
        switch (protocol)
        {
            case IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Dccp or IpProtocol.Sctp:
                if (upper.Length < 4)
                {
                    shape = FrameShape.BrokenChain;
                    break;
                }

                layout.SourcePort = BinaryPrimitives.ReadUInt16BigEndian(upper);
                layout.DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(upper[2..]);
                checksum = protocol switch { IpProtocol.Tcp => 16, IpProtocol.Sctp => 0, _ => 6 };   // SCTP's CRC32c has no pseudo-header.
                layout.Marks |= protocol == IpProtocol.Tcp && upper.Length >= 20 ? FrameMarks.TcpHeader : FrameMarks.None;
                break;
            case IpProtocol.Icmpv6:
                checksum = 2;
                shape = upper.Length < 4 ? FrameShape.BrokenChain : ReadIcmpv6(upper, ref layout);
                break;
            case IpProtocol.NoNextHeader or IpProtocol.Ipv4 or IpProtocol.Ipv6 or IpProtocol.Gre:
                break;   // No checksum of theirs covers our addresses.
            default:
                shape = FrameShape.OpaqueTransport;
                break;
        }

        if (checksum != 0 && shape != FrameShape.BrokenChain)
        {
            bool there = upper.Length >= checksum + 2;
            layout.ChecksumOffset = there ? offset + checksum : 0;
            if (!there && layout.Has(FrameMarks.Fragment) && layout.PacketEnd <= frame.Length)
            {
                shape = FrameShape.TinyFragment;   // RFC 7112: the rest of the header is in another fragment, where it cannot be mended.
            }
        }

        Finish(frame, ref layout, shape, protocol);
    }

    private static FrameShape ReadIcmpv6(ReadOnlySpan<byte> message, ref FrameLayout layout)
    {
        byte type = message[0];
        switch (type)
        {
            case >= 1 and <= 4:
                return FrameShape.Icmpv6Error;
            case 128 or 129 when message.Length < 6:
                return FrameShape.BrokenChain;
            case 128:
                layout.SourcePort = BinaryPrimitives.ReadUInt16BigEndian(message[4..]);
                layout.Marks |= FrameMarks.Icmpv6EchoRequest;
                return FrameShape.Transport;
            case 129:
                layout.DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(message[4..]);
                layout.Marks |= FrameMarks.Icmpv6EchoReply;
                return FrameShape.Transport;
            case >= 130 and <= 137 or 141 or 142 or 143 or >= 148 and <= 149 or >= 151 and <= 153:
                return FrameShape.NeighborDiscovery;   // MLD, ND, inverse ND, SEND, multicast router discovery
            default:
                layout.SourcePort = type;   // any other message is its own flow by type
                layout.DestinationPort = type;
                return FrameShape.Transport;
        }
    }
}
