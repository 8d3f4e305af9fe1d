using System.Globalization;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>Bars that lie beneath each other, one for each program that was measured, with names and values beside them.</summary>
/// <param name="Title">What is measured, with its unit.</param>
/// <param name="Bars">Who, and how much.</param>
internal sealed record BarPanel(string Title, IReadOnlyList<(string Who, double Value)> Bars)
{
    private const double Names = 140;
    private const double Values = 52;
    private const double Row = 24;

    /// <summary>In which order programs come: ours first.</summary>
    public static readonly string[] Order = ["ondemand", "replay", "e", "u", "nft", "c", "tcprewrite", "cp"];

    /// <summary>How high it is, with the space below.</summary>
    public double Height => 46 + (Bars.Count * Row);

    /// <summary>The color of a program, the same in every picture.</summary>
    public static int Color(string who) => who switch
    {
        "ondemand" or "replay" => 0,
        "e" or "u" => 1,
        "nft" or "cp" => 2,
        "c" or "tcprewrite" => 3,
        _ => 4,
    };

    public static BarPanel Of(Measurements m, string part, string what, string title) => new(
        title, [.. Order.Select(who => (who, m.Median(part, who, what))).Where(bar => bar.Item2 is not null).Select(bar => (bar.who, bar.Item2 ?? 0))]);

    public void Draw(SvgPage page, double x, double y, double width)
    {
        double most = Bars.Max(bar => bar.Value);
        page.Text(x, y + 8, Title, "head");
        for (int i = 0; i < Bars.Count; i++)
        {
            (string who, double value) = Bars[i];
            double top = y + 20 + (i * Row);
            double length = (width - Names - Values) * value / most;
            page.Text(x + Names - 8, top + 13, Targets.Name(who), who is "ondemand" or "replay" ? "head" : "", "end");
            page.Bar(x + Names, top, length, Row - 6, Color(who));
            string text = value >= 100 ? value.ToString("F0", CultureInfo.InvariantCulture)
                : value.ToString(value >= 10 ? "F1" : "F2", CultureInfo.InvariantCulture);
            page.Text(x + Names + length + 6, top + 13, text, "muted");
        }

        page.Stroke(x + Names, y + 16, x + Names, y + 20 + (Bars.Count * Row), "axis");
    }
}
