using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>One sample of an exposition.</summary>
internal sealed record PrometheusSample(string Name, IReadOnlyDictionary<string, string> Labels, double Value);

/// <summary>A small parser of Prometheus's text format that lets nothing pass: HELP, TYPE, then the samples of that metric, each
/// once.</summary>
internal static partial class PrometheusParser
{
    public static List<PrometheusSample> Parse(string text)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        List<PrometheusSample> samples = [];
        HashSet<string> metrics = [];
        HashSet<string> seen = [];
        string? help = null;
        string? type = null;
        foreach (string line in text[..^1].Split('\n'))
        {
            if (HelpLine().Match(line) is { Success: true } helpLine)
            {
                help = helpLine.Groups[1].Value;
                type = null;
                Assert.True(metrics.Add(help), $"{help} is there twice.");
                Assert.DoesNotMatch(@"\\[^\\n]", helpLine.Groups[2].Value.Replace(@"\\", "", StringComparison.Ordinal));
            }
            else if (TypeLine().Match(line) is { Success: true } typeLine)
            {
                type = typeLine.Groups[1].Value;
                Assert.Equal(help, type);
                Assert.Equal(typeLine.Groups[2].Value == "counter", type.EndsWith("_total", StringComparison.Ordinal));
            }
            else
            {
                Match sample = SampleLine().Match(line);
                Assert.True(sample.Success, $"Not a sample: {line}");
                Assert.Equal(type, sample.Groups["name"].Value);
                Assert.True(seen.Add(sample.Groups["name"].Value + sample.Groups["labels"].Value), $"Twice: {line}");
                var labels = Label().Matches(sample.Groups["labels"].Value).ToDictionary(one => one.Groups[1].Value, one =>
                    Unescape(one.Groups[2].Value));
                samples.Add(new(type!, labels, double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture)));
            }
        }

        Assert.Subset(samples.Select(one => one.Name).ToHashSet(), metrics);
        return samples;
    }

    public static string Unescape(string text)
    {
        var plain = new StringBuilder();
        for (int i = 0; i < text.Length; i++)
        {
            plain.Append(text[i] != '\\' ? text[i] : text[++i] switch
            {
                'n' => '\n',
                '\\' or '"' => text[i],
                _ => throw new FormatException($"An unknown escape in {text}."),
            });
        }

        return plain.ToString();
    }

    [GeneratedRegex(@"^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$")]
    private static partial Regex HelpLine();

    [GeneratedRegex(@"^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)$")]
    private static partial Regex TypeLine();

    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?<labels>\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*")*\})? (?<value>-?[0-9.e+]+)$""")]
    private static partial Regex SampleLine();

    [GeneratedRegex("""([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"[,}]""")]
    private static partial Regex Label();
}
