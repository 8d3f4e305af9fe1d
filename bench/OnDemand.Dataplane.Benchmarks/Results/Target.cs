using System.Globalization;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>One line of the table of what is to be reached: as many numbers as there are bounds.</summary>
/// <param name="What">What is measured, and against whom.</param>
/// <param name="Floors">What must be reached; empty if only a goal was set.</param>
/// <param name="Goals">What should be reached; empty if nothing was set.</param>
/// <param name="LessIsBetter">Whether the bounds are the most, not the least.</param>
/// <param name="Measured">The numbers, each null if it was not measured.</param>
/// <param name="Unit">The unit of all of them; empty for ratios.</param>
/// <param name="Values">Absolute values, for context.</param>
internal sealed record Target(
    string What, double[] Floors, double[] Goals, bool LessIsBetter, double?[] Measured, string Unit, string Values)
{
    public string FloorText => Floors.Length == 0 ? "–" : Bounds(Floors);

    public string GoalText => Goals.Length == 0 ? "–" : Bounds(Goals);

    public string MeasuredText
    {
        get
        {
            string numbers = string.Join(" / ", Measured.Select(value => value is { } number ? Number(number) : "–"));
            return Unit.Length == 0 || Measured.All(value => value is null) ? numbers : $"{numbers} {Unit}";
        }
    }

    /// <summary>The goal if all of it is met, the floor if all of that is, and else no.</summary>
    public string Met =>
        Array.Exists(Measured, value => value is null) ? "not measured"
        : Goals.Length == 0 ? "–"
        : Reaches(Goals) ? "goal"
        : Floors.Length > 0 && Reaches(Floors) ? "floor"
        : "**no**";

    public static string Number(double value) =>
        value == 0 ? "0"
        : Math.Abs(value) >= 100 ? value.ToString("F0", CultureInfo.InvariantCulture)
        : Math.Abs(value) >= 10 ? value.ToString("F1", CultureInfo.InvariantCulture)
        : value.ToString("F2", CultureInfo.InvariantCulture);

    private bool Reaches(double[] bounds) =>
        Measured.Select((value, i) => (Value: value ?? double.NaN, Bound: bounds[bounds.Length == 1 ? 0 : i]))
            .All(pair => LessIsBetter ? pair.Value <= pair.Bound : pair.Value >= pair.Bound);

    private string Bounds(double[] bounds)
    {
        bool isZero = bounds is [0];
        string numbers = string.Join(" / ", bounds.Select(bound => bound.ToString("0.##", CultureInfo.InvariantCulture)));
        string sign = isZero ? "" : LessIsBetter ? "≤ " : "≥ ";
        return Unit.Length == 0 ? sign + numbers : $"{sign}{numbers} {Unit}";
    }
}
