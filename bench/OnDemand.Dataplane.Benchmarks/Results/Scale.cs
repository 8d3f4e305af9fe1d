using System.Globalization;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>Where values are on an axis of a plot.</summary>
/// <param name="From">The value where the axis begins.</param>
/// <param name="To">The value where it ends.</param>
/// <param name="Start">Where the axis begins.</param>
/// <param name="End">Where it ends; above its begin for an axis that goes upwards.</param>
/// <param name="Logarithmic">Whether equal ratios are equally long.</param>
internal sealed record Scale(double From, double To, double Start, double End, bool Logarithmic)
{
    /// <summary>Where a value is; what lies outside is at the edge.</summary>
    public double At(double value)
    {
        double part = Logarithmic ? Math.Log(Math.Max(value, 1e-12) / From) / Math.Log(To / From) : (value - From) / (To - From);
        return Start + ((End - Start) * Math.Clamp(part, 0, 1));
    }

    /// <summary>Round values along the axis: powers of ten (with 2 and 5 between if the axis is short), or about six equal steps.</summary>
    public IEnumerable<double> Ticks()
    {
        if (Logarithmic)
        {
            double[] steps = To / From > 200 ? [1] : [1, 2, 5];
            for (double power = Math.Pow(10, Math.Floor(Math.Log10(From))); power <= To * 1.0001; power *= 10)
            {
                foreach (double tick in steps.Select(step => step * power).Where(tick => tick >= From * 0.9999 && tick <= To * 1.0001))
                {
                    yield return tick;
                }
            }

            yield break;
        }

        double rough = (To - From) / 6;
        double ten = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double size = ten * (rough / ten <= 1 ? 1 : rough / ten <= 2 ? 2 : rough / ten <= 5 ? 5 : 10);
        for (double tick = Math.Ceiling(From / size) * size; tick <= To + (size * 1e-6); tick += size)
        {
            yield return tick;
        }
    }

    /// <summary>A value as it stands at a tick: 10 M, 1 k, 0.5.</summary>
    public static string Label(double value) => value switch
    {
        >= 1e6 => (value / 1e6).ToString("0.###", CultureInfo.InvariantCulture) + " M",
        >= 1e3 => (value / 1e3).ToString("0.###", CultureInfo.InvariantCulture) + " k",
        _ => value.ToString("0.####", CultureInfo.InvariantCulture),
    };
}
