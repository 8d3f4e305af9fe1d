using System.Globalization;

namespace OnDemand.Dataplane.Selection;

/// <summary>A range of ports, both ends included.</summary>
public readonly record struct PortRange
{
    /// <summary>Makes a range.</summary>
    /// <param name="first">The first port.</param>
    /// <param name="last">The last port, not below the first.</param>
    /// <exception cref="ArgumentOutOfRangeException">The last port is below the first.</exception>
    public PortRange(ushort first, ushort last)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(last, first);
        First = first;
        Last = last;
    }

    /// <summary>A range of one port.</summary>
    /// <param name="port">The port.</param>
    public PortRange(ushort port)
        : this(port, port)
    {
    }

    /// <summary>The first port.</summary>
    public ushort First { get; }

    /// <summary>The last port.</summary>
    public ushort Last { get; }

    /// <summary>Whether a port lies in the range.</summary>
    /// <param name="port">The port.</param>
    /// <returns>Whether it does.</returns>
    public bool Contains(ushort port) => First <= port && port <= Last;

    /// <summary>Reads <c>5353</c> or <c>5000-5999</c>.</summary>
    /// <param name="text">The text.</param>
    /// <param name="range">The range.</param>
    /// <returns>Whether the text is a range of ports.</returns>
    public static bool TryParse(string? text, out PortRange range)
    {
        range = default;
        ReadOnlySpan<char> whole = text;
        int hyphen = whole.IndexOf('-');
        ReadOnlySpan<char> lastText = hyphen < 0 ? whole : whole[(hyphen + 1)..];
        ReadOnlySpan<char> firstText = hyphen < 0 ? whole : whole[..hyphen];
        if (!TryParsePort(firstText, out ushort first) || !TryParsePort(lastText, out ushort last) || last < first)
        {
            return false;
        }

        range = new PortRange(first, last);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        First == Last ? First.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}");

    private static bool TryParsePort(ReadOnlySpan<char> text, out ushort port) =>
        ushort.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out port);
}
