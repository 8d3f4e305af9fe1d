using System.Runtime.InteropServices;
using System.Text;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Netlink;

/// <summary>
/// Builds one message for the kernel in memory of the caller: the netlink header, the header of the family, then attributes, everything
/// aligned to four octets and in the byte order of the machine (netlink(7)). Memory that is too small is the caller's mistake.
/// </summary>
internal ref struct NetlinkRequest
{
    /// <summary>Enough for every request of this program.</summary>
    public const int UsualLength = 512;

    private readonly Span<byte> _octets;
    private int _length;

    /// <summary>Begins a message.</summary>
    /// <param name="octets">Where it is built.</param>
    /// <param name="type">Its type.</param>
    /// <param name="flags">Its flags; <see cref="NetlinkFlags.Request"/> is added.</param>
    /// <param name="headerLength">The octets of the family's header.</param>
    public NetlinkRequest(Span<byte> octets, ushort type, NetlinkFlags flags, int headerLength)
    {
        _octets = octets;
        _length = NetlinkMessage.HeaderLength + Align(headerLength);
        Header = octets[NetlinkMessage.HeaderLength.._length];
        octets[.._length].Clear();
        MemoryMarshal.Write(octets[4..], type);
        MemoryMarshal.Write(octets[6..], (ushort)(flags | NetlinkFlags.Request));
    }

    /// <summary>The family's header, all zero at first.</summary>
    public Span<byte> Header { get; }

    /// <summary>The flags it was begun with.</summary>
    public readonly NetlinkFlags Flags => (NetlinkFlags)MemoryMarshal.Read<ushort>(_octets[6..]);

    /// <summary>The next multiple of four.</summary>
    /// <param name="length">Octets.</param>
    /// <returns>Octets.</returns>
    public static int Align(int length) => (length + 3) & ~3;

    /// <summary>Adds an attribute.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="value">Its value.</param>
    public void Add(ushort type, ReadOnlySpan<byte> value) => value.CopyTo(Reserve(type, value.Length));

    /// <summary>Adds a number of one octet.</summary>
    /// <param name="type">The attribute's type.</param>
    /// <param name="value">The number.</param>
    public void Add(ushort type, byte value) => Reserve(type, 1)[0] = value;

    /// <summary>Adds a number of four octets.</summary>
    /// <param name="type">The attribute's type.</param>
    /// <param name="value">The number.</param>
    public void Add(ushort type, uint value) => MemoryMarshal.Write(Reserve(type, sizeof(uint)), value);

    /// <summary>Adds an address.</summary>
    /// <param name="type">The attribute's type.</param>
    /// <param name="value">The address.</param>
    public void Add(ushort type, IpAddress value) => value.Write(Reserve(type, IpAddress.Length));

    /// <summary>Adds a text, which the kernel wants ended by a zero.</summary>
    /// <param name="type">The attribute's type.</param>
    /// <param name="value">The text.</param>
    public void Add(ushort type, string value) => Encoding.UTF8.GetBytes(value, Reserve(type, Encoding.UTF8.GetByteCount(value) + 1));

    /// <summary>Begins an attribute that holds attributes.</summary>
    /// <param name="type">Its type.</param>
    /// <returns>To be given to <see cref="EndNested"/>.</returns>
    public int BeginNested(ushort type)
    {
        int start = _length;
        Reserve((ushort)(type | NetlinkAttribute.NestedFlag), 0);
        return start;
    }

    /// <summary>Ends an attribute that holds attributes.</summary>
    /// <param name="start">What <see cref="BeginNested"/> gave.</param>
    public readonly void EndNested(int start) => MemoryMarshal.Write(_octets[start..], (ushort)(_length - start));

    /// <summary>Writes length and number.</summary>
    /// <param name="sequence">The number by which the answer is known.</param>
    /// <returns>The message.</returns>
    public readonly ReadOnlySpan<byte> Finish(uint sequence)
    {
        MemoryMarshal.Write(_octets, (uint)_length);
        MemoryMarshal.Write(_octets[8..], sequence);
        return _octets[.._length];
    }

    private Span<byte> Reserve(ushort type, int valueLength)
    {
        int length = NetlinkAttribute.HeaderLength + valueLength;
        if (length > ushort.MaxValue || _octets.Length - _length < Align(length))
        {
            throw new InvalidOperationException("The netlink message is longer than the memory it is built in.");
        }

        Span<byte> attribute = _octets.Slice(_length, Align(length));
        attribute.Clear();
        MemoryMarshal.Write(attribute, (ushort)length);
        MemoryMarshal.Write(attribute[2..], type);
        _length += attribute.Length;
        return attribute[NetlinkAttribute.HeaderLength..length];
    }
}
