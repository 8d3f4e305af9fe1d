using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>Writes policy in the words of scenarios, each rule as one map in braces.</summary>
internal static class PolicyText
{
    /// <summary>A whole policy in one line.</summary>
    /// <param name="policy">The policy.</param>
    /// <returns>The line; <see cref="ScenarioPolicyReader.ReadPolicy"/> reads it.</returns>
    public static string Of(ScenarioPolicy policy) => $"{{{Join(
        Pair("default", policy.Default == AddressType.None ? "legacy" : AddressTypes.ToName(policy.Default)),
        policy.GracefulDatagramsAtOnce ? "graceful-udp: at-once" : null,
        policy.PreferRoute ? "session-lasting: route" : null,
        policy.OnNet == OnNetReading.RequestNew ? null : "on-net: sijeon-07",
        policy.Rules.Count == 0 ? null : $"rules: [{string.Join(", ", policy.Rules.Select(Of))}]",
        policy.Inbound.Count == 0 ? null : $"inbound: [{string.Join(", ", policy.Inbound.Select(Of))}]")}}}";

    /// <summary>A rule.</summary>
    /// <param name="rule">The rule.</param>
    /// <returns>Its map.</returns>
    public static string Of(ScenarioRule rule) => $"{{{Join(
        Pair("protocol", rule.Protocol is { } protocol ? ScenarioText.Protocol(protocol) : null),
        Pair("remote", rule.Remote?.ToString()),
        Pair("remote-port", rule.RemotePort?.ToString()),
        Pair("local-port", rule.LocalPort?.ToString()),
        Pair("internal", rule.Internal?.ToString()),
        Pair("traffic-class", rule.TrafficClass?.ToString(CultureInfo.InvariantCulture)),
        Name("user", rule.Socket?.User),
        Name("group", rule.Socket?.Group),
        Name("program", rule.Socket?.Program),
        Name("cgroup", rule.Socket?.Cgroup),
        rule.Legacy ? "legacy: true" : null,
        Wish(rule.Type, rule.OnNet, rule.Prefix, rule.Preferences))}}}";

    /// <summary>A rule for unsolicited flows.</summary>
    /// <param name="rule">The rule.</param>
    /// <returns>Its map.</returns>
    public static string Of(ScenarioInbound rule) => $"{{{Join(
        Pair("type", rule.Type is { } type ? AddressTypes.ToName(type) : null),
        Pair("protocol", rule.Protocol is { } protocol ? ScenarioText.Protocol(protocol) : null),
        Pair("local-port", rule.LocalPort?.ToString()),
        Pair("remote", rule.Remote?.ToString()))}}}";

    /// <summary>What a rule gives, or a program asks for.</summary>
    /// <param name="type">The type.</param>
    /// <param name="onNet">Whether with ON_NET.</param>
    /// <param name="prefix">The very prefix.</param>
    /// <param name="preferences">RFC 5014 preferences.</param>
    /// <returns>The entries of the map; null if there are none.</returns>
    public static string? Wish(AddressType type, bool onNet, IpPrefix? prefix, AddressPreferences preferences)
    {
        string wish = Join(
            type == AddressType.None ? null : Pair("type", AddressTypes.ToName(type)),
            onNet ? "on-net: true" : null,
            Pair("prefix", prefix?.ToString()),
            preferences == AddressPreferences.None
                ? null
                : $"preferences: [{AddressPreferenceRules.ToText(preferences)}]");
        return wish.Length == 0 ? null : wish;
    }

    /// <summary>An entry of a map.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value; an address, a number or a word.</param>
    /// <returns>The entry; null if there is no value.</returns>
    public static string? Pair(string key, string? value) => value is null ? null : $"{key}: {Quote(value)}";

    /// <summary>The entries of a map that are there.</summary>
    /// <param name="parts">The entries.</param>
    /// <returns>The map without its braces.</returns>
    public static string Join(params string?[] parts) => string.Join(", ", parts.Where(part => part is not null));

    /// <summary>Quotes what would not be a value without quotes: an address such as 2001:db8:: ends in a colon, which YAML takes for a
    /// key.</summary>
    /// <param name="value">The value.</param>
    /// <returns>The value in a form that YAML takes for one.</returns>
    public static string Quote(string value) => value.EndsWith(':') || value.StartsWith(':') ? $"\"{value}\"" : value;

    // In single quotes everything but the quote itself is what it is.
    private static string? Name(string key, string? value) =>
        value is null ? null : $"{key}: '{value.Replace("'", "''", StringComparison.Ordinal)}'";
}
