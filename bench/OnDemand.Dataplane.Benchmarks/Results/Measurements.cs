using System.Globalization;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>
/// What <c>bench/run.sh</c> has measured: lines of four columns, which part of the run it is, who was measured, what, and the value. Where
/// a line comes more than once, the median counts.
/// </summary>
internal sealed class Measurements
{
    private readonly Dictionary<(string Part, string Who, string What), List<string>> _values = [];

    /// <summary>Reads the file; throws <see cref="FormatException"/> with the line where it is not such a file.</summary>
    public static Measurements Read(string path)
    {
        var measurements = new Measurements();
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            string[] columns = line.Split('\t');
            if (columns.Length != 4)
            {
                throw new FormatException($"{path}, line {number}: four columns are needed.");
            }

            (string, string, string) key = (columns[0], columns[1], columns[2]);
            if (!measurements._values.TryGetValue(key, out List<string>? values))
            {
                measurements._values[key] = values = [];
            }

            values.Add(columns[3]);
        }

        return measurements;
    }

    /// <summary>Whether anything of a part is there.</summary>
    public bool Has(string part) => _values.Keys.Any(key => key.Part == part);

    /// <summary>A text, such as the machine's name; null if it is not there.</summary>
    public string? Text(string part, string who, string what) => _values.TryGetValue((part, who, what), out List<string>? values) ? values[^1] : null;

    /// <summary>The median of what was measured; null if nothing was.</summary>
    public double? Median(string part, string who, string what)
    {
        if (!_values.TryGetValue((part, who, what), out List<string>? values))
        {
            return null;
        }

        double[] sorted = [.. values.Select(value => double.Parse(value, CultureInfo.InvariantCulture)).Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }

    /// <summary>How many times a value is of another; null if one of them is not there.</summary>
    public double? Ratio(string part, string ours, string theirs, string what) =>
        Median(part, ours, what) is { } a && Median(part, theirs, what) is { } b && b > 0 ? a / b : null;

    /// <summary>
    /// Octets that each further flow takes: the slope between a number of flows and four times that, so that what the engine has without a
    /// flow does not count.
    /// </summary>
    public double? OctetsPerFlow(string kind) =>
        Median("memory", kind, "octets/flow") is { } few && Median("memory", kind, "octets/flow of four times") is { } many ? ((4 * many) - few) / 3 : null;

    /// <summary>Who was measured in a part, in the order of the file.</summary>
    public IReadOnlyList<string> Whos(string part) => [.. _values.Keys.Where(key => key.Part == part).Select(key => key.Who).Distinct()];

    /// <summary>The numbers after a word in what was measured of someone, such as the flows in "batch 1000", with their medians.</summary>
    public IReadOnlyList<(double X, double Y)> Series(string part, string who, string word) =>
    [
        .. _values.Keys.Where(key => key.Part == part && key.Who == who && key.What.StartsWith(word, StringComparison.Ordinal))
            .Select(key => (double.Parse(key.What.AsSpan(word.Length), CultureInfo.InvariantCulture), Median(part, who, key.What) ?? 0))
            .OrderBy(point => point.Item1),
    ];
}
