using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>Comments to put into a written scenario; each line without its <c>#</c>.</summary>
public sealed record ScenarioRemarks
{
    /// <summary>No comments beyond the writer's own.</summary>
    public static readonly ScenarioRemarks None = new();

    /// <summary>At the top of the file.</summary>
    public IReadOnlyList<string> Head { get; init; } = [];

    /// <summary>Above the internal addresses.</summary>
    public IReadOnlyList<string> Internal { get; init; } = [];

    /// <summary>Below the last network event, indented like one: the place for an example.</summary>
    public IReadOnlyList<string> AfterNetwork { get; init; } = [];

    /// <summary>Above the inbound rules.</summary>
    public IReadOnlyList<string> Inbound { get; init; } = [];

    /// <summary>At the end of the file.</summary>
    public IReadOnlyList<string> Foot { get; init; } = [];
}

/// <summary>Writes a scenario as commented YAML that <see cref="ScenarioReader"/> reads back to the same scenario.</summary>
public sealed class ScenarioWriter
{
    private readonly TextWriter _output;

    private ScenarioWriter(TextWriter output) => _output = output;

    /// <summary>Writes a scenario. What has its default is left out, except the seed.</summary>
    /// <param name="output">Where to.</param>
    /// <param name="scenario">The scenario.</param>
    /// <param name="remarks">Comments to add.</param>
    public static void Write(TextWriter output, Scenario scenario, ScenarioRemarks remarks)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(remarks);
        var writer = new ScenarioWriter(output);
        writer.Comment("", remarks.Head);
        writer.Line($"seed: {scenario.Seed}", "for everything that is chosen at random");
        writer.Comment("", remarks.Internal);
        writer.Line($"internal: [{string.Join(", ", scenario.Internal.Select(Internal))}]", "addresses that programs send from");
        writer.WriteNetwork(scenario.Network, remarks);
        writer.WriteAnswers(scenario.OnDemand, scenario.AnswerOrder);
        writer.WritePolicy(scenario.Policy, remarks);
        writer.WriteSockets(scenario.Sockets);
        writer.WriteAddresses(scenario.Addresses);
        writer.WriteSingles(scenario);
        writer.WriteMap("limits", Limits(scenario.Limits));
        writer.WriteMap("timers", Timers(scenario.Timers));
        writer.WriteLabels(scenario.Labels);
        writer.WriteMap("outside", scenario.Outside.Select(pair => ($"\"{pair.Key}\"", (string?)PolicyText.Quote(pair.Value.ToString()))));
        writer.Comment("", remarks.Foot);
    }

    private void WriteNetwork(IReadOnlyList<NetworkEvent> events, ScenarioRemarks remarks)
    {
        Line("network:", "what the network does, in time order");
        foreach (NetworkEvent next in events)
        {
            switch (next)
            {
                case AttachEvent attach:
                    Line($"  - at: {attach.At}");
                    Line($"    attach: {Word(attach.Name)}");
                    WriteWindow(attach.Window);
                    WritePrefixes(attach.Prefixes);
                    break;
                case WithdrawEvent withdraw:
                    Line($"  - at: {withdraw.At}");
                    Line($"    withdraw: {withdraw.Prefix}");
                    WriteWindow(withdraw.Window);
                    break;
                case AdvertiseEvent advertise:
                    Line($"  - at: {advertise.At}");
                    Line("    advertise: true");
                    Line($"    authenticated: {Truth(advertise.Authenticated)}");
                    WritePrefixes(advertise.Prefixes);
                    break;
                default:
                    Line($"  - {{at: {next.At}, detach: true}}");
                    break;
            }
        }

        Comment("  ", remarks.AfterNetwork);
    }

    private void WriteWindow(Duration? window)
    {
        if (window is { } given)
        {
            Line($"    window: {ScenarioText.Format(given)}");
        }
    }

    private void WritePrefixes(IReadOnlyList<PrefixAdvertisement> prefixes)
    {
        if (prefixes.Count == 0)
        {
            Line("    prefixes: []");
            return;
        }

        Line("    prefixes:");
        foreach (PrefixAdvertisement entry in prefixes)
        {
            Line($"      - {{{PolicyText.Join(
                PolicyText.Pair("prefix", entry.Prefix.ToString()),
                PolicyText.Pair("type", AddressTypes.ToName(entry.Type)),
                Lifetimes(entry.PreferredLifetime, entry.ValidLifetime),
                entry.Home ? "home: true" : null)}}}");
        }
    }

    private void WriteAnswers(IReadOnlyDictionary<AddressType, IReadOnlyList<NetworkAnswer>> answers, AnswerOrder order)
    {
        if (answers.Count == 0 && order == AnswerOrder.AsGiven)
        {
            return;
        }

        Line("on-demand:", "what the network says when asked for a type it has not given");
        WriteUnless(order == AnswerOrder.AsGiven, $"  {ScenarioNetworkReader.OrderKey}: random");
        foreach ((AddressType type, IReadOnlyList<NetworkAnswer> list) in answers)
        {
            Line($"  {AddressTypes.ToName(type)}:");
            foreach (NetworkAnswer answer in list)
            {
                Line($"    - {{{PolicyText.Join(
                    PolicyText.Pair("answer", answer.Kind switch
                    {
                        NetworkAnswerKind.Grant => "grant",
                        NetworkAnswerKind.Refuse => "refuse",
                        NetworkAnswerKind.Silence => "silence",
                        _ => "unsupported",
                    }),
                    PolicyText.Pair("prefix", answer.Prefix?.Prefix.ToString()),
                    answer.Prefix is { } given ? Lifetimes(given.PreferredLifetime, given.ValidLifetime) : null,
                    answer.Delay == Duration.Zero ? null : PolicyText.Pair("delay", ScenarioText.Format(answer.Delay)))}}}");
            }
        }
    }

    private void WritePolicy(ScenarioPolicy policy, ScenarioRemarks remarks)
    {
        Line("policy:");
        Line($"  default: {(policy.Default == AddressType.None ? "legacy" : AddressTypes.ToName(policy.Default))}", "or a type");
        WriteUnless(!policy.GracefulDatagramsAtOnce, "  graceful-udp: at-once");
        WriteUnless(!policy.PreferRoute, "  session-lasting: route");
        WriteUnless(policy.OnNet == OnNetReading.RequestNew, "  on-net: sijeon-07");
        if (policy.Rules.Count > 0)
        {
            Line("  rules:", "first match wins");
            foreach (ScenarioRule rule in policy.Rules)
            {
                Line($"    - {PolicyText.Of(rule)}");
            }
        }

        Comment("  ", remarks.Inbound);
        if (policy.Inbound.Count > 0)
        {
            Line("  inbound:", "unsolicited flows that may come in besides those to Fixed addresses");
            foreach (ScenarioInbound rule in policy.Inbound)
            {
                Line($"    - {PolicyText.Of(rule)}");
            }
        }
    }

    private void WriteSockets(IReadOnlyList<SocketRequest> sockets)
    {
        if (sockets.Count == 0)
        {
            return;
        }

        Line("sockets:", "requests of programs, as setsc() would make them");
        foreach (SocketRequest socket in sockets)
        {
            Line($"  - {{{PolicyText.Join(
                PolicyText.Pair("at", socket.At.ToString()),
                PolicyText.Pair("close", socket.Close?.ToString()),
                PolicyText.Pair("protocol", ScenarioText.Protocol(socket.Protocol)),
                PolicyText.Pair("local-port", socket.LocalPort.ToString(CultureInfo.InvariantCulture)),
                PolicyText.Pair("internal", socket.Internal?.ToString()),
                PolicyText.Wish(socket.Type, socket.OnNet, socket.Prefix, socket.Preferences))}}}");
        }
    }

    private void WriteAddresses(ScenarioAddresses addresses)
    {
        if (addresses.Neutral.Count == 0 && addresses.Secret is null && addresses.Renew.Count == 0)
        {
            return;
        }

        Line("addresses:");
        WriteUnless(addresses.Neutral.Count == 0, $"  neutral: [{string.Join(", ", addresses.Neutral.Select(AddressTypes.ToName))}]");
        WriteUnless(addresses.Secret is null, $"  secret: \"{addresses.Secret}\"");
        WriteUnless(addresses.Renew.Count == 0, "  renew:");
        foreach ((AddressType type, RenewalLimit rule) in addresses.Renew)
        {
            Line($"    {AddressTypes.ToName(type)}: {{{PolicyText.Join(
                rule.After == Duration.Infinite ? null : PolicyText.Pair("after", ScenarioText.Format(rule.After)),
                rule.Bytes == 0 ? null : PolicyText.Pair("bytes", ScenarioText.Size((long)rule.Bytes)))}}}");
        }
    }

    private void WriteSingles(Scenario scenario)
    {
        WriteUnless(scenario.Linger == Scenario.DefaultLinger, $"linger: {ScenarioText.Format(scenario.Linger)}");
        WriteUnless(scenario.Pickup, "pickup: false");
        WriteUnless(scenario.Untranslatable == UntranslatablePolicy.Pass, "untranslatable: drop");
        WriteUnless(scenario.Profile == SelectionProfile.Rfc6724, "profile: linux");
    }

    private void WriteLabels(IReadOnlyList<PolicyTableEntry> labels)
    {
        WriteUnless(labels.Count == 0, "labels:");
        foreach (PolicyTableEntry entry in labels)
        {
            Line($"  - {{prefix: \"{entry.Prefix}\", precedence: {entry.Precedence}, label: {entry.Label}}}");
        }
    }

    private void WriteMap(string name, IEnumerable<(string Key, string? Value)> entries)
    {
        (string Key, string? Value)[] given = [.. entries.Where(entry => entry.Value is not null)];
        WriteUnless(given.Length == 0, $"{name}:");
        foreach ((string key, string? value) in given)
        {
            Line($"  {key}: {value}");
        }
    }

    private static IEnumerable<(string Key, string? Value)> Limits(ScenarioLimits limits) =>
    [
        ("flows", Count(limits.Flows)), ("bindings", Count(limits.Bindings)), ("internal-addresses", Count(limits.InternalAddresses)),
        ("typed-addresses", Count(limits.TypedAddresses)), ("prefixes", Count(limits.Prefixes)), ("fragments", Count(limits.Fragments)),
        ("held-packets", Count(limits.HeldPackets)), ("held-bytes", Count(limits.HeldBytes)),
    ];

    private static IEnumerable<(string Key, string? Value)> Timers(ScenarioTimers timers) =>
    [
        ("tcp-established", Span(timers.TcpEstablished)), ("tcp-opening", Span(timers.TcpOpening)),
        ("tcp-closing", Span(timers.TcpClosing)),
        ("udp", Span(timers.Udp)), ("icmp", Span(timers.Icmp)), ("other", Span(timers.Other)), ("fragment", Span(timers.Fragment)),
        ("answer", Span(timers.Answer)),
    ];

    private static string? Lifetimes(Duration preferred, Duration valid) =>
        preferred == Duration.Infinite && valid == Duration.Infinite
            ? null
            : $"preferred: {ScenarioText.Format(preferred)}, valid: {ScenarioText.Format(valid)}";

    private static string Internal(IpPrefix prefix) => PolicyText.Quote(prefix.IsSingleAddress ? prefix.Address.ToString() : prefix.ToString());

    private static string? Count(int? count) => count?.ToString(CultureInfo.InvariantCulture);

    private static string? Span(Duration? span) => span is { } given ? ScenarioText.Format(given) : null;

    private static string Truth(bool truth) => truth ? "true" : "false";

    private static string Word(string word) =>
        word.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.') && !word.StartsWith('-')
            ? word
            : $"'{word.Replace("'", "''", StringComparison.Ordinal)}'";

    private void WriteUnless(bool unless, string text)
    {
        if (!unless)
        {
            Line(text);
        }
    }

    private void Comment(string indent, IReadOnlyList<string> lines)
    {
        foreach (string line in lines)
        {
            _output.Write(line.Length == 0 ? $"{indent}#\n" : $"{indent}# {line}\n");
        }
    }

    private void Line(string text, string? comment = null) =>
        _output.Write(comment is null ? $"{text}\n" : $"{text,-33} # {comment}\n");
}
