using OnDemand.Captures.Files;
using OnDemand.Captures.Link;

namespace OnDemand.Captures.Replay;

/// <summary>The link header of the last frame, from which those of injected packets are made.</summary>
internal sealed class LinkTemplates
{
    private readonly byte[] _header = new byte[256];
    private int _length;
    private ushort _linkType;
    private bool _fromHost;

    /// <summary>The interface that the last IPv6 packet was captured on; -1 if there was none.</summary>
    public int Interface { get; private set; } = -1;

    /// <summary>Interfaces begin anew.</summary>
    public void Forget() => Interface = -1;

    /// <summary>Remembers a frame's link header, and which way the frame went.</summary>
    public void Remember(in CaptureRecord record, int networkOffset, bool fromHost)
    {
        if (networkOffset > _header.Length)
        {
            return;
        }

        record.Data[..networkOffset].CopyTo(_header);
        _length = networkOffset;
        _linkType = record.LinkType;
        _fromHost = fromHost;
        Interface = record.InterfaceIndex;
    }

    /// <summary>Puts a link header before an IPv6 packet.</summary>
    public byte[] Frame(ReadOnlySpan<byte> packet, bool toHost)
    {
        byte[] frame = new byte[_length + packet.Length];
        _ = LinkLayer.WriteHeader(_linkType, _header.AsSpan(0, _length), _length, reverse: toHost == _fromHost, frame);
        packet.CopyTo(frame.AsSpan(_length));
        return frame;
    }
}

/// <summary>Which link types are looked into.</summary>
internal static class LinkTypes
{
    public static bool IsKnown(ushort linkType) => linkType is LinkType.Null or LinkType.Ethernet or LinkType.Raw12 or LinkType.Raw14 or LinkType.Raw
        or LinkType.Loop or LinkType.LinuxSll or LinkType.Ipv6 or LinkType.LinuxSll2;
}
