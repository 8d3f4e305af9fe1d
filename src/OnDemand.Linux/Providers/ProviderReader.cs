using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;

namespace OnDemand.Linux.Providers;

/// <summary>
/// Reads the lines of a provider program: JSON, read as the scenario file's events are, with the same words, checks and sentences.
/// </summary>
/// <remarks>
/// <code>
/// {"answer": 7, "grant": {"prefix": "2001:db8:51:2::/64", "type": "session-lasting", "preferred": "30m", "valid": "1h", "home": true}}
/// {"answer": 7, "refuse": true}                                          no
/// {"answer": 7, "unsupported": true}                                     that type is not to be had here, however often it is asked for
/// {"withdraw": "2001:db8:51:2::/64", "window": "10s"}                    ends at once, or when the window is over
/// {"advertise": [{"prefix": …, "type": …, "preferred": …, "valid": …}], "authenticated": true}
///                                                                        new lifetimes, or prefixes that nobody asked for
/// {"attach": "ar2", "prefixes": […], "window": "10s"}, {"detach": true}  only where the configuration lets it move the host
/// </code>
/// Lifetimes that are left out are infinite. A grant must have exactly the type that was asked for, or it counts as a refusal.
/// </remarks>
/// <param name="inside">The internal addresses, which no network may give.</param>
/// <param name="mayMove">Whether the program may attach and detach the host.</param>
/// <param name="mostPrefixes">How many prefixes one line may have.</param>
internal sealed class ProviderReader(IReadOnlyList<IpPrefix> inside, bool mayMove, int mostPrefixes)
{
    private const string Name = "provider";

    private static readonly string[] Keys =
    [
        "answer", "grant", "refuse", "unsupported", "withdraw", "window", "advertise", "authenticated", "attach", "prefixes", "detach",
    ];

    private readonly ScenarioFields _fields = new(Name);

    /// <summary>Reads a line.</summary>
    /// <param name="line">The line without its line feed.</param>
    /// <returns>What it says.</returns>
    /// <exception cref="ScenarioException">It is not understood.</exception>
    public ProviderMessage Read(ReadOnlySpan<byte> line)
    {
        ScenarioNode root = JsonNodes.Read(Name, line);
        ScenarioMap map = _fields.Map(root, "a message", Keys);
        string kind = map.ExactlyOne("answer", "withdraw", "advertise", "attach", "detach");
        if (kind == "answer")
        {
            map.Refuse("beside 'answer'", "window", "authenticated", "prefixes");
            return ReadAnswer(map);
        }

        map.Refuse($"beside '{kind}'", "grant", "refuse", "unsupported");
        if (kind is "attach" or "detach" && !mayMove)
        {
            throw _fields.Wrong(map.Key(kind), $"'{kind}' of a provider that may not move the host", "it only with 'moves: true'");
        }

        return new ProviderMessage(0, Unasked: kind == "advertise" ? ReadAdvertisement(root, map) : ReadEvent(root, CopyOf(root)));
    }

    private ProviderMessage ReadAnswer(ScenarioMap map)
    {
        int number = (int)_fields.Number(map.Need("answer"), 1, int.MaxValue, "the number of a request");
        string kind = map.ExactlyOne("grant", "refuse", "unsupported");
        ScenarioNode value = map.Need(kind);
        if (kind == "grant")
        {
            // As if the host came to a network that gives this one prefix: the checks are the same.
            var gift = (AttachEvent)ReadEvent(value, [Entry(value, "attach", "x"), Entry(value, "prefixes", [value])]);
            return gift.Prefixes[0].Type != AddressType.None
                ? new ProviderMessage(number, PrefixAnswerKind.Granted, gift.Prefixes[0])
                : throw _fields.Wrong(value, "a grant without a type", "the type that was asked for");
        }

        return _fields.Truth(value, "true")
            ? new ProviderMessage(number, kind == "refuse" ? PrefixAnswerKind.Refused : PrefixAnswerKind.Unsupported)
            : throw _fields.Wrong(value, value.Description, "true");
    }

    // In a scenario the list stands under a key of its own.
    private NetworkEvent ReadAdvertisement(ScenarioNode root, ScenarioMap map)
    {
        map.Refuse("beside 'advertise'", "prefixes", "window");
        ScenarioNode list = map.Need("advertise");
        if (list is not SequenceNode { Items: { Count: > 0 } items })
        {
            throw _fields.Wrong(list, list.Description, "a list of at least one prefix");
        }

        List<KeyValuePair<ScalarNode, ScenarioNode>> entries = [Entry(list, "advertise", "true"), Entry(list, "prefixes", items)];
        if (map.Find("authenticated") is { } authenticated)
        {
            entries.Add(new(new ScalarNode(authenticated.Line, authenticated.Column, "authenticated", IsPlain: true), authenticated));
        }

        return ReadEvent(root, entries);
    }

    private NetworkEvent ReadEvent(ScenarioNode at, List<KeyValuePair<ScalarNode, ScenarioNode>> entries)
    {
        foreach ((ScalarNode key, ScenarioNode value) in entries)
        {
            if (key.Text == "prefixes" && value is SequenceNode { Items.Count: int count } && count > mostPrefixes)
            {
                throw _fields.Wrong(value, $"{count} prefixes", $"no more than the {mostPrefixes} that there is room for");
            }
        }

        entries.Insert(0, Entry(at, "at", "0s"));
        var scenario = new ScenarioNetworkReader(_fields, [.. inside]);
        return scenario.ReadEvents(new SequenceNode(at.Line, at.Column, [new MappingNode(at.Line, at.Column, entries)]))[0];
    }

    private static List<KeyValuePair<ScalarNode, ScenarioNode>> CopyOf(ScenarioNode root) => [.. ((MappingNode)root).Entries];

    private static KeyValuePair<ScalarNode, ScenarioNode> Entry(ScenarioNode at, string key, string value) =>
        new(new ScalarNode(at.Line, at.Column, key, IsPlain: true), new ScalarNode(at.Line, at.Column, value, IsPlain: true));

    private static KeyValuePair<ScalarNode, ScenarioNode> Entry(ScenarioNode at, string key, IReadOnlyList<ScenarioNode> items) =>
        new(new ScalarNode(at.Line, at.Column, key, IsPlain: true), new SequenceNode(at.Line, at.Column, [.. items]));
}
