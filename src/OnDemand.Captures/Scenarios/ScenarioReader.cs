using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>
/// Reads scenario files. A wrong one gives a <see cref="ScenarioException"/>: one sentence with file, line, column, what was found and
/// what was expected. Size, nesting and time are bounded whatever the file holds.
/// </summary>
public sealed class ScenarioReader
{
    /// <summary>The map that only a running host reads; a replay of the same file has no use for it.</summary>
    internal const string HostKey = "host";

    private static readonly string[] Keys =
    [
        "seed", "internal", "network", "on-demand", "policy", "sockets", "addresses", "linger", "pickup", "untranslatable", "limits",
        "timers", "labels", "profile", "outside", HostKey,
    ];

    private readonly string _file;
    private readonly ScenarioFields _fields;

    private ScenarioReader(string file)
    {
        _file = file;
        _fields = new ScenarioFields(file);
    }

    /// <summary>Reads a scenario file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The scenario.</returns>
    /// <exception cref="ScenarioException">The file is no usable scenario.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static Scenario Load(string path)
    {
        using FileStream stream = ScenarioTree.Open(path);
        return Load(path, stream);
    }

    /// <summary>Reads a scenario from a stream.</summary>
    /// <param name="file">The name to use in errors.</param>
    /// <param name="stream">The stream; no more than 1 MiB of it is kept.</param>
    /// <returns>The scenario.</returns>
    /// <exception cref="ScenarioException">The stream holds no usable scenario.</exception>
    public static Scenario Load(string file, Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        byte[] octets = new byte[ScenarioTree.LargestFile + 1];   // one more than allowed, so that too long is seen
        int length = stream.ReadAtLeast(octets, octets.Length, throwOnEndOfStream: false);
        return Parse(file, octets.AsSpan(0, length));
    }

    /// <summary>Reads a scenario from memory.</summary>
    /// <param name="file">The name to use in errors.</param>
    /// <param name="octets">The file's content in UTF-8.</param>
    /// <returns>The scenario.</returns>
    /// <exception cref="ScenarioException">The content is no usable scenario.</exception>
    public static Scenario Parse(string file, ReadOnlySpan<byte> octets)
    {
        ScenarioNode root = ScenarioTree.Read(file, octets);
        return new ScenarioReader(file).ReadScenario(root, needsNetwork: true);
    }

    /// <summary>Reads the configuration of a running host, to which moves may come by command only.</summary>
    /// <param name="file">The name to use in errors.</param>
    /// <param name="root">The file's content.</param>
    /// <returns>The scenario; without events if the file has no <c>network</c>.</returns>
    /// <exception cref="ScenarioException">The content is no usable scenario.</exception>
    internal static Scenario ReadHost(string file, ScenarioNode root) => new ScenarioReader(file).ReadScenario(root, needsNetwork: false);

    private Scenario ReadScenario(ScenarioNode root, bool needsNetwork)
    {
        ScenarioMap map = _fields.Map(root, "a scenario", Keys);
        IpPrefix[] inside = ReadInternal(map.Need("internal"));
        var network = new ScenarioNetworkReader(_fields, inside);
        NetworkEvent[] events = needsNetwork || map.Find("network") is { IsEmpty: false }
            ? network.ReadEvents(map.Need("network")) : [];
        SortedDictionary<AddressType, IReadOnlyList<NetworkAnswer>> answers =
            network.ReadAnswers(map.Find("on-demand"), out AnswerOrder order);
        var policy = new ScenarioPolicyReader(_fields, inside, network.Given);
        return new Scenario
        {
            File = _file,
            Seed = map.Get("seed", node => _fields.Number(node, 0, ulong.MaxValue, "a whole number from 0 to 18446744073709551615"), 0UL),
            Internal = inside,
            Network = events,
            OnDemand = answers,
            AnswerOrder = order,
            Policy = map.Get("policy", policy.ReadPolicy, new ScenarioPolicy()),
            Sockets = _fields.List(map.Find("sockets"), "a list of requests", policy.ReadSocket),
            Addresses = map.Get("addresses", ReadAddresses, new ScenarioAddresses()),
            Linger = map.Get("linger", _fields.Span, Scenario.DefaultLinger),
            Pickup = map.Get("pickup", node => _fields.Truth(node), true),
            Untranslatable = (UntranslatablePolicy)map.Get("untranslatable", node => _fields.Word(node, "treatment", "pass", "drop"), 0),
            Limits = map.Get("limits", ReadLimits, new ScenarioLimits()),
            Timers = map.Get("timers", ReadTimers, new ScenarioTimers()),
            Labels = ReadLabels(map.Find("labels")),
            Profile = (SelectionProfile)map.Get("profile", node => _fields.Word(node, "profile", "rfc6724", "linux"), 0),
            Outside = ReadOutside(map.Find("outside"), inside),
        };
    }

    private IpPrefix[] ReadInternal(ScenarioNode node)
    {
        const string expected = "a list of at least one address or prefix that programs send from";
        HashSet<IpPrefix> seen = [];
        IpPrefix[] prefixes = _fields.List(node, expected, item =>
        {
            IpPrefix prefix = _fields.Prefix(item);
            return prefix.Address.IsMulticast || prefix.Address.IsLinkLocal || prefix.Address.IsLoopback || prefix.Address.IsUnspecified
                ? throw _fields.Wrong(
                    item, $"{item.Description} as an internal address", "a unicast address that is neither link-local nor loopback")
                : seen.Add(prefix) ? prefix : throw _fields.Wrong(item, $"{item.Description} a second time", "each internal address once");
        });
        return prefixes.Length > 0 ? prefixes : throw _fields.Wrong(node, "an empty list", expected);
    }

    private ScenarioAddresses ReadAddresses(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "addresses", "neutral", "secret", "renew");
        return new ScenarioAddresses
        {
            Neutral = map.Get("neutral", ReadNeutral, []),
            Secret = map.Get("secret", ReadSecret, null),
            Renew = ReadRenew(map.Find("renew")),
        };
    }

    private AddressType[] ReadNeutral(ScenarioNode node)
    {
        const string expected = "true, false or a list of types";
        if (node is SequenceNode)
        {
            return [.. _fields.List(node, expected, _fields.Type).Distinct().Order()];
        }

        return _fields.Truth(node, expected)
            ? [AddressType.Fixed, AddressType.SessionLasting, AddressType.Nonpersistent, AddressType.GracefulReplacement]
            : [];
    }

    private string ReadSecret(ScenarioNode node)
    {
        const string expected = "an even number of hexadecimal digits, from 32 to 128";   // RFC 7217 §5: at least 128 bits
        string text = _fields.Text(node, expected);
        return text.Length is >= 32 and <= 128 && text.Length % 2 == 0 && text.All(char.IsAsciiHexDigit)
            ? text.ToUpperInvariant()
            : throw _fields.Wrong(node, node.Description, expected);
    }

    private SortedDictionary<AddressType, RenewalLimit> ReadRenew(ScenarioNode? node)
    {
        SortedDictionary<AddressType, RenewalLimit> rules = [];
        foreach ((AddressType type, ScenarioNode value) in TypedEntries(_fields, node, "renew"))
        {
            if (type == AddressType.Fixed)
            {
                throw _fields.Wrong(value, "a renewal of fixed addresses", "one of another type, for a Fixed address stays");
            }

            ScenarioMap map = _fields.Map(value, "a renewal", "after", "bytes");
            if (!map.Has("after") && !map.Has("bytes"))
            {
                throw _fields.Wrong(value, "a renewal with neither 'after' nor 'bytes'", "at least one of them");
            }

            rules.Add(type, new RenewalLimit(
                map.Get("after", _fields.SpanAboveZero, Duration.Infinite), map.Get("bytes", size => (ulong)_fields.Size(size), 0UL)));
        }

        return rules;
    }

    private ScenarioLimits ReadLimits(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(
            node, "limits", "flows", "bindings", "internal-addresses", "typed-addresses", "prefixes", "fragments", "held-packets",
            "held-bytes");
        return new ScenarioLimits
        {
            Flows = map.Maybe("flows", count => Count(count, 1 << 28)),
            Bindings = map.Maybe("bindings", count => Count(count, 1 << 28)),
            InternalAddresses = map.Maybe("internal-addresses", count => Count(count, 1 << 22)),
            TypedAddresses = map.Maybe("typed-addresses", count => Count(count, 1 << 22)),
            Prefixes = map.Maybe("prefixes", count => Count(count, 4096)),
            Fragments = map.Maybe("fragments", count => Count(count, 65536)),
            HeldPackets = map.Maybe("held-packets", count => Count(count, 1 << 20)),
            HeldBytes = map.Maybe("held-bytes", held => _fields.Size(held) is long octets and >= 2048 and <= 1 << 30
                ? (int)octets
                : throw _fields.Wrong(held, held.Description, "a size from 2KiB to 1GiB")),
        };

        int Count(ScenarioNode count, int most) => (int)_fields.Number(count, 1, (ulong)most, $"a whole number from 1 to {most}");
    }

    private ScenarioTimers ReadTimers(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(
            node, "timers", "tcp-established", "tcp-opening", "tcp-closing", "udp", "icmp", "other", "fragment", "answer");
        return new ScenarioTimers
        {
            TcpEstablished = map.Maybe("tcp-established", _fields.SpanAboveZero),
            TcpOpening = map.Maybe("tcp-opening", _fields.SpanAboveZero),
            TcpClosing = map.Maybe("tcp-closing", _fields.SpanAboveZero),
            Udp = map.Maybe("udp", _fields.SpanAboveZero),
            Icmp = map.Maybe("icmp", _fields.SpanAboveZero),
            Other = map.Maybe("other", _fields.SpanAboveZero),
            Fragment = map.Maybe("fragment", _fields.SpanAboveZero),
            Answer = map.Maybe("answer", _fields.SpanAboveZero),
        };
    }

    private PolicyTableEntry[] ReadLabels(ScenarioNode? node)
    {
        HashSet<IpPrefix> seen = [];
        return _fields.List(node, "a list of policy table entries", item =>
        {
            PolicyTableEntry entry = ReadLabel(item);
            if (!seen.Add(entry.Prefix))
            {
                throw _fields.Wrong(item, $"a second entry for {entry.Prefix}", "one entry for each prefix");
            }

            return seen.Count <= PolicyTable.MaximumEntries
                ? entry
                : throw _fields.Wrong(item, "one entry too many", $"at most {PolicyTable.MaximumEntries} entries");
        });
    }

    private PolicyTableEntry ReadLabel(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "a policy table entry", "prefix", "precedence", "label");
        return new PolicyTableEntry(_fields.Prefix(map.Need("prefix")), Small(map.Need("precedence")), Small(map.Need("label")));

        int Small(ScenarioNode number) => (int)_fields.Number(number, 0, ushort.MaxValue, "a whole number from 0 to 65535");
    }

    private SortedDictionary<IpAddress, IpAddress> ReadOutside(ScenarioNode? node, IpPrefix[] inside)
    {
        SortedDictionary<IpAddress, IpAddress> outside = [];
        if (node is null or { IsEmpty: true })
        {
            return outside;
        }

        if (node is not MappingNode map)
        {
            throw _fields.Wrong(node, node.Description, "a map from typed to internal addresses");
        }

        foreach ((ScalarNode key, ScenarioNode value) in map.Entries)
        {
            IpAddress typed = _fields.Address(key);
            IpAddress address = _fields.Address(value);
            if (!Array.Exists(inside, prefix => prefix.Contains(address)))
            {
                throw _fields.Wrong(value, value.Description, "one of the internal addresses");
            }

            if (!outside.TryAdd(typed, address))
            {
                throw _fields.Wrong(key, $"the typed address {typed.ToString()} a second time", "each typed address once");
            }
        }

        return outside;
    }

    /// <summary>The entries of a map whose keys are types, each type once under whichever of its names.</summary>
    /// <param name="fields">Reads single values.</param>
    /// <param name="node">The map; nothing at all is the empty map.</param>
    /// <param name="what">The key that it stands under.</param>
    /// <param name="beside">A key beside the types, which is left out; null for none.</param>
    /// <returns>The entries in the order of the file.</returns>
    internal static IEnumerable<(AddressType Type, ScenarioNode Value)> TypedEntries(
        ScenarioFields fields, ScenarioNode? node, string what, string? beside = null)
    {
        if (node is null or { IsEmpty: true })
        {
            yield break;
        }

        if (node is not MappingNode map)
        {
            throw fields.Wrong(
                node, node.Description, string.Create(CultureInfo.InvariantCulture, $"a map with types as keys under '{what}'"));
        }

        HashSet<AddressType> seen = [];
        foreach ((ScalarNode key, ScenarioNode value) in map.Entries)
        {
            if (key.Text == beside)
            {
                continue;
            }

            AddressType type = fields.Type(key);
            if (!seen.Add(type))
            {
                throw fields.Wrong(key, $"the type {AddressTypes.ToName(type)} a second time under '{what}'", "each type once");
            }

            yield return (type, value);
        }
    }
}
