using System.Runtime.InteropServices;

namespace OnDemand.Linux.Netlink;

/// <summary>Attributes one after the other. What cannot be an attribute ends the walk; what was before it counts.</summary>
/// <param name="octets">Their octets.</param>
internal ref struct NetlinkAttributes(ReadOnlySpan<byte> octets)
{
    private ReadOnlySpan<byte> _rest = octets;

    /// <summary>The attribute that the walk has come to.</summary>
    public NetlinkAttribute Current { get; private set; }

    /// <summary>For foreach.</summary>
    /// <returns>The attributes.</returns>
    public readonly NetlinkAttributes GetEnumerator() => this;

    /// <summary>Goes on to the next attribute.</summary>
    /// <returns>Whether there is one.</returns>
    public bool MoveNext()
    {
        if (_rest.Length < NetlinkAttribute.HeaderLength)
        {
            return false;
        }

        int length = MemoryMarshal.Read<ushort>(_rest);
        if (length < NetlinkAttribute.HeaderLength || length > _rest.Length)
        {
            _rest = default;
            return false;
        }

        Current = new NetlinkAttribute(MemoryMarshal.Read<ushort>(_rest[2..]), _rest[NetlinkAttribute.HeaderLength..length]);
        _rest = _rest[Math.Min(NetlinkRequest.Align(length), _rest.Length)..];
        return true;
    }
}
