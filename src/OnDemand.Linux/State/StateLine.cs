using System.Globalization;
using System.Numerics;

namespace OnDemand.Linux.State;

/// <summary>
/// Lines that say whether they are whole: each ends with a blank, <c>~</c> and the CRC-32C (RFC 3720 §12.1) of what stands before as eight
/// hexadecimal digits. What a crash, a power cut or an editor has left of one is not taken for another.
/// </summary>
internal static class StateLine
{
    private const string Mark = " ~";
    private const int SealLength = 10;

    /// <summary>Seals a line.</summary>
    /// <param name="line">The line, of ASCII.</param>
    /// <returns>The line with its seal.</returns>
    public static string Seal(string line) => string.Create(CultureInfo.InvariantCulture, $"{line}{Mark}{Sum(line):x8}");

    /// <summary>Opens a sealed line.</summary>
    /// <param name="sealedLine">The line with its seal.</param>
    /// <param name="line">The line.</param>
    /// <returns>Whether it is whole.</returns>
    public static bool TryOpen(string sealedLine, out string line)
    {
        line = string.Empty;
        if (sealedLine.Length < SealLength || !sealedLine.AsSpan(^SealLength..).StartsWith(Mark, StringComparison.Ordinal)
            || !uint.TryParse(sealedLine.AsSpan(^8..), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint sum)
            || Sum(sealedLine.AsSpan(..^SealLength)) != sum)
        {
            return false;
        }

        line = sealedLine[..^SealLength];
        return true;
    }

    private static uint Sum(ReadOnlySpan<char> line)
    {
        uint sum = uint.MaxValue;
        foreach (char character in line)
        {
            sum = BitOperations.Crc32C(sum, (ushort)character);
        }

        return ~sum;
    }
}
