using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>
/// Reads single values out of nodes. Every failure is a <see cref="ScenarioException"/> that says what was found and expected.
/// </summary>
/// <param name="file">The file's name, for errors.</param>
internal sealed class ScenarioFields(string file)
{
    private static readonly AddressType[] AllTypes =
        [AddressType.Fixed, AddressType.SessionLasting, AddressType.Nonpersistent, AddressType.GracefulReplacement];

    // The flag on-net is a key of its own here, for it needs a type.
    private static readonly string[] PreferenceNames = ["home", "coa", "tmp", "public", "pubtmp-default", "cga", "noncga"];

    /// <summary>The names of the four types.</summary>
    public static IEnumerable<string> TypeNames => AllTypes.Select(AddressTypes.ToName);

    /// <summary>The map under a node, with its keys checked.</summary>
    public ScenarioMap Map(ScenarioNode node, string what, params string[] keys) => new(this, node, what, keys);

    /// <summary>The items of a list, each read by a function; nothing at all is the empty list.</summary>
    public T[] List<T>(ScenarioNode? node, string expected, Func<ScenarioNode, T> read) => node switch
    {
        null or { IsEmpty: true } => [],
        SequenceNode list => [.. list.Items.Select(read)],
        _ => throw Wrong(node, node.Description, expected),
    };

    /// <summary>A scalar's text; never empty.</summary>
    public string Text(ScenarioNode node, string expected) =>
        node is ScalarNode { Text.Length: > 0 } scalar ? scalar.Text : throw Wrong(node, node.Description, expected);

    /// <summary>An unsigned whole number, decimal or after <c>0x</c> hexadecimal.</summary>
    public ulong Number(ScenarioNode node, ulong least, ulong most, string expected)
    {
        string text = Text(node, expected);
        bool read = text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong number)
            : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
        return read && number >= least && number <= most ? number : throw Wrong(node, node.Description, expected);
    }

    /// <summary><c>true</c> or <c>false</c>.</summary>
    public bool Truth(ScenarioNode node, string expected = "true or false") => Text(node, expected) switch
    {
        "true" => true,
        "false" => false,
        _ => throw Wrong(node, node.Description, expected),
    };

    /// <summary>A duration.</summary>
    public Duration Span(ScenarioNode node)
    {
        const string expected = "a duration such as 2.5s, 300ms, 30m, 2h, 1d, 100us or infinite";
        return ScenarioText.TryDuration(Text(node, expected), out Duration duration)
            ? duration
            : throw Wrong(node, node.Description, expected);
    }

    /// <summary>A duration that is longer than no time.</summary>
    public Duration SpanAboveZero(ScenarioNode node)
    {
        Duration duration = Span(node);
        return duration > Duration.Zero ? duration : throw Wrong(node, node.Description, "a duration above zero");
    }

    /// <summary>A time.</summary>
    public ScenarioTime Time(ScenarioNode node)
    {
        const string expected = "a time since the first packet such as 2.5s, or an absolute one such as 1700000000.250";
        return ScenarioText.TryTime(Text(node, expected), out ScenarioTime time) ? time : throw Wrong(node, node.Description, expected);
    }

    /// <summary>A number of octets.</summary>
    public long Size(ScenarioNode node)
    {
        const string expected = "a size above zero such as 1500, 64KiB or 1.5MB";
        return ScenarioText.TrySize(Text(node, expected), out long octets) && octets > 0
            ? octets
            : throw Wrong(node, node.Description, expected);
    }

    /// <summary>A protocol.</summary>
    public byte Protocol(ScenarioNode node)
    {
        string text = Text(node, Expected());
        if (ScenarioText.TryProtocol(text, out byte protocol))
        {
            return protocol;
        }

        string? near = NearestName.Of(text, ScenarioText.Protocols);
        throw Wrong(node, node.Description, near is null ? Expected() : $"'{near}' or another of {Expected()}");

        static string Expected() => $"{string.Join(", ", ScenarioText.Protocols)} or a number from 0 to 255";
    }

    /// <summary>One port or several.</summary>
    public PortRange Ports(ScenarioNode node)
    {
        const string expected = "a port from 0 to 65535 or a range such as 5000-5999";
        return PortRange.TryParse(Text(node, expected), out PortRange ports) ? ports : throw Wrong(node, node.Description, expected);
    }

    /// <summary>An IPv6 address.</summary>
    public IpAddress Address(ScenarioNode node)
    {
        const string expected = "an IPv6 address such as fd00:db8::1";
        return IpAddress.TryParse(Text(node, expected), out IpAddress address) ? address : throw Wrong(node, node.Description, expected);
    }

    /// <summary>An IPv6 prefix; a bare address is a /128.</summary>
    public IpPrefix Prefix(ScenarioNode node)
    {
        const string expected = "an IPv6 prefix such as 2001:db8:a1:1::/64";
        string text = Text(node, expected);
        if (IpPrefix.TryParse(text, out IpPrefix prefix))
        {
            return prefix;
        }

        int slash = text.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && IpAddress.TryParse(text[..slash], out IpAddress address)
            && int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int length))
        {
            throw length > 128
                ? Wrong(node, $"the prefix length {ScalarNode.Quote(text[(slash + 1)..])}", "a length from 0 to 128")
                : Wrong(node, $"{node.Description} with bits set past its length", $"'{new IpPrefix(address, length)}' or another prefix");
        }

        throw Wrong(node, node.Description, expected);
    }

    /// <summary>One of the four types, under any of their names.</summary>
    public AddressType Type(ScenarioNode node) => TypeOr(node, []);

    /// <summary>One of the four types, or <see cref="AddressType.None"/> for one further word.</summary>
    public AddressType TypeOr(ScenarioNode node, params string[] wordsForNone)
    {
        string[] words = [.. wordsForNone, .. TypeNames];
        string text = Text(node, Among(words));
        return AddressTypes.TryParse(text, out AddressType type) ? type
            : wordsForNone.Contains(text, StringComparer.OrdinalIgnoreCase) ? AddressType.None
            : throw UnknownWord(node, text, "type", words);
    }

    /// <summary>One word of an enumeration, whose names are given in the order of its numbers.</summary>
    public int Word(ScenarioNode node, string what, params string[] words)
    {
        string text = Text(node, Among(words));
        int index = Array.FindIndex(words, word => string.Equals(word, text, StringComparison.OrdinalIgnoreCase));
        return index >= 0 ? index : throw UnknownWord(node, text, what, words);
    }

    /// <summary>RFC 5014 preferences, one or a list; contradictions are an error.</summary>
    public AddressPreferences Preferences(ScenarioNode? node)
    {
        if (node is null)
        {
            return AddressPreferences.None;
        }

        ScenarioNode[] nodes = node is SequenceNode list ? [.. list.Items] : [node];
        AddressPreferences preferences = AddressPreferences.None;
        foreach (ScenarioNode item in nodes)
        {
            string text = Text(item, Among(PreferenceNames));
            if (!AddressPreferenceRules.TryParse(text, out AddressPreferences preference)
                || !PreferenceNames.Contains(AddressPreferenceRules.ToText(preference), StringComparer.Ordinal))
            {
                throw UnknownWord(item, text, "preference", PreferenceNames);
            }

            if ((preferences & preference) != 0)
            {
                throw Wrong(item, $"{item.Description} a second time", "each preference once");
            }

            if (!AddressPreferenceRules.AreConsistent(preferences | preference, out _))
            {
                string others = AddressPreferenceRules.ToText(preferences);
                string found = $"'{AddressPreferenceRules.ToText(preference)}' beside '{others}'";
                throw Wrong(item, found, "preferences that do not contradict each other");
            }

            preferences |= preference;
        }

        return preferences;
    }

    /// <summary>An error about a node.</summary>
    public ScenarioException Wrong(ScenarioNode at, string found, string expected) =>
        new(file, Math.Max(1, at.Line), Math.Max(1, at.Column), $"found {found}, expected {expected}");

    /// <summary>An error about a place.</summary>
    public ScenarioException Wrong(ScenarioPlace at, string found, string expected) =>
        new(file, Math.Max(1, at.Line), Math.Max(1, at.Column), $"found {found}, expected {expected}");

    /// <summary>An error about a word that is not among the known ones, naming the nearest.</summary>
    public ScenarioException UnknownWord(ScenarioNode at, string word, string what, IReadOnlyCollection<string> known) =>
        Wrong(at, $"the unknown {what} {ScalarNode.Quote(word)}", NearestName.Of(word, known) is string near && known.Count > 1
            ? $"'{near}', the nearest of {string.Join(", ", known)}"
            : Among(known));

    private static string Among(IReadOnlyCollection<string> words) =>
        words.Count switch
        {
            0 => "a prefix that the network gives at some time",
            1 => $"'{words.First()}'",
            _ => $"one of {string.Join(", ", words)}",
        };
}
