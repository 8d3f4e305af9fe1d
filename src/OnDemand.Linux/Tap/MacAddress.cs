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
    public static MacAddress Read(ReadOnlySpan<byte> octets)
    {
        ulong value = 0;
        foreach (byte octet in octets[..Length])
        {
            value = (value << 8) | octet;
        }

        return new MacAddress(value);
    }

    /// <summary>Writes the address.</summary>
    /// <param name="octets">At least six octets.</param>
    public void Write(Span<byte> octets)
    {
        for (int i = 0; i < Length; i++)
        {
            octets[i] = (byte)(Value >> (8 * (Length - 1 - i)));
        }
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
