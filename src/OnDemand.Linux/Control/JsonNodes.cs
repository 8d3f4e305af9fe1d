using System.Text;
using System.Text.Json;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Control;

/// <summary>
/// Reads strict JSON into the nodes that scenario files are read from, so that a request has the same words, the same checks and the same
/// sentences about mistakes as a file. Size is bounded by the caller, depth here.
/// </summary>
internal ref struct JsonNodes
{
    private const int DeepestNesting = 8;

    private readonly string _name;
    private readonly ReadOnlySpan<byte> _octets;
    private Utf8JsonReader _reader;
    private int _seen;          // octets whose lines are counted
    private int _line;
    private int _lineStart;

    private JsonNodes(string name, ReadOnlySpan<byte> octets)
    {
        _name = name;
        _octets = octets;
        _reader = new Utf8JsonReader(octets, new JsonReaderOptions { MaxDepth = DeepestNesting });
        _line = 1;
    }

    /// <summary>Reads a value.</summary>
    /// <param name="name">What it is called in errors.</param>
    /// <param name="octets">The JSON text in UTF-8.</param>
    /// <returns>The root.</returns>
    /// <exception cref="ScenarioException">It is not one well-formed JSON value.</exception>
    public static ScenarioNode Read(string name, ReadOnlySpan<byte> octets)
    {
        var nodes = new JsonNodes(name, octets);
        try
        {
            nodes._reader.Read();
            ScenarioNode root = nodes.ReadValue();
            nodes._reader.Read();   // throws if anything but space follows
            return root;
        }
        catch (JsonException broken)
        {
            throw new ScenarioException(
                name, (int)(broken.LineNumber ?? 0) + 1, (int)(broken.BytePositionInLine ?? 0) + 1,
                "found broken JSON, expected one JSON value");
        }
        catch (Exception broken) when (broken is InvalidOperationException or DecoderFallbackException)
        {
            throw new ScenarioException(name, 1, 1, "found text that is not UTF-8, expected JSON in UTF-8");
        }
    }

    private ScenarioNode ReadValue()
    {
        (int line, int column) = Place();
        switch (_reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return new MappingNode(line, column, ReadMembers());
            case JsonTokenType.StartArray:
                List<ScenarioNode> items = [];
                while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
                {
                    items.Add(ReadValue());
                }

                return new SequenceNode(line, column, items);
            case JsonTokenType.String:
                return new ScalarNode(line, column, _reader.GetString()!, IsPlain: false);
            case JsonTokenType.Null:
                return new ScalarNode(line, column, string.Empty, IsPlain: true);
            default:
                return new ScalarNode(line, column, Encoding.ASCII.GetString(_reader.ValueSpan), IsPlain: true);
        }
    }

    private List<KeyValuePair<ScalarNode, ScenarioNode>> ReadMembers()
    {
        List<KeyValuePair<ScalarNode, ScenarioNode>> members = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndObject)
        {
            (int line, int column) = Place();
            var key = new ScalarNode(line, column, _reader.GetString()!, IsPlain: false);
            if (!seen.Add(key.Text))
            {
                throw new ScenarioException(_name, line, column, $"found the key {key.Description} a second time, expected each key once");
            }

            _reader.Read();
            ScenarioNode value = ReadValue();
            if (!value.IsEmpty)   // null is the same as leaving it out
            {
                members.Add(new(key, value));
            }
        }

        return members;
    }

    // Each octet is looked at once, however many values there are.
    private (int Line, int Column) Place()
    {
        int start = (int)_reader.TokenStartIndex;
        for (; _seen < start; _seen++)
        {
            if (_octets[_seen] == (byte)'\n')
            {
                _line++;
                _lineStart = _seen + 1;
            }
        }

        return (_line, start - _lineStart + 1);
    }
}
