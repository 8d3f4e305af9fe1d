using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>Reads what the network does and what it answers.</summary>
/// <param name="fields">Reads single values.</param>
/// <param name="inside">The internal addresses, which the network must not give away.</param>
internal sealed class ScenarioNetworkReader(ScenarioFields fields, IpPrefix[] inside)
{
    /// <summary>The key beside the types of <c>on-demand</c>.</summary>
    public const string OrderKey = "order";

    private static readonly string[] AnswerKinds = ["grant", "refuse", "unsupported", "silence"];

    private readonly Dictionary<IpPrefix, AddressType> _given = [];
    private readonly HashSet<IpPrefix> _drawn = [];
    private readonly List<(ScenarioNode Node, IpPrefix Prefix)> _withdrawn = [];

    /// <summary>Every prefix that the network gives at some time, by event or by answer.</summary>
    public IReadOnlyCollection<IpPrefix> Given => _given.Keys;

    /// <summary>Reads <c>network</c>.</summary>
    public NetworkEvent[] ReadEvents(ScenarioNode node)
    {
        NetworkEvent[] events = fields.List(node, "a list of at least one event", ReadEvent);
        if (events.Length == 0)
        {
            throw fields.Wrong(node, "an empty list", "a list of at least one event");
        }

        // Relative and absolute times meet only when the first packet is known: Scenario.CheckOrder. Within each kind order is checked
        // here.
        NetworkEvent?[] last = new NetworkEvent?[2];
        foreach (NetworkEvent next in events)
        {
            ref NetworkEvent? before = ref last[next.At.IsAbsolute ? 1 : 0];
            if (before is not null && next.At.Nanoseconds < before.At.Nanoseconds)
            {
                throw fields.Wrong(next.Place, $"an event at {next.At} after one at {before.At}", "events in time order");
            }

            before = next;
        }

        return events;
    }

    /// <summary>Reads <c>on-demand</c>.</summary>
    /// <param name="node">The map; null if there is none.</param>
    /// <param name="order">The order in which answers of one list are given.</param>
    /// <returns>The answers by type.</returns>
    public SortedDictionary<AddressType, IReadOnlyList<NetworkAnswer>> ReadAnswers(ScenarioNode? node, out AnswerOrder order)
    {
        order = node is MappingNode map && map.Entries.FirstOrDefault(entry => entry.Key.Text == OrderKey) is { Value: { } word }
            ? (AnswerOrder)fields.Word(word, "order", "as-given", "random")
            : AnswerOrder.AsGiven;
        bool drawn = order == AnswerOrder.Random;
        SortedDictionary<AddressType, IReadOnlyList<NetworkAnswer>> answers = [];
        foreach ((AddressType type, ScenarioNode value) in ScenarioReader.TypedEntries(fields, node, "on-demand", OrderKey))
        {
            answers.Add(type, value is SequenceNode list
                ? ReadList(list, type, drawn)
                : [ReadAnswer(value, type, drawn)]);
        }

        CheckWithdrawals();
        return answers;
    }

    private NetworkAnswer[] ReadList(SequenceNode node, AddressType type, bool drawn)
    {
        HashSet<IpPrefix> seen = [];
        return fields.List(node, "a list of answers", item =>
        {
            NetworkAnswer answer = ReadAnswer(item, type, drawn);
            if (!drawn || node.Items.Count == 1)
            {
                return answer;
            }

            // What is drawn is a prefix: beside one nothing says how often to refuse.
            return answer.Prefix is not { } given
                ? throw fields.Wrong(item, $"'answer: {AnswerKinds[(int)answer.Kind]}' in a list beside 'order: random'", "a list of grants")
                : seen.Add(given.Prefix) ? answer : throw fields.Wrong(
                    item, $"the prefix {given.Prefix} a second time in one list beside 'order: random'", "each prefix once");
        });
    }

    private NetworkEvent ReadEvent(ScenarioNode node)
    {
        ScenarioMap map = fields.Map(
            node, "a network event", "at", "attach", "prefixes", "window", "withdraw", "detach", "advertise", "authenticated");
        ScenarioTime at = fields.Time(map.Need("at"));
        string kind = map.ExactlyOne("attach", "withdraw", "detach", "advertise");
        if (kind != "advertise")
        {
            map.Refuse($"beside '{kind}'", "authenticated");
        }

        switch (kind)
        {
            case "attach":
                return new AttachEvent(
                    at, map.Place, Name(map.Need("attach")), ReadPrefixes(map.Find("prefixes"), isNew: true), Window(map));
            case "withdraw":
                map.Refuse("beside 'withdraw'", "prefixes");
                return ReadWithdrawal(map, at);
            case "detach":
                map.Refuse("beside 'detach'", "prefixes", "window");
                OnlyTrue(map.Need("detach"));
                return new DetachEvent(at, map.Place);
            default:
                map.Refuse("beside 'advertise'", "window");
                OnlyTrue(map.Need("advertise"));
                bool authenticated = map.Get("authenticated", truth => fields.Truth(truth), false);
                return new AdvertiseEvent(at, map.Place, ReadPrefixes(map.Need("prefixes"), isNew: false), authenticated);
        }
    }

    private string Name(ScenarioNode node)
    {
        const string expected = "the name of a point of attachment in at most 64 printable characters";
        string name = fields.Text(node, expected);
        return name.Length <= 64 && !name.Any(char.IsControl) ? name : throw fields.Wrong(node, node.Description, expected);
    }

    private Duration? Window(ScenarioMap map) => map.Maybe("window", node =>
        fields.Span(node) is { } window && window > Duration.Zero && window < Duration.Infinite
            ? window
            : throw fields.Wrong(node, $"a window of {node.Description}", "a window above zero that ends"));

    private WithdrawEvent ReadWithdrawal(ScenarioMap map, ScenarioTime at)
    {
        ScenarioNode node = map.Need("withdraw");
        IpPrefix prefix = fields.Prefix(node);
        _withdrawn.Add((node, prefix));
        return new WithdrawEvent(at, map.Place, prefix, Window(map));
    }

    // Only once the answers are read too is every prefix known that could be withdrawn.
    private void CheckWithdrawals()
    {
        foreach ((ScenarioNode node, IpPrefix prefix) in _withdrawn)
        {
            if (!_given.ContainsKey(prefix))
            {
                throw fields.UnknownWord(node, prefix.ToString(), "prefix", [.. _given.Keys.Select(known => known.ToString()).Take(8)]);
            }
        }
    }

    private void OnlyTrue(ScenarioNode node)
    {
        if (!fields.Truth(node, "true"))
        {
            throw fields.Wrong(node, node.Description, "true");
        }
    }

    private PrefixAdvertisement[] ReadPrefixes(ScenarioNode? node, bool isNew)
    {
        HashSet<IpPrefix> seen = [];
        return fields.List(node, "a list of prefixes", item =>
        {
            PrefixAdvertisement entry = ReadPrefix(item, isNew);
            return seen.Add(entry.Prefix) ? entry : throw fields.Wrong(
                item, $"the prefix {entry.Prefix} a second time in one event", "each prefix once");
        });
    }

    private PrefixAdvertisement ReadPrefix(ScenarioNode node, bool isNew)
    {
        ScenarioMap map = fields.Map(node, "a prefix", "prefix", "type", "preferred", "valid", "home");
        AddressType type = map.Get("type", word => fields.TypeOr(word, "untyped"), AddressType.None);
        IpPrefix prefix = Give(map.Need("prefix"), type);
        (Duration preferred, Duration valid) = ReadLifetimes(map);
        return isNew && valid == Duration.Zero
            ? throw fields.Wrong(map.Need("valid"), "a prefix that is given with a valid lifetime of zero", "a lifetime above zero")
            : new PrefixAdvertisement(prefix, type, preferred, valid, map.Get("home", truth => fields.Truth(truth), false));
    }

    private NetworkAnswer ReadAnswer(ScenarioNode node, AddressType type, bool drawn)
    {
        ScenarioMap map = fields.Map(node, "an answer", "answer", "prefix", "preferred", "valid", "delay");
        var kind = (NetworkAnswerKind)fields.Word(map.Need("answer"), "answer", AnswerKinds);
        Duration delay = map.Get("delay", fields.Span, Duration.Zero);
        if (kind == NetworkAnswerKind.Silence)
        {
            map.Refuse("beside 'answer: silence'", "delay");
        }
        else if (delay == Duration.Infinite)
        {
            throw fields.Wrong(map.Need("delay"), "an answer after an infinite delay", "a delay that ends, or 'answer: silence'");
        }

        if (kind != NetworkAnswerKind.Grant)
        {
            map.Refuse($"beside 'answer: {AnswerKinds[(int)kind]}'", "prefix", "preferred", "valid");
            return new NetworkAnswer(kind, null, delay);
        }

        if (!map.Has("prefix"))
        {
            throw fields.Wrong(node, "a grant without a prefix", "the key 'prefix'");
        }

        IpPrefix prefix = Give(map.Need("prefix"), type, drawn);
        (Duration preferred, Duration valid) = ReadLifetimes(map);
        return valid == Duration.Zero
            ? throw fields.Wrong(map.Need("valid"), "a grant with a valid lifetime of zero", "a lifetime above zero")
            : new NetworkAnswer(kind, new PrefixAdvertisement(prefix, type, preferred, valid), delay);
    }

    // One lifetime alone decides the other as far as it must: preferred never exceeds valid (RFC 4862 §5.5.3 c).
    private (Duration Preferred, Duration Valid) ReadLifetimes(ScenarioMap map)
    {
        Duration valid = map.Get("valid", fields.Span, Duration.Infinite);
        Duration preferred = map.Get("preferred", fields.Span, valid);
        return preferred > valid
            ? throw fields.Wrong(
                map.Need("preferred"),
                $"a preferred lifetime of {ScenarioText.Format(preferred)} above the valid lifetime of {ScenarioText.Format(valid)}",
                "preferred not above valid")
            : (preferred, valid);
    }

    private IpPrefix Give(ScenarioNode node, AddressType type, bool drawn = false)
    {
        IpPrefix prefix = fields.Prefix(node);
        IpAddress address = prefix.Address;
        if (prefix.Length == 0 || address.IsMulticast || address.IsLinkLocal || address.IsLoopback || address.IsUnspecified)
        {
            throw fields.Wrong(
                node, $"{node.Description} as a prefix from the network", "a unicast prefix that is neither link-local nor loopback");
        }

        if (prefix.IsSingleAddress && Array.Exists(inside, known => known.Contains(address)))
        {
            throw fields.Wrong(node, $"the internal address {address} as a prefix from the network", "an address that is not internal");
        }

        // Prefixes that are drawn may serve one type now and another one later (RFC 8653 §5).
        if (drawn && !_given.ContainsKey(prefix))
        {
            _drawn.Add(prefix);
        }

        if (_given.TryGetValue(prefix, out AddressType before) && before != type && !_drawn.Contains(prefix))
        {
            throw fields.Wrong(
                node,
                $"the prefix {prefix} as {AddressTypes.ToName(type)} after it was {AddressTypes.ToName(before)}",
                "one type for each prefix");
        }

        _given[prefix] = type;
        return prefix;
    }
}
