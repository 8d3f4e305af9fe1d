using System.Runtime.InteropServices;
using System.Text;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Netlink;

/// <summary>One attribute, viewed in place. A value that is too short for what is asked reads as zero, as an absent attribute
/// would.</summary>
/// <param name="type">The type with its flags.</param>
/// <param name="value">The value.</param>
internal readonly ref struct NetlinkAttribute(ushort type, ReadOnlySpan<byte> value)
{
    /// <summary>Octets of struct nlattr.</summary>
    public const int HeaderLength = 4;

    /// <summary>NLA_F_NESTED.</summary>
    public const ushort NestedFlag = 0x8000;

    private const ushort TypeMask = 0x3fff;

    /// <summary>The type without flags.</summary>
    public ushort Type { get; } = (ushort)(type & TypeMask);

    /// <summary>The value.</summary>
    public ReadOnlySpan<byte> Value { get; } = value;

    /// <summary>The value as a number of one octet.</summary>
    public byte Byte => Value.IsEmpty ? (byte)0 : Value[0];

    /// <summary>The value as a number of four octets.</summary>
    public uint UInt32 => Value.Length < sizeof(uint) ? 0 : MemoryMarshal.Read<uint>(Value);

    /// <summary>The value as a number of eight octets.</summary>
    public ulong UInt64 => Value.Length < sizeof(ulong) ? 0 : MemoryMarshal.Read<ulong>(Value);

    /// <summary>The value as an IPv6 address.</summary>
    public IpAddress Address => Value.Length < IpAddress.Length ? default : IpAddress.Read(Value);

    /// <summary>The value as a text, up to its first zero.</summary>
    public string Text
    {
        get
        {
            int end = Value.IndexOf((byte)0);
            return Encoding.UTF8.GetString(end < 0 ? Value : Value[..end]);
        }
    }

    /// <summary>The attributes that the value consists of.</summary>
    public NetlinkAttributes Nested => new(Value);
}
