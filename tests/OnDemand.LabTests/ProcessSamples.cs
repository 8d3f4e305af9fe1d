using System.Globalization;

namespace OnDemand.LabTests;

/// <summary>What a process takes of its machine, looked at from outside again and again.</summary>
internal sealed class ProcessSamples(int process)
{
    private readonly List<(long Resident, long Threads, long Files)> _samples = [];

    public int Count => _samples.Count;

    /// <summary>Looks.</summary>
    public void Take()
    {
        string[] status = File.ReadAllLines($"/proc/{process}/status");
        _samples.Add((Number(status, "VmRSS:"), Number(status, "Threads:"), Directory.GetFileSystemEntries($"/proc/{process}/fd").Length));
    }

    /// <summary>The medians of some of the samples: resident KiB, threads, open files.</summary>
    public (long Resident, long Threads, long Files) Median(Range range)
    {
        (long Resident, long Threads, long Files)[] some = [.. _samples.Take(range)];
        return (Middle(some.Select(one => one.Resident)), Middle(some.Select(one => one.Threads)), Middle(some.Select(one => one.Files)));
    }

    private static long Middle(IEnumerable<long> values)
    {
        long[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private static long Number(string[] status, string word)
    {
        string line = status.First(one => one.StartsWith(word, StringComparison.Ordinal));
        return long.Parse(line[word.Length..].Replace("kB", string.Empty, StringComparison.Ordinal), CultureInfo.InvariantCulture);
    }
}
