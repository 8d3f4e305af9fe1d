using System.Globalization;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Reports;

/// <summary>How a typed address looks: its color, its pattern where colors come round again, and its letter, which needs neither.</summary>
/// <param name="Letter">A to Z, then A1 to Z1 and so on.</param>
/// <param name="Color">The number of its color.</param>
/// <param name="Round">How often all colors were used before.</param>
/// <param name="Type">The type of the flow that had it first.</param>
internal sealed record TimelineLook(string Letter, int Color, int Round, AddressType Type);

/// <summary>Gives each typed address a look, in the order of their first use.</summary>
internal sealed class TimelinePalette
{
    /// <summary>
    /// Okabe and Ito's colors without black, which color-blind readers can tell apart, each with the color of text on it.
    /// </summary>
    public static readonly (string Fill, string Text)[] Colors =
    [
        ("#0072b2", "#fff"), ("#e69f00", "#000"), ("#009e73", "#000"), ("#cc79a7", "#000"), ("#56b4e9", "#000"), ("#d55e00", "#000"),
        ("#f0e442", "#000"), ("#999999", "#000"),
    ];

    private readonly Dictionary<IpAddress, TimelineLook> _looks = [];

    /// <summary>Gives the addresses of some flows their looks.</summary>
    public TimelinePalette(IEnumerable<ReportFlow> flows)
    {
        foreach (ReportFlow flow in flows)
        {
            foreach (ReportSpan span in flow.Spans)
            {
                int n = _looks.Count;
                string round = n < 26 ? string.Empty : (n / 26).ToString(CultureInfo.InvariantCulture);
                string letter = (char)('A' + (n % 26)) + round;
                _looks.TryAdd(span.Typed, new TimelineLook(letter, n % Colors.Length, n / Colors.Length, flow.Type));
            }
        }
    }

    /// <summary>The addresses with their looks, in the order of their first use.</summary>
    public IReadOnlyDictionary<IpAddress, TimelineLook> Looks => _looks;

    /// <summary>The look of an address.</summary>
    public TimelineLook this[IpAddress address] => _looks[address];
}
