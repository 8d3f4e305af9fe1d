using System.Net.NetworkInformation;
using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Netlink;

/// <content>Links.</content>
internal sealed partial class RouteNetlink
{
    /// <summary>RTM_NEWLINK.</summary>
    internal const ushort NewLink = 16;

    /// <summary>RTM_DELLINK.</summary>
    internal const ushort DeleteLinkType = 17;

    private const ushort GetLink = 18;
    private const int LinkHeaderLength = 16;
    private const ushort LinkAddress = 1;
    private const ushort LinkName = 3;
    private const ushort LinkMtu = 4;
    private const ushort LinkInfo = 18;
    private const ushort LinkExtendedMask = 29;
    private const uint SkipStatistics = 1 << 3;
    private const ushort LinkInfoKind = 1;
    private const ushort LinkInfoData = 2;
    private const ushort TunType = 3;
    private const byte TunTypeTap = 2;

    /// <summary>All links.</summary>
    /// <returns>The links.</returns>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public List<Link> Links()
    {
        var request = new NetlinkRequest(stackalloc byte[NetlinkRequest.UsualLength], GetLink, NetlinkFlags.Dump, LinkHeaderLength);
        request.Add(LinkExtendedMask, SkipStatistics);
        List<Link> links = [];
        _socket.Ask(ref request, TryReadLink, links).ThrowIfFailed("RTM_GETLINK");
        return links;
    }

    /// <summary>The link of a name.</summary>
    /// <param name="name">The name, 1 to 15 octets.</param>
    /// <returns>The link; null if there is none.</returns>
    /// <exception cref="LinuxException">The kernel refuses.</exception>
    public Link? FindLink(string name)
    {
        var request = new NetlinkRequest(stackalloc byte[NetlinkRequest.UsualLength], GetLink, NetlinkFlags.Acknowledge, LinkHeaderLength);
        request.Add(LinkExtendedMask, SkipStatistics);
        request.Add(LinkName, name);
        List<Link> links = [];
        NetlinkError error = _socket.Ask(ref request, TryReadLink, links);
        if (error.Error is Errno.Enodev)
        {
            return null;
        }

        error.ThrowIfFailed($"RTM_GETLINK {name}");
        return links.Count == 0 ? null : links[0];
    }

    /// <summary>Changes flags of a link: up or down, with or without neighbor discovery.</summary>
    /// <param name="index">The link.</param>
    /// <param name="flags">The flags' new values.</param>
    /// <param name="mask">Which flags change.</param>
    /// <returns>What the kernel says.</returns>
    public NetlinkError SetLinkFlags(int index, uint flags, uint mask)
    {
        NetlinkRequest request = LinkChange(stackalloc byte[NetlinkRequest.UsualLength], index);
        MemoryMarshal.Write(request.Header[8..], flags);
        MemoryMarshal.Write(request.Header[12..], mask);
        return _socket.Change(ref request);
    }

    /// <summary>Sets a link up.</summary>
    /// <param name="index">The link.</param>
    /// <returns>What the kernel says.</returns>
    public NetlinkError SetLinkUp(int index) => SetLinkFlags(index, Link.UpFlag, Link.UpFlag);

    /// <summary>Sets the longest packet of a link.</summary>
    /// <param name="index">The link.</param>
    /// <param name="mtu">Octets.</param>
    /// <returns>What the kernel says.</returns>
    public NetlinkError SetLinkMtu(int index, int mtu)
    {
        NetlinkRequest request = LinkChange(stackalloc byte[NetlinkRequest.UsualLength], index);
        request.Add(LinkMtu, (uint)mtu);
        return _socket.Change(ref request);
    }

    /// <summary>Sets the link-layer address of a link.</summary>
    /// <param name="index">The link.</param>
    /// <param name="address">The address.</param>
    /// <returns>What the kernel says.</returns>
    public NetlinkError SetLinkAddress(int index, PhysicalAddress address)
    {
        NetlinkRequest request = LinkChange(stackalloc byte[NetlinkRequest.UsualLength], index);
        request.Add(LinkAddress, address.GetAddressBytes());
        return _socket.Change(ref request);
    }

    /// <summary>Reads a link.</summary>
    /// <param name="message">A message of the kernel.</param>
    /// <param name="link">The link.</param>
    /// <returns>Whether the message tells of one.</returns>
    internal static bool TryReadLink(NetlinkMessage message, out Link link)
    {
        link = new Link(0, string.Empty);
        if (message.Type is not (NewLink or DeleteLinkType) || message.Payload.Length < LinkHeaderLength)
        {
            return false;
        }

        int index = MemoryMarshal.Read<int>(message.Payload[4..]);
        link = new Link(index, string.Empty) { Flags = MemoryMarshal.Read<uint>(message.Payload[8..]) };
        foreach (NetlinkAttribute attribute in message.Attributes(LinkHeaderLength))
        {
            link = attribute.Type switch
            {
                LinkName => link with { Name = attribute.Text },
                LinkMtu => link with { Mtu = (int)attribute.UInt32 },
                LinkAddress when !attribute.Value.IsEmpty => link with { Address = new PhysicalAddress(attribute.Value.ToArray()) },
                LinkInfo => WithInfo(link, attribute.Nested),
                _ => link,
            };
        }

        return link.Index > 0 && link.Name.Length > 0;
    }

    private static Link WithInfo(Link link, NetlinkAttributes info)
    {
        string? kind = null;
        byte? type = null;
        foreach (NetlinkAttribute attribute in info)
        {
            if (attribute.Type == LinkInfoKind)
            {
                kind = attribute.Text;
            }
            else if (attribute.Type == LinkInfoData)
            {
                foreach (NetlinkAttribute data in attribute.Nested)
                {
                    type = data.Type == TunType ? data.Byte : type;
                }
            }
        }

        return link with { Kind = kind, IsTap = kind == "tun" && type is null or TunTypeTap };
    }

    private static NetlinkRequest LinkChange(Span<byte> octets, int index)
    {
        var request = new NetlinkRequest(octets, NewLink, NetlinkFlags.Acknowledge, LinkHeaderLength);
        MemoryMarshal.Write(request.Header[4..], index);
        return request;
    }
}
