using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <content>Addresses.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>RTM_NEWADDR.</summary>
    internal const ushort NewAddress = 20;

    /// <summary>RTM_DELADDR.</summary>
    internal const ushort DeleteAddressType = 21;

    private const ushort GetAddress = 22;
    private const int AddressHeaderLength = 8;
    private const ushort AddressAddress = 1;
    private const ushort AddressLocal = 2;
    private const ushort AddressFlags = 8;
    private const ushort AddressProtocol = 11;

    /// <summary>All IPv6 addresses of all links.</summary>
    /// <returns>The addresses.</returns>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public List<InterfaceAddress> Addresses() =>
        DumpAll<InterfaceAddress>(GetAddress, AddressHeaderLength, inet6: true, TryReadAddress);

    /// <summary>Gives a link an address.</summary>
    /// <param name="address">The address.</param>
    /// <returns>What the kernel says: <see cref="Errno.Eexist"/> if the link has it.</returns>
    public NetlinkError AddAddress(InterfaceAddress address)
    {
        NetlinkRequest request = AddressChange(
            stackalloc byte[NetlinkRequest.UsualLength], NewAddress, NetlinkFlags.Create | NetlinkFlags.Exclusive, address);
        request.Add(AddressFlags, address.Flags);
        if (address.Protocol != 0)
        {
            request.Add(AddressProtocol, address.Protocol);
        }

        return _socket.Change(ref request);
    }

    /// <summary>Takes an address from a link.</summary>
    /// <param name="address">The address.</param>
    /// <returns>What the kernel says: <see cref="Errno.Eaddrnotavail"/> if the link does not have it.</returns>
    public NetlinkError DeleteAddress(InterfaceAddress address)
    {
        NetlinkRequest request = AddressChange(
            stackalloc byte[NetlinkRequest.UsualLength], DeleteAddressType, NetlinkFlags.None, address);
        return _socket.Change(ref request);
    }

    /// <summary>Reads an address.</summary>
    /// <param name="message">A message of the kernel.</param>
    /// <param name="address">The address.</param>
    /// <returns>Whether the message tells of one.</returns>
    internal static bool TryReadAddress(NetlinkMessage message, out InterfaceAddress address)
    {
        address = default;
        if (message.Type is not (NewAddress or DeleteAddressType) || message.Payload.Length < AddressHeaderLength
            || message.Payload[0] != Inet6 || message.Payload[1] > 128)
        {
            return false;
        }

        int link = MemoryMarshal.Read<int>(message.Payload[4..]);
        address = new InterfaceAddress(link, default, message.Payload[1]) { Flags = message.Payload[2] };
        bool hasLocal = false;
        foreach (NetlinkAttribute attribute in message.Attributes(AddressHeaderLength))
        {
            switch (attribute.Type)
            {
                // With a peer the first is the peer's, and the second is this host's.
                case AddressLocal:
                    address = address with { Address = attribute.Address };
                    hasLocal = true;
                    break;
                case AddressAddress when !hasLocal:
                    address = address with { Address = attribute.Address };
                    break;
                case AddressFlags:
                    address = address with { Flags = attribute.UInt32 };
                    break;
                case AddressProtocol:
                    address = address with { Protocol = attribute.Byte };
                    break;
            }
        }

        return true;
    }

    private static NetlinkRequest AddressChange(Span<byte> octets, ushort type, NetlinkFlags flags, InterfaceAddress address)
    {
        var request = new NetlinkRequest(octets, type, flags | NetlinkFlags.Acknowledge, AddressHeaderLength);
        request.Header[0] = Inet6;
        request.Header[1] = address.PrefixLength;
        MemoryMarshal.Write(request.Header[4..], address.LinkIndex);
        request.Add(AddressLocal, address.Address);
        return request;
    }
}
