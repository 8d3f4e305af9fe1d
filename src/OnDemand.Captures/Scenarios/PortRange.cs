using System.Globalization;

namespace OnDemand.Captures.Scenarios;

/// <summary>Ports from one to another, both included; for ICMPv6 echo the identifier takes the local port's place.</summary>
/// <param name="First">The lowest port.</param>
/// <param name="Last">The highest port; never below <paramref name="First"/>.</param>
public readonly record struct PortRange(ushort First, ushort Last)
{
    /// <summary>Every port.</summary>
    public static readonly PortRange Any = new(0, ushort.MaxValue);

    /// <summary>Whether a port lies in the range.</summary>
    /// <param name="port">The port.</param>
    /// <returns>Whether it does.</returns>
    public bool Contains(ushort port) => port >= First && port <= Last;

    /// <inheritdoc/>
    public override string ToString() =>
        First == Last ? First.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{First}-{Last}");
}
