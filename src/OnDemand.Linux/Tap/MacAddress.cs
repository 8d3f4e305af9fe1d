using System.Buffers.Binary;
using System.Globalization;

namespace OnDemand.Linux.Tap;

/// <summary>An Ethernet address.</summary>
/// <param name="Value">Its six octets as a big-endian number.</param>
internal readonly record struct MacAddress(ulong Value)
{
    /// <summary>Octets of an address.</summary>
    public const int Length = 6;

    private const ulong LocallyAdministered = 0x0200_0000_0000;

    /// <summary>The address of the other end of the TAP: not the TAP's own, and of no real device.</summary>
    public MacAddress OtherEnd => new((Value ^ 1) | LocallyAdministered);

    /// <summary>Reads an address.</summary>
    /// <param name="octets">At least six octets.</param>
    /// <returns>The address.</returns>
    public static MacAddress Read(ReadOnlySpan<byte> octets) =>
        new(((ulong)BinaryPrimitives.ReadUInt32BigEndian(octets) << 16) | BinaryPrimitives.ReadUInt16BigEndian(octets[4..]));

    /// <summary>Writes the address.</summary>
    /// <param name="octets">At least six octets.</param>
    public void Write(Span<byte> octets)
    {
        BinaryPrimitives.WriteUInt16BigEndian(octets[4..], (ushort)Value);
        BinaryPrimitives.WriteUInt32BigEndian(octets, (uint)(Value >> 16));
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        Span<byte> octets = stackalloc byte[Length];
        Write(octets);
        return string.Create(
            CultureInfo.InvariantCulture, $"{octets[0]:x2}:{octets[1]:x2}:{octets[2]:x2}:{octets[3]:x2}:{octets[4]:x2}:{octets[5]:x2}");
    }
}
