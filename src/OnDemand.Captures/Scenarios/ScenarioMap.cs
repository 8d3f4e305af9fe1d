namespace OnDemand.Captures.Scenarios;

/// <summary>A map of a scenario whose keys are all known.</summary>
internal sealed class ScenarioMap
{
    private readonly ScenarioFields _fields;
    private readonly Dictionary<string, ScenarioNode> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ScenarioNode> _keys = new(StringComparer.Ordinal);
    private readonly string _what;

    /// <summary>Checks that a node is a map and that every key is known.</summary>
    /// <param name="fields">Makes the errors.</param>
    /// <param name="node">The node; nothing at all is the empty map.</param>
    /// <param name="what">What the map describes, with its article, for errors.</param>
    /// <param name="keys">The known keys.</param>
    public ScenarioMap(ScenarioFields fields, ScenarioNode node, string what, IReadOnlyCollection<string> keys)
    {
        _fields = fields;
        _what = what;
        Node = node;
        if (node is not MappingNode map)
        {
            if (node.IsEmpty)
            {
                return;
            }

            throw fields.Wrong(node, node.Description, $"{what}: a map with keys such as '{keys.First()}'");
        }

        foreach ((ScalarNode key, ScenarioNode value) in map.Entries)
        {
            if (!keys.Contains(key.Text, StringComparer.Ordinal))
            {
                throw fields.UnknownWord(key, key.Text, $"key in {what}", keys);
            }

            _values.Add(key.Text, value);
            _keys.Add(key.Text, key);
        }
    }

    /// <summary>The map itself, for errors about the whole.</summary>
    public ScenarioNode Node { get; }

    /// <summary>Where the map stands.</summary>
    public ScenarioPlace Place => new(Node.Line, Node.Column);

    /// <summary>Whether a key is there.</summary>
    public bool Has(string key) => _values.ContainsKey(key);

    /// <summary>The value of a key; null when the key is not there.</summary>
    public ScenarioNode? Find(string key) => _values.GetValueOrDefault(key);

    /// <summary>The key itself, for errors; the key must be there.</summary>
    public ScenarioNode Key(string key) => _keys[key];

    /// <summary>The value of a key that must be there.</summary>
    public ScenarioNode Need(string key) =>
        Find(key) ?? throw _fields.Wrong(Node, $"{_what} without '{key}'", $"the key '{key}'");

    /// <summary>The value of a key, read by a function; the alternative when the key is not there.</summary>
    public T Get<T>(string key, Func<ScenarioNode, T> read, T otherwise) => Find(key) is ScenarioNode node ? read(node) : otherwise;

    /// <summary>The value of a key, read by a function; null when the key is not there.</summary>
    public T? Maybe<T>(string key, Func<ScenarioNode, T> read)
        where T : struct => Find(key) is ScenarioNode node ? read(node) : null;

    /// <summary>Which of several keys is there; exactly one must be.</summary>
    public string ExactlyOne(params string[] keys)
    {
        string[] given = [.. keys.Where(Has)];
        string all = string.Join(", ", keys);
        return given.Length switch
        {
            1 => given[0],
            0 => throw _fields.Wrong(Node, $"{_what} with none of {all}", "exactly one of them"),
            _ => throw _fields.Wrong(Key(given[1]), $"'{given[0]}' and '{given[1]}' in {_what}", $"exactly one of {all}"),
        };
    }

    /// <summary>Refuses keys that make no sense beside another.</summary>
    public void Refuse(string because, params string[] keys)
    {
        foreach (string key in keys.Where(Has))
        {
            throw _fields.Wrong(Key(key), $"'{key}' {because}", "it to be left out");
        }
    }
}
