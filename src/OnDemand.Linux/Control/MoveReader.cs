using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Control;

/// <summary>
/// Reads moves out of requests and files, by way of the reader of scenario files: the same words, types and durations, the same checks.
/// </summary>
/// <param name="name">What the request or file is called in errors.</param>
/// <param name="inside">The internal addresses, which no network may give; empty where they are not known.</param>
internal sealed class MoveReader(string name, IReadOnlyList<IpPrefix> inside)
{
    private readonly ScenarioFields _fields = new(name);

    /// <summary>Reads <c>{attachment, prefixes, window}</c>.</summary>
    /// <param name="node">The request.</param>
    /// <param name="mostPrefixes">How many prefixes it may have.</param>
    /// <returns>The move.</returns>
    /// <exception cref="ScenarioException">The request is wrong.</exception>
    public AttachEvent ReadAttach(ScenarioNode node, int mostPrefixes)
    {
        ScenarioMap map = _fields.Map(node, "an attachment", "attachment", "prefixes", "window");
        ScenarioNode attachment = map.Need("attachment");
        if (map.Find("prefixes") is SequenceNode { Items.Count: int count } list && count > mostPrefixes)
        {
            throw _fields.Wrong(list, $"{count} prefixes", $"no more than the {mostPrefixes} that there is room for");
        }

        return (AttachEvent)ReadEvent(node, ("attach", attachment), ("prefixes", map.Find("prefixes")), ("window", map.Find("window")));
    }

    /// <summary>Reads <c>{prefix, window}</c>.</summary>
    /// <param name="node">The request.</param>
    /// <returns>The withdrawal.</returns>
    /// <exception cref="ScenarioException">The request is wrong.</exception>
    public WithdrawEvent ReadWithdraw(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "a withdrawal", "prefix", "window");
        return (WithdrawEvent)ReadEvent(node, ("withdraw", map.Need("prefix")), ("window", map.Find("window")));
    }

    /// <summary>Checks that a request without content has none.</summary>
    /// <param name="node">The request.</param>
    /// <exception cref="ScenarioException">The request is wrong.</exception>
    public void ReadNothing(ScenarioNode node)
    {
        if (node is not MappingNode { Entries.Count: 0 })
        {
            throw _fields.Wrong(node, node.Description, "nothing, or an empty object");
        }
    }

    /// <summary>Reads a file with one <c>attach</c> event as it would stand in a scenario, its time left out.</summary>
    /// <param name="octets">The file's content.</param>
    /// <param name="attachment">The point of attachment if the file names none; null if it must.</param>
    /// <returns>The move.</returns>
    /// <exception cref="ScenarioException">The file is wrong.</exception>
    public AttachEvent ReadFile(ReadOnlySpan<byte> octets, string? attachment)
    {
        ScenarioNode node = ScenarioTree.Read(name, octets);
        ScenarioMap map = _fields.Map(node, "a move", "attach", "prefixes", "window");
        ScenarioNode place = attachment is null ? map.Need("attach") : new ScalarNode(node.Line, node.Column, attachment, IsPlain: false);
        return (AttachEvent)ReadEvent(node, ("attach", place), ("prefixes", map.Find("prefixes")), ("window", map.Find("window")));
    }

    // The event as it would stand in a scenario.
    private NetworkEvent ReadEvent(ScenarioNode at, params ReadOnlySpan<(string Key, ScenarioNode? Value)> values)
    {
        List<KeyValuePair<ScalarNode, ScenarioNode>> entries = [Entry(at, "at", new ScalarNode(at.Line, at.Column, "0s", IsPlain: true))];
        foreach ((string key, ScenarioNode? value) in values)
        {
            if (value is not null)
            {
                entries.Add(Entry(value, key, value));
            }
        }

        var scenario = new ScenarioNetworkReader(_fields, [.. inside]);
        return scenario.ReadEvents(new SequenceNode(at.Line, at.Column, [new MappingNode(at.Line, at.Column, entries)]))[0];
    }

    private static KeyValuePair<ScalarNode, ScenarioNode> Entry(ScenarioNode at, string key, ScenarioNode value) =>
        new(new ScalarNode(at.Line, at.Column, key, IsPlain: true), value);
}
