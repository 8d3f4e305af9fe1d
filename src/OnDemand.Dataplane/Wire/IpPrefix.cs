using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace OnDemand.Dataplane.Wire;

/// <summary>An IPv6 prefix (RFC 4291 §2.3); the bits past the length are zero.</summary>
public readonly record struct IpPrefix
{
    /// <summary>Makes a prefix; bits past the length are cleared.</summary>
    /// <param name="address">Any address in the prefix.</param>
    /// <param name="length">Bits, 0 to 128.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is not 0 to 128.</exception>
    public IpPrefix(IpAddress address, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, 128);
        Length = (byte)length;
        Address = new IpAddress(address.High & HighMask(length), address.Low & LowMask(length));
    }

    /// <summary>The first address of the prefix.</summary>
    public IpAddress Address { get; }

    /// <summary>Bits, 0 to 128.</summary>
    public byte Length { get; }

    /// <summary>Whether the prefix names exactly one address.</summary>
    public bool IsSingleAddress => Length == 128;

    /// <summary>Whether an address lies in the prefix.</summary>
    /// <param name="address">The address.</param>
    /// <returns>Whether it does.</returns>
    public bool Contains(IpAddress address) =>
        (address.High & HighMask(Length)) == Address.High && (address.Low & LowMask(Length)) == Address.Low;

    /// <summary>The mask of the first eight octets.</summary>
    /// <param name="length">Bits, 0 to 128.</param>
    /// <returns>The mask.</returns>
    public static ulong HighMask(int length) => length == 0 ? 0 : length >= 64 ? ulong.MaxValue : ulong.MaxValue << (64 - length);

    /// <summary>The mask of the last eight octets.</summary>
    /// <param name="length">Bits, 0 to 128.</param>
    /// <returns>The mask.</returns>
    public static ulong LowMask(int length) => length <= 64 ? 0 : ulong.MaxValue << (128 - length);

    /// <summary>Reads <c>address/length</c>, or a bare address as /128; bits past the length must be zero.</summary>
    /// <param name="text">The text.</param>
    /// <param name="prefix">The prefix.</param>
    /// <returns>Whether the text is a prefix.</returns>
    public static bool TryParse([NotNullWhen(true)] string? text, out IpPrefix prefix)
    {
        prefix = default;
        if (text is null)
        {
            return false;
        }

        int slash = text.IndexOf('/', StringComparison.Ordinal);
        int length = 128;
        if (slash >= 0 && (!int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out length) || length > 128))
        {
            return false;
        }

        if (!IpAddress.TryParse(slash < 0 ? text : text[..slash], out IpAddress address))
        {
            return false;
        }

        prefix = new IpPrefix(address, length);
        return prefix.Address == address;
    }

    /// <summary>Reads the textual form; for constants and tests.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The prefix.</returns>
    /// <exception cref="FormatException">The text is not a prefix.</exception>
    public static IpPrefix Parse(string text) =>
        TryParse(text, out IpPrefix prefix) ? prefix : throw new FormatException($"'{text}' is not an IPv6 prefix.");

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Address}/{Length}");
}
