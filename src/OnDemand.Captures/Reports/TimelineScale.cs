using System.Globalization;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Reports;

/// <summary>Where times are in the picture.</summary>
/// <param name="from">The time at the left.</param>
/// <param name="to">The time at the right.</param>
/// <param name="left">Where the left is.</param>
/// <param name="width">How wide the picture is.</param>
internal sealed class TimelineScale(Timestamp from, Timestamp to, double left, double width)
{
    private const int MostTicks = 10;

    private readonly double _span = Math.Max(1, (double)to.Nanoseconds - from.Nanoseconds);

    /// <summary>Where the right is.</summary>
    public double Right => left + width;

    /// <summary>Where a time is; what lies outside is at the edge.</summary>
    public double X(Timestamp time) =>
        left + (width * Math.Clamp(((double)time.Nanoseconds - from.Nanoseconds) / _span, 0, 1));

    /// <summary>At most ten times at round distances, with their labels.</summary>
    public IEnumerable<(double X, string Label)> Ticks()
    {
        double seconds = _span / Timestamp.NanosecondsPerSecond;
        double step = Math.Pow(10, Math.Floor(Math.Log10(seconds / MostTicks)));
        step *= seconds / step <= MostTicks ? 1 : seconds / step <= 2 * MostTicks ? 2 : seconds / step <= 5 * MostTicks ? 5 : 10;
        int digits = (int)Math.Clamp(Math.Ceiling(-Math.Log10(step)), 0, 9);
        for (int i = 0; i * step <= seconds * (1 + 1e-9); i++)
        {
            double x = left + (width * Math.Min(1, i * step / seconds));
            yield return (x, (i * step).ToString("F" + digits.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) + "s");
        }
    }

    /// <summary>A coordinate as SVG wants it: a tenth of a pixel is enough.</summary>
    public static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
}
