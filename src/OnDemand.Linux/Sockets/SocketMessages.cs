using System.Buffers.Binary;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Netlink;

namespace OnDemand.Linux.Sockets;

/// <summary>The messages of sock_diag(7) about sockets of IPv6: struct inet_diag_req_v2 and struct inet_diag_msg of linux/inet_diag.h.</summary>
internal static class SocketMessages
{
    /// <summary>SOCK_DIAG_BY_FAMILY: a question, and what tells of a socket.</summary>
    public const ushort SocketType = 20;

    /// <summary>SOCK_DESTROY.</summary>
    public const ushort DestroyType = 21;

    /// <summary>INET_DIAG_NOCOOKIE: whatever cookie the socket has.</summary>
    public const ulong AnyCookie = ulong.MaxValue;

    /// <summary>Octets of a request.</summary>
    public const int RequestLength = NetlinkMessage.HeaderLength + QuestionLength;

    private const int QuestionLength = 56;
    private const int QuestionIdentity = 8;
    private const int RecordLength = 72;
    private const int RecordIdentity = 4;
    private const byte FamilyIpv4 = 2;
    private const byte FamilyIpv6 = 10;

    // struct inet_diag_sockid.
    private const int RemotePortOffset = 2;
    private const int LocalOffset = 4;
    private const int RemoteOffset = 20;
    private const int InterfaceOffset = 36;
    private const int CookieOffset = 40;

    // INET_DIAG_*.
    private const ushort ShutdownAttribute = 8;
    private const ushort ProtocolAttribute = 10;
    private const ushort Ipv6OnlyAttribute = 11;
    private const ushort MarkAttribute = 15;
    private const ushort CgroupAttribute = 21;

    /// <summary>Asks for one socket.</summary>
    /// <param name="octets">Where the request is built, <see cref="RequestLength"/> octets.</param>
    /// <param name="query">The question.</param>
    /// <returns>The request.</returns>
    public static NetlinkRequest LookUp(Span<byte> octets, in SocketQuery query)
    {
        NetlinkRequest request = Begin(octets, SocketType, NetlinkFlags.None, query.Protocol, SocketStates.All);
        Span<byte> identity = request.Header[QuestionIdentity..];
        MemoryMarshal.Write(identity[CookieOffset..], AnyCookie);
        MemoryMarshal.Write(identity[InterfaceOffset..], query.InterfaceIndex);
        if (query.Protocol == SocketProtocol.Udp)
        {
            // The kernel looks UDP sockets up as for a packet that comes in: its source is the peer. "For historical reasons", it says
            // itself, and only here: neither for TCP nor for SOCK_DESTROY.
            WriteEnds(identity, query.Remote, query.RemotePort, query.Local, query.LocalPort);
        }
        else
        {
            WriteEnds(identity, query.Local, query.LocalPort, query.Remote, query.RemotePort);
        }

        return request;
    }

    /// <summary>Asks for all sockets.</summary>
    /// <param name="octets">Where the request is built.</param>
    /// <param name="protocol">Their protocol.</param>
    /// <param name="states">Their states.</param>
    /// <returns>The request.</returns>
    public static NetlinkRequest All(Span<byte> octets, SocketProtocol protocol, SocketStates states) =>
        Begin(octets, SocketType, NetlinkFlags.Dump, protocol, states);

    /// <summary>Asks to abort a socket.</summary>
    /// <param name="octets">Where the request is built.</param>
    /// <param name="socket">The socket.</param>
    /// <returns>The request.</returns>
    public static NetlinkRequest Destroy(Span<byte> octets, in SocketRecord socket)
    {
        NetlinkRequest request = Begin(octets, DestroyType, NetlinkFlags.Acknowledge, socket.Protocol, SocketStates.All);
        Span<byte> identity = request.Header[QuestionIdentity..];
        WriteEnds(identity, socket.Local, socket.LocalPort, socket.Remote, socket.RemotePort);
        MemoryMarshal.Write(identity[InterfaceOffset..], socket.InterfaceIndex);
        MemoryMarshal.Write(identity[CookieOffset..], socket.Cookie);
        return request;
    }

    /// <summary>Reads what tells of a socket. Attributes that are not there or too short count as zero.</summary>
    /// <param name="message">A message of the kernel.</param>
    /// <param name="protocol">What was asked for; a notice names its protocol itself.</param>
    /// <param name="record">What it says.</param>
    /// <returns>Whether it tells of a socket of the internet.</returns>
    public static bool TryRead(NetlinkMessage message, SocketProtocol protocol, out SocketRecord record)
    {
        ReadOnlySpan<byte> payload = message.Payload;
        record = default;
        if (message.Type != SocketType || payload.Length < RecordLength || payload[0] is not (FamilyIpv4 or FamilyIpv6))
        {
            return false;
        }

        bool isIpv4 = payload[0] == FamilyIpv4;
        ReadOnlySpan<byte> identity = payload[RecordIdentity..];
        record = new SocketRecord
        {
            Protocol = protocol,
            State = (SocketState)payload[1],
            Local = ReadAddress(identity[LocalOffset..], isIpv4),
            LocalPort = BinaryPrimitives.ReadUInt16BigEndian(identity),
            Remote = ReadAddress(identity[RemoteOffset..], isIpv4),
            RemotePort = BinaryPrimitives.ReadUInt16BigEndian(identity[RemotePortOffset..]),
            InterfaceIndex = MemoryMarshal.Read<int>(identity[InterfaceOffset..]),
            Cookie = MemoryMarshal.Read<ulong>(identity[CookieOffset..]),
            Uid = MemoryMarshal.Read<uint>(payload[64..]),
            Inode = MemoryMarshal.Read<uint>(payload[68..]),
        };
        record = WithAttributes(message, record);
        return true;
    }

    private static SocketRecord WithAttributes(NetlinkMessage message, SocketRecord record)
    {
        foreach (NetlinkAttribute attribute in message.Attributes(RecordLength))
        {
            switch (attribute.Type)
            {
                case ShutdownAttribute:
                    record = record with { Shutdown = attribute.Byte };
                    break;
                case ProtocolAttribute:
                    record = record with { Protocol = (SocketProtocol)attribute.Byte };
                    break;
                case Ipv6OnlyAttribute:
                    record = record with { IsIpv6Only = attribute.Byte != 0 };
                    break;
                case MarkAttribute:
                    record = record with { Mark = attribute.UInt32 };
                    break;
                case CgroupAttribute:
                    record = record with { CgroupId = attribute.UInt64 };
                    break;
            }
        }

        return record;
    }

    private static NetlinkRequest Begin(
        Span<byte> octets, ushort type, NetlinkFlags flags, SocketProtocol protocol, SocketStates states)
    {
        var request = new NetlinkRequest(octets, type, flags, QuestionLength);
        request.Header[0] = FamilyIpv6;
        request.Header[1] = (byte)protocol;
        MemoryMarshal.Write(request.Header[4..], (uint)states);
        return request;
    }

    private static void WriteEnds(Span<byte> identity, IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort)
    {
        BinaryPrimitives.WriteUInt16BigEndian(identity, sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(identity[RemotePortOffset..], destinationPort);
        source.Write(identity[LocalOffset..]);
        destination.Write(identity[RemoteOffset..]);
    }

    private static IpAddress ReadAddress(ReadOnlySpan<byte> octets, bool isIpv4) => isIpv4
        ? new IpAddress(0, 0xffff_0000_0000UL | BinaryPrimitives.ReadUInt32BigEndian(octets))
        : IpAddress.Read(octets);
}
