using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Config;

/// <summary>What a configuration says, key by key, whatever its order, its comments and its form.</summary>
internal sealed class ConfigOutline
{
    /// <summary>That of no file.</summary>
    public static readonly ConfigOutline Empty = new();

    // Their keys are told apart; of all others only the whole value.
    private static readonly string[] Maps = ["policy", "host"];

    private readonly SortedDictionary<string, string> _values = new(StringComparer.Ordinal);

    private ConfigOutline()
    {
    }

    /// <summary>Outlines a file.</summary>
    /// <param name="root">Its content.</param>
    /// <returns>The outline.</returns>
    public static ConfigOutline Of(MappingNode root)
    {
        var outline = new ConfigOutline();
        foreach ((ScalarNode key, ScenarioNode value) in root.Entries)
        {
            if (!Maps.Contains(key.Text, StringComparer.Ordinal))
            {
                outline._values[key.Text] = Text(value);
            }
            else if (value is MappingNode map)
            {
                foreach ((ScalarNode part, ScenarioNode content) in map.Entries)
                {
                    outline._values[$"{key.Text}: {part.Text}"] = Text(content);
                }
            }
        }

        return outline;
    }

    /// <summary>The keys whose values are not the same in another outline, those that only one has included.</summary>
    /// <param name="other">The other outline.</param>
    /// <returns>The keys, such as <c>seed</c> or <c>host: tap</c>.</returns>
    public IEnumerable<string> DifferencesFrom(ConfigOutline other) => _values.Keys.Union(other._values.Keys)
        .Where(key => _values.GetValueOrDefault(key) != other._values.GetValueOrDefault(key)).Order(StringComparer.Ordinal);

    private static string Text(ScenarioNode node) => node switch
    {
        ScalarNode scalar => $"'{scalar.Text.Replace("'", "''", StringComparison.Ordinal)}'",
        SequenceNode list => $"[{string.Join(", ", list.Items.Select(Text))}]",
        MappingNode map => $"{{{string.Join(", ", map.Entries.OrderBy(entry => entry.Key.Text, StringComparer.Ordinal)
            .Select(entry => $"{Text(entry.Key)}: {Text(entry.Value)}"))}}}",
        _ => string.Empty,
    };
}
