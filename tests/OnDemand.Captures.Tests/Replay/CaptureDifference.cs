using OnDemand.Captures.Link;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Says where two captures differ, in words that lead to the cause.</summary>
internal static class CaptureDifference
{
    /// <summary>The first difference: packet number and field; null if there is none.</summary>
    public static async Task<string?> FirstAsync(byte[] expected, byte[] found)
    {
        if (expected.AsSpan().SequenceEqual(found))
        {
            return null;
        }

        IReadOnlyList<SeenPacket> wanted = await ReplayOf.PacketsAsync(expected);
        IReadOnlyList<SeenPacket> came = await ReplayOf.PacketsAsync(found);
        for (int i = 0; i < Math.Min(wanted.Count, came.Count); i++)
        {
            if (Of(wanted[i], came[i]) is { } field)
            {
                return $"packet {i + 1}: {field}";
            }
        }

        return wanted.Count != came.Count
            ? $"packet {Math.Min(wanted.Count, came.Count) + 1}: {wanted.Count} packets became {came.Count}"
            : $"octet {expected.AsSpan().CommonPrefixLength(found)} of the file, outside of any packet's data";
    }

    private static string? Of(SeenPacket wanted, SeenPacket came)
    {
        if (wanted.Time != came.Time)
        {
            return $"time {wanted.Time} became {came.Time}";
        }

        if ((wanted.Interface, wanted.LinkType) != (came.Interface, came.LinkType))
        {
            return "interface or link type";
        }

        if ((wanted.OriginalLength, wanted.Data.Length) != (came.OriginalLength, came.Data.Length))
        {
            return $"lengths {wanted.Data.Length}/{wanted.OriginalLength} became {came.Data.Length}/{came.OriginalLength}";
        }

        int at = wanted.Data.AsSpan().CommonPrefixLength(came.Data);
        return at == wanted.Data.Length ? null : $"{Field(wanted, at)}, octet {at}: {wanted.Data[at]:x2} became {came.Data[at]:x2}";
    }

    private static string Field(SeenPacket packet, int at)
    {
        if (!LinkLayer.TryFindIpv6(packet.LinkType, packet.Data, out int offset))
        {
            return "no IPv6 packet";
        }

        return (at - offset) switch
        {
            < 0 => "link header",
            < 8 => "IPv6 header",
            < 24 => "IPv6 source",
            < 40 => "IPv6 destination",
            _ => (packet.Data[offset + 6], at - offset - 40) switch
            {
                (6, 16 or 17) => "TCP checksum",
                (17, 6 or 7) => "UDP checksum",
                (58, 2 or 3) => "ICMPv6 checksum",
                (44, < 8) => "fragment header",
                _ => "payload",
            },
        };
    }
}
