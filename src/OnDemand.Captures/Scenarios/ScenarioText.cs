using System.Globalization;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Scenarios;

/// <summary>The small words of a scenario file: durations, times, sizes and protocols, read and written.</summary>
internal static class ScenarioText
{
    private const int LongestNumber = 28;   // what a decimal holds without rounding

    private static readonly (string Name, byte Number)[] ProtocolNames =
    [
        ("tcp", 6), ("udp", 17), ("dccp", 33), ("icmpv6", 58), ("sctp", 132), ("udplite", 136),
    ];

    private static readonly (string Name, long Nanoseconds)[] Units =
    [
        ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ("d", 86_400_000_000_000),
    ];

    private static readonly (string Name, long Octets)[] SizeUnits =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40), ("kB", 1_000), ("MB", 1_000_000),
        ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1), ("", 1),
    ];

    /// <summary>The protocols that have names here, in the order of their numbers.</summary>
    public static IEnumerable<string> Protocols => ProtocolNames.Select(protocol => protocol.Name);

    /// <summary>Reads a protocol's name or number.</summary>
    public static bool TryProtocol(string text, out byte protocol)
    {
        foreach ((string name, byte number) in ProtocolNames)
        {
            if (string.Equals(name, text, StringComparison.OrdinalIgnoreCase))
            {
                protocol = number;
                return true;
            }
        }

        return byte.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out protocol);
    }

    /// <summary>A protocol's name, or its number where it has none here.</summary>
    public static string Protocol(byte protocol)
    {
        foreach ((string name, byte number) in ProtocolNames)
        {
            if (number == protocol)
            {
                return name;
            }
        }

        return protocol.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>
    /// Reads <c>2.5s</c>, <c>300ms</c>, <c>30m</c>, <c>2h</c>, <c>1d</c>, <c>100us</c>, <c>5ns</c>, <c>0</c> or <c>infinite</c>.
    /// </summary>
    public static bool TryDuration(string text, out Duration duration)
    {
        duration = Duration.Zero;
        if (text is "infinite")
        {
            duration = Duration.Infinite;
            return true;
        }

        if (text is "0")
        {
            return true;
        }

        int unit = text.AsSpan().IndexOfAnyExceptInRange('.', '9');
        if (unit <= 0)
        {
            return false;
        }

        foreach ((string name, long nanoseconds) in Units)
        {
            if (text.AsSpan(unit).SequenceEqual(name) && TryScale(text.AsSpan(0, unit), nanoseconds, out long total))
            {
                duration = new Duration(total);
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Reads a relative time (<c>2.5s</c>) or an absolute one (<c>1700000000.250</c>: nine integer digits or more, no unit).
    /// </summary>
    public static bool TryTime(string text, out ScenarioTime time)
    {
        int digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        digits = digits < 0 ? text.Length : digits;
        bool isAbsolute = digits >= 9 && text.AsSpan().IndexOfAnyExceptInRange('.', '9') < 0;
        if (isAbsolute && TryScale(text, Timestamp.NanosecondsPerSecond, out long total))
        {
            time = new ScenarioTime(total, IsAbsolute: true);
            return true;
        }

        bool relative = TryDuration(text, out Duration duration) && duration != Duration.Infinite;
        time = relative ? ScenarioTime.Relative(duration) : default;
        return relative;
    }

    /// <summary>Reads a number of octets: <c>1500</c>, <c>64KiB</c>, <c>1.5MB</c>.</summary>
    public static bool TrySize(string text, out long octets)
    {
        octets = 0;
        int unit = text.AsSpan().IndexOfAnyExceptInRange('.', '9');
        unit = unit < 0 ? text.Length : unit;
        foreach ((string name, long size) in SizeUnits)
        {
            if (text.AsSpan(unit).SequenceEqual(name))
            {
                return TryScale(text.AsSpan(0, unit), size, out octets);
            }
        }

        return false;
    }

    /// <summary>Reads one octet, decimal or after <c>0x</c> hexadecimal.</summary>
    public static bool TryOctet(string text, out byte octet) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? byte.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out octet)
            : byte.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out octet);

    /// <summary>
    /// Writes a duration in the largest unit of seconds, minutes, hours or days that needs no fraction, else below seconds.
    /// </summary>
    public static string Format(Duration duration)
    {
        if (duration == Duration.Infinite)
        {
            return "infinite";
        }

        long nanoseconds = duration.Nanoseconds;
        if (nanoseconds == 0)
        {
            return "0s";
        }

        // 90s stays 90s and 2.5s stays 2.5s: people read a fraction of a second better than 2500ms, and whole minutes better than 60s.
        if (nanoseconds >= Timestamp.NanosecondsPerSecond && nanoseconds % Units[4].Nanoseconds != 0)
        {
            return ((decimal)nanoseconds / Timestamp.NanosecondsPerSecond).ToString("0.#########", CultureInfo.InvariantCulture) + "s";
        }

        for (int i = Units.Length - 1; ; i--)
        {
            if (nanoseconds % Units[i].Nanoseconds == 0)
            {
                return (nanoseconds / Units[i].Nanoseconds).ToString(CultureInfo.InvariantCulture) + Units[i].Name;
            }
        }
    }

    /// <summary>Writes an absolute time as decimal seconds with nine digits, so that it reads back exactly.</summary>
    public static string Absolute(long nanoseconds) => string.Create(
        CultureInfo.InvariantCulture,
        $"{nanoseconds / Timestamp.NanosecondsPerSecond:D9}.{nanoseconds % Timestamp.NanosecondsPerSecond:D9}");

    /// <summary>Writes a number of octets in the largest binary unit that needs no fraction.</summary>
    public static string Size(long octets)
    {
        for (int i = 3; i >= 0; i--)
        {
            if (octets >= SizeUnits[i].Octets && octets % SizeUnits[i].Octets == 0)
            {
                return (octets / SizeUnits[i].Octets).ToString(CultureInfo.InvariantCulture) + SizeUnits[i].Name;
            }
        }

        return octets.ToString(CultureInfo.InvariantCulture);
    }

    // Exact, or not at all: a scenario that says half a nanosecond or half an octet is a mistake.
    private static bool TryScale(ReadOnlySpan<char> number, long unit, out long total)
    {
        total = 0;
        if (number.Length > LongestNumber
            || !decimal.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal value)
            || value > long.MaxValue / unit)
        {
            return false;
        }

        decimal scaled = value * unit;
        total = (long)decimal.Truncate(scaled);
        return total == scaled && total < long.MaxValue;
    }
}
