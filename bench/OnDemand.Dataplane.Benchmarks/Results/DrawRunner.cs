using System.Globalization;
using System.Text;

namespace OnDemand.Dataplane.Benchmarks.Results;

/// <summary>
/// Draws the table and the pictures of a run from its <c>results.tsv</c>: prints the table, writes it as <c>table.md</c> with the pictures
/// beside it, and puts it, or what it means for a gateway, between the marks of pages that have such.
/// </summary>
internal static class DrawRunner
{

    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments.Length == 0)
        {
            Console.Error.WriteLine("usage: draw DIRECTORY [PAGE...]");
            return 2;
        }

        string directory = arguments[0];
        try
        {
            var measurements = Measurements.Read(Path.Combine(directory, "results.tsv"));
            string table = Table(measurements);
            File.WriteAllText(Path.Combine(directory, "table.md"), table);
            _ = Plots.Write(measurements, directory, Short(measurements));
            foreach (string page in arguments[1..])
            {
                Replace(page, [("table", table), ("gateway", Gateway.Table(measurements))]);
            }

            Console.Write(table);
            return 0;
        }
        catch (Exception problem) when (problem is IOException or FormatException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"draw: {problem.Message}");
            return 2;
        }
    }

    private static string Table(Measurements m)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{Machine(m)}\n\n");
        text.Append("| what | floor | goal | measured | met? | values, for context |\n|---|---|---|---|---|---|\n");
        foreach (Target target in Targets.Of(m))
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {target.What} | {target.FloorText} | {target.GoalText} | {target.MeasuredText} | {target.Met} | {target.Values} |\n");
        }

        return text.ToString();
    }

    private static string Machine(Measurements m)
    {
        string dates = string.Join("; ", new[] { "engine", "tap", "replay" }
            .Where(part => m.Text("machine", part, "date") is not null)
            .GroupBy(part => (Date: m.Text("machine", part, "date"), Repeats: m.Text("machine", part, "repeats")))
            .Select(group => $"{string.Join(", ", group)} on {group.Key.Date} (medians of {group.Key.Repeats} runs in turns)"));
        string peers = m.Text("machine", "all", "peers") == "absent" ? " The yardsticks in C were not there: what needs them is not measured." : "";
        return $"Measured: {dates}; {m.Text("machine", "all", "cpu")}, {m.Text("machine", "all", "cores")} cores, " +
            $"{m.Text("machine", "all", "memory")}, Linux {m.Text("machine", "all", "kernel")}, .NET {m.Text("machine", "all", "dotnet")}.{peers}";
    }

    private static string Short(Measurements m)
    {
        string date = new[] { "engine", "tap", "replay" }.Select(part => m.Text("machine", part, "date")).Max() ?? "";
        return $"{date}, {m.Text("machine", "all", "cores")} cores, Linux {m.Text("machine", "all", "kernel")}";
    }

    private static void Replace(string page, (string Name, string Text)[] parts)
    {
        string text = File.ReadAllText(page);
        bool isFound = false;
        foreach ((string name, string part) in parts)
        {
            string begin = $"<!-- bench/run.sh: begin of {name} -->";
            string end = $"<!-- bench/run.sh: end of {name} -->";
            int from = text.IndexOf(begin, StringComparison.Ordinal);
            int to = text.IndexOf(end, StringComparison.Ordinal);
            if (from >= 0 && to > from)
            {
                isFound = true;
                text = string.Concat(text.AsSpan(0, from + begin.Length), "\n", part, text.AsSpan(to));
            }
        }

        if (!isFound)
        {
            throw new FormatException($"{page} has no marks such as \"<!-- bench/run.sh: begin of table -->\" and \"<!-- bench/run.sh: end of table -->\".");
        }

        File.WriteAllText(page, text);
    }
}
