using System.Globalization;
using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Recording;

/// <summary>
/// The first control record: the configuration as a scenario, and a map <c>recording</c> with what else the engine was made with. It
/// holds the secrets that addresses are derived from, or a replay would make other ones.
/// </summary>
internal sealed record RecordingHead
{
    private const string Key = "recording";

    private static readonly DataplaneOptions Usual = new();

    /// <summary>The configuration. What its network does stands in later records, with the time at which it did it.</summary>
    public required Scenario Scenario { get; init; }

    /// <summary>The engine's options.</summary>
    public required DataplaneOptions Options { get; init; }

    /// <summary>The Ethernet addresses of frames that go out, destination first; twelve octets.</summary>
    public required ReadOnlyMemory<byte> LinkAddresses { get; init; }

    /// <summary>Writes the record.</summary>
    /// <returns>Its text.</returns>
    public string Write()
    {
        var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        ScenarioWriter.Write(text, Scenario, ScenarioRemarks.None);
        text.Write(string.Create(
            CultureInfo.InvariantCulture,
            $"{Key}:\n  link-addresses: \"{Convert.ToHexString(LinkAddresses.Span)}\"\n  address-seed: {Options.AddressSeed}\n"));
        text.Write(string.Create(
            CultureInfo.InvariantCulture,
            $"  hash-seed: {Options.HashSeed}\n  events: {Options.MaximumEvents}\n  replies: {Options.MaximumReplies}\n"));
        if (Options.MaximumSocketRequests != Usual.MaximumSocketRequests)
        {
            text.Write(string.Create(CultureInfo.InvariantCulture, $"  socket-requests: {Options.MaximumSocketRequests}\n"));
        }

        if (Options.AskSockets)
        {
            text.Write(string.Create(
                CultureInfo.InvariantCulture,
                $"  ask-sockets: true\n  socket-questions: {Options.MaximumSocketQuestions}\n  socket-timeout: {ScenarioText.Format(Options.SocketAnswerTimeout)}\n"));
        }

        if (Options.AskEchoSockets)
        {
            text.Write("  ask-echo-sockets: true\n");
        }

        if (!Options.IdentifierSecret.IsEmpty)
        {
            text.Write($"  secret: \"{Convert.ToHexString(Options.IdentifierSecret.Span)}\"\n");
        }

        return text.ToString();
    }

    /// <summary>Reads the record.</summary>
    /// <param name="file">What to call it in errors.</param>
    /// <param name="octets">The record.</param>
    /// <returns>What it says.</returns>
    /// <exception cref="ScenarioException">It is not understood.</exception>
    public static RecordingHead Read(string file, ReadOnlySpan<byte> octets)
    {
        var fields = new ScenarioFields(file);
        ScenarioNode root = ScenarioTree.Read(file, octets);
        if (root is not MappingNode map || map.Entries.FirstOrDefault(entry => entry.Key.Text == Key).Value is not { } own)
        {
            throw fields.Wrong(root, $"no map '{Key}'", "the first record of a recording");
        }

        Scenario scenario = ScenarioReader.ReadHost(file, new MappingNode(map.Line, map.Column, [.. map.Entries.Where(entry => entry.Key.Text != Key)]));
        ScenarioMap values = fields.Map(
            own, "a recording", "link-addresses", "address-seed", "hash-seed", "events", "replies", "secret", "ask-sockets", "socket-questions",
            "socket-requests", "socket-timeout", "ask-echo-sockets");
        DataplaneOptions options = scenario.BuildOptions() with
        {
            AddressSeed = fields.Number(values.Need("address-seed"), 0, ulong.MaxValue, "a whole number"),
            HashSeed = fields.Number(values.Need("hash-seed"), 0, ulong.MaxValue, "a whole number"),
            MaximumEvents = Count("events", 0, 1 << 24),
            MaximumReplies = Count("replies", 1, 1 << 16),
            MaximumSocketRequests = values.Has("socket-requests") ? Count("socket-requests", 1, 16_000) : Usual.MaximumSocketRequests,
            AskSockets = values.Get("ask-sockets", truth => fields.Truth(truth), false),
            AskEchoSockets = values.Get("ask-echo-sockets", truth => fields.Truth(truth), false),
            MaximumSocketQuestions = values.Has("socket-questions") ? Count("socket-questions", 1, 1 << 16) : Usual.MaximumSocketQuestions,
            SocketAnswerTimeout = values.Get("socket-timeout", fields.Span, Usual.SocketAnswerTimeout),
            IdentifierSecret = values.Find("secret") is { } secret ? Octets(secret, 16, 64) : ReadOnlyMemory<byte>.Empty,
        };
        return new RecordingHead
        {
            Scenario = scenario,
            Options = options,
            LinkAddresses = Octets(values.Need("link-addresses"), RecordingFormat.LinkAddresses, RecordingFormat.LinkAddresses),
        };

        int Count(string key, ulong least, ulong most) =>
            (int)fields.Number(values.Need(key), least, most, $"a whole number from {least} to {most}");

        byte[] Octets(ScenarioNode node, int least, int most)
        {
            string expected = $"{2 * least} to {2 * most} hexadecimal digits";
            string digits = fields.Text(node, expected);
            return digits.Length >= 2 * least && digits.Length <= 2 * most && digits.Length % 2 == 0 && digits.All(char.IsAsciiHexDigit)
                ? Convert.FromHexString(digits) : throw fields.Wrong(node, node.Description, expected);
        }
    }
}
