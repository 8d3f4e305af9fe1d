using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Reports;

/// <summary>How times, sizes, addresses and ends of flows are written in reports.</summary>
internal static class ReportText
{
    private static readonly string[] SizeUnits = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

    /// <summary>A time as decimal seconds with nine digits.</summary>
    public static string Seconds(Timestamp time)
    {
        (long seconds, long rest) = Math.DivRem(Math.Abs(time.Nanoseconds), Timestamp.NanosecondsPerSecond);
        return string.Create(CultureInfo.InvariantCulture, $"{(time.Nanoseconds < 0 ? "-" : "")}{seconds}.{rest:D9}");
    }

    /// <summary>A time since the beginning, in seconds with three digits.</summary>
    public static string Since(Timestamp time, Timestamp start) =>
        ((decimal)time.Since(start).Nanoseconds / Timestamp.NanosecondsPerSecond).ToString("0.000", CultureInfo.InvariantCulture) + "s";

    /// <summary>A number of octets in decimal units with three digits at most.</summary>
    public static string Size(long octets)
    {
        decimal value = octets;
        int unit = 0;
        while (value >= 1000 && unit < SizeUnits.Length - 1)
        {
            value /= 1000;
            unit++;
        }

        string digits = unit == 0 || value >= 100 ? "0" : value >= 10 ? "0.0" : "0.00";
        return value.ToString(digits, CultureInfo.InvariantCulture) + SizeUnits[unit];
    }

    /// <summary>A whole number with thin groups of three, as English readers write them.</summary>
    public static string Count(long count) => count.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A whole number in at most seven characters: in full below a million, then with three digits.</summary>
    public static string ShortCount(long count) => count < 1_000_000 ? Count(count) : Size(count)[..^1];

    /// <summary>A number of things with their name: <c>1 flow</c>, <c>2 flows</c>.</summary>
    public static string Count(long count, string one, string? many = null) => $"{Count(count)} {(count == 1 ? one : many ?? one + "s")}";

    /// <summary>An end of a flow: address and port, where there is one.</summary>
    public static string End(IpAddress address, ushort port, int width = int.MaxValue)
    {
        string tail = port == 0 ? string.Empty : "." + port.ToString(CultureInfo.InvariantCulture);
        return Elide(address.ToString(), Math.Max(8, width - tail.Length)) + tail;
    }

    /// <summary>
    /// Cuts the middle out of a text that is too long: of an address both the prefix and the end of the interface identifier tell
    /// something.
    /// </summary>
    public static string Elide(string text, int width)
    {
        if (text.Length <= width)
        {
            return text;
        }

        int tail = (width - 1) * 2 / 5;
        return $"{text.AsSpan(0, width - 1 - tail)}…{text.AsSpan(text.Length - tail)}";
    }

    /// <summary>A text from outside without anything that a terminal or a file would obey.</summary>
    public static string Printable(string text) =>
        string.Create(text.Length, text, static (shown, original) =>
        {
            for (int i = 0; i < shown.Length; i++)
            {
                shown[i] = char.IsControl(original[i]) ? '\uFFFD' : original[i];
            }
        });

    /// <summary>The protocol's name, or its number.</summary>
    public static string Protocol(byte protocol) => ScenarioText.Protocol(protocol);
}
