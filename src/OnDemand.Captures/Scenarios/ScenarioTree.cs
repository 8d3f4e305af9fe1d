using System.Text;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace OnDemand.Captures.Scenarios;

/// <summary>
/// Reads YAML into a tree of bounded size and depth. Aliases, anchors and tags are refused: a scenario needs none of them, and they are
/// how a short file becomes an endless one.
/// </summary>
internal sealed class ScenarioTree
{
    /// <summary>The longest scenario file, in octets.</summary>
    public const int LargestFile = 1 << 20;

    /// <summary>How deeply lists and maps may be nested; the format itself needs six levels.</summary>
    public const int DeepestNesting = 16;

    private readonly string _file;
    private readonly Parser _events;

    private ScenarioTree(string file, string text)
    {
        _file = file;
        _events = new Parser(new StringReader(text));
    }

    /// <summary>Opens a file that is to be read.</summary>
    /// <param name="path">Its path.</param>
    /// <returns>The file, to be disposed.</returns>
    /// <exception cref="ScenarioException">It is a directory, of which the runtime would say that access is denied.</exception>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public static FileStream Open(string path) => Directory.Exists(path)
        ? throw new ScenarioException(path, 1, 1, "found a directory, expected a file") : File.OpenRead(path);

    /// <summary>Reads the one document of a file.</summary>
    /// <param name="file">The file's name, for errors.</param>
    /// <param name="octets">Its content.</param>
    /// <returns>The root.</returns>
    /// <exception cref="ScenarioException">The content is not one well-formed YAML document within the limits.</exception>
    public static ScenarioNode Read(string file, ReadOnlySpan<byte> octets)
    {
        if (octets.Length > LargestFile)
        {
            throw new ScenarioException(file, 1, 1, $"found more than {LargestFile} octets, expected a scenario of at most 1 MiB");
        }

        var tree = new ScenarioTree(file, Decode(file, octets));
        try
        {
            return tree.ReadDocument();
        }
        catch (YamlException broken)
        {
            throw new ScenarioException(
                file,
                (int)Math.Max(1, broken.Start.Line),
                (int)Math.Max(1, broken.Start.Column),
                $"found broken YAML, expected well-formed YAML: {Sentence(broken)}");
        }
        catch (Exception escaped) when (escaped
            is InvalidOperationException or ArgumentException or IndexOutOfRangeException or OverflowException)
        {
            // The YAML scanner lets a few of its own mistakes out on hostile input; to the user that is broken YAML all the same.
            throw new ScenarioException(file, 1, 1, "found broken YAML that could not be scanned, expected well-formed YAML");
        }
    }

    private static string Decode(string file, ReadOnlySpan<byte> octets)
    {
        if (octets.StartsWith(Encoding.UTF8.Preamble))
        {
            octets = octets[Encoding.UTF8.Preamble.Length..];
        }

        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(octets);
        }
        catch (DecoderFallbackException wrong)
        {
            ReadOnlySpan<byte> before = octets[..Math.Clamp(wrong.Index, 0, octets.Length)];
            throw new ScenarioException(
                file,
                before.Count((byte)'\n') + 1,
                before.Length - before.LastIndexOf((byte)'\n'),
                "found octets that are not UTF-8, expected a text file in UTF-8");
        }
    }

    private static string Sentence(YamlException broken)
    {
        string message = broken.Message.ReplaceLineEndings(" ");
        int colon = message.StartsWith('(') ? message.IndexOf("): ", StringComparison.Ordinal) : -1;   // "(Line: 1, Col: 2 …): what"
        return (colon < 0 ? message : message[(colon + 3)..]).TrimEnd('.', ' ');
    }

    private ScenarioNode ReadDocument()
    {
        Next();   // stream start
        if (Next() is not DocumentStart)
        {
            throw Wrong(1, 1, "an empty file", "a scenario with at least 'internal' and 'network'");
        }

        ScenarioNode root = ReadNode(0);
        Next();   // document end
        ParsingEvent end = Next();
        return end is StreamEnd ? root : throw Wrong(end, "a second YAML document", "one document");
    }

    private ScenarioNode ReadNode(int depth)
    {
        ParsingEvent first = Next();
        if (depth > DeepestNesting)
        {
            throw Wrong(first, $"more than {DeepestNesting} lists and maps inside each other", "a flatter scenario");
        }

        if (first is AnchorAlias)
        {
            throw Wrong(first, "a YAML alias", "the value itself");
        }

        if (first is NodeEvent { Anchor.IsEmpty: false })
        {
            throw Wrong(first, "a YAML anchor", "the value itself");
        }

        if (first is NodeEvent { Tag.IsEmpty: false })
        {
            throw Wrong(first, "a YAML tag", "a value without a tag");
        }

        (int line, int column) = Place(first);
        return first switch
        {
            Scalar scalar => new ScalarNode(line, column, scalar.Value, scalar.Style == ScalarStyle.Plain),
            SequenceStart => new SequenceNode(line, column, ReadItems(depth + 1)),
            MappingStart => new MappingNode(line, column, ReadEntries(depth + 1)),
            _ => throw Wrong(first, "something that is no value", "a word, a list or a map"),
        };
    }

    private List<ScenarioNode> ReadItems(int depth)
    {
        List<ScenarioNode> items = [];
        while (_events.Current is not SequenceEnd)
        {
            items.Add(ReadNode(depth));
        }

        Next();
        return items;
    }

    private List<KeyValuePair<ScalarNode, ScenarioNode>> ReadEntries(int depth)
    {
        List<KeyValuePair<ScalarNode, ScenarioNode>> entries = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        while (_events.Current is not MappingEnd)
        {
            ScenarioNode node = ReadNode(depth);
            if (node is not ScalarNode key)
            {
                throw Wrong(node.Line, node.Column, $"{node.Description} as a key", "a word");
            }

            if (!seen.Add(key.Text))
            {
                throw Wrong(key.Line, key.Column, $"the key {key.Description} a second time", "each key once");
            }

            entries.Add(new(key, ReadNode(depth)));
        }

        Next();
        return entries;
    }

    // The event that was current, after looking one further, so that the readers above can see what follows.
    private ParsingEvent Next()
    {
        if (_events.Current is null && !_events.MoveNext())
        {
            throw Wrong(1, 1, "an empty file", "a scenario with at least 'internal' and 'network'");
        }

        ParsingEvent current = _events.Current!;
        _events.MoveNext();
        return current;
    }

    private static (int Line, int Column) Place(ParsingEvent at) => ((int)at.Start.Line, (int)at.Start.Column);

    private ScenarioException Wrong(ParsingEvent at, string found, string expected) =>
        Wrong((int)at.Start.Line, (int)at.Start.Column, found, expected);

    private ScenarioException Wrong(int line, int column, string found, string expected) =>
        new(_file, Math.Max(1, line), Math.Max(1, column), $"found {found}, expected {expected}");
}
