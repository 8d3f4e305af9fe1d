using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Config;

/// <summary>
/// Reads the configuration of a running host: a scenario file (design §8) with one more map, <c>host</c>. The same file drives a replay.
/// Every error is one sentence with file, line, column, what was found and what was expected.
/// </summary>
internal sealed class HostConfigReader
{
    private const int SmallestMtu = 1280;            // RFC 8200 §5
    private const int LargestMtu = 65_521;           // ETH_MAX_MTU less the Ethernet header
    private const uint FirstRule = 3;                // the two before are used as well
    private const uint LastRuleBeforeMain = 32_764;
    private const int LongestSocketPath = 107;       // sun_path of unix(7) less its terminating zero

    private static readonly Duration LeastWait = Duration.FromMilliseconds(10);
    private static readonly Duration MostWait = Duration.FromSeconds(86_400);

    private static readonly RenewalLimit UsualRenewal = new(Duration.FromSeconds(86_400), 0);

    private readonly ScenarioFields _fields;

    private HostConfigReader(string file) => _fields = new ScenarioFields(file);

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="ScenarioException">The file is no usable configuration.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    public static HostConfig Load(string path)
    {
        using FileStream stream = ScenarioTree.Open(path);
        byte[] octets = new byte[ScenarioTree.LargestFile + 1];   // one more than allowed, so that too long is seen
        int length = stream.ReadAtLeast(octets, octets.Length, throwOnEndOfStream: false);
        return Parse(path, octets.AsSpan(0, length));
    }

    /// <summary>Reads a configuration from memory.</summary>
    /// <param name="file">The name to use in errors.</param>
    /// <param name="octets">The file's content in UTF-8.</param>
    /// <returns>The configuration.</returns>
    /// <exception cref="ScenarioException">The content is no usable configuration.</exception>
    public static HostConfig Parse(string file, ReadOnlySpan<byte> octets)
    {
        ScenarioNode root = ScenarioTree.Read(file, octets);
        Scenario scenario = RenewRegularly(ScenarioReader.ReadHost(file, root));
        var map = (MappingNode)root;                 // the scenario's reader has seen to that
        ScenarioNode? host = map.Entries.FirstOrDefault(entry => entry.Key.Text == ScenarioReader.HostKey).Value;
        HostSettings settings = host is null ? new HostSettings() : new HostConfigReader(file).ReadSettings(host);
        return new HostConfig(scenario, settings, map.Entries.Any(entry => entry.Key.Text == "seed"))
        {
            Outline = ConfigOutline.Of(map),
        };
    }

    // RFC 8653 §5: addresses that need not last are renewed by default, like temporary ones (TEMP_PREFERRED_LIFETIME, RFC 8981 §3.8). A
    // replay does what its capture shows, so this is for running hosts only; their recordings have it written down.
    private static Scenario RenewRegularly(Scenario scenario)
    {
        var renew = new SortedDictionary<AddressType, RenewalLimit>
        {
            [AddressType.Nonpersistent] = UsualRenewal,
            [AddressType.GracefulReplacement] = UsualRenewal,
        };
        foreach ((AddressType type, RenewalLimit limit) in scenario.Addresses.Renew)
        {
            renew[type] = limit;
        }

        return scenario with { Addresses = scenario.Addresses with { Renew = renew } };
    }

    private HostSettings ReadSettings(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(
            node, "a host", "tap", "mtu", "neighbors", "table", "rule-preference", "control", "programs", "rights", "audit", "state",
            "forwarding", "uplinks", "sockets", "preferences", "provider", "ring", "coalesce", "cpu", "queues");
        string tap = map.Get("tap", ReadInterface, HostSettings.DefaultTap);
        string control = map.Get("control", ReadSocketPath, HostSettings.DefaultControl(tap));
        ProcessorChoice processor = map.Get("cpu", ReadProcessor, default);
        return new HostSettings
        {
            Tap = tap,
            Mtu = (int)map.Get("mtu", mtu => Number(mtu, SmallestMtu, LargestMtu), (ulong)HostSettings.DefaultMtu),
            Neighbors = (NeighborMode)map.Get(
                "neighbors", mode => _fields.Word(mode, "treatment of neighbor discovery", "off", "answer"), 0),
            Table = map.Get("table", ReadTable, HostSettings.DefaultTable),
            RulePreference = (uint)map.Get(
                "rule-preference", preference => Number(preference, FirstRule, LastRuleBeforeMain), HostSettings.DefaultRulePreference),
            Control = control,
            Programs = map.Get<string?>("programs", ReadPrograms, ControlSocket.ForProgramsBeside(control)),
            Rights = map.Get("rights", new RightsReader(_fields).Read, RightsConfig.Unlimited),
            Audit = map.Get<AuditSettings?>("audit", new AuditReader(_fields).Read, null),
            State = map.Get("state", directory => Path.GetFullPath(_fields.Text(directory, "a directory")), HostSettings.DefaultState(tap)),
            SetForwarding = map.Get("forwarding", word => _fields.Word(word, "treatment of forwarding", "check", "set"), 0) == 1,
            AskSockets = map.Get("sockets", word => _fields.Word(word, "knowledge of sockets", "ask", "off"), 0) == 0,
            ReadPreferences = map.Get("preferences", word => _fields.Word(word, "treatment of preferences", "read", "off"), 0) == 0,
            UseRing = map.Get("ring", word => _fields.Word(word, "use of io_uring", "on", "off"), 0) == 0,
            Coalesce = map.Get("coalesce", word => _fields.Word(word, "treatment of segments", "on", "off"), 0) == 0,
            Processor = processor,
            Queues = (int)map.Get("queues", queues => ReadQueues(queues, processor), 1UL),
            Uplinks = ReadUplinks(map.Find("uplinks"), tap),
            Provider = map.Get("provider", ReadProvider, null),
        };
    }

    private ProviderSettings? ReadProvider(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "a provider", "command", "timeout", "retry", "moves");
        ScenarioNode command = map.Need("command");
        string[] words = _fields.List(command, "a program and its arguments", word => _fields.Text(word, "a word of a command"));
        return words.Length > 0 && Path.IsPathFullyQualified(words[0])
            ? new ProviderSettings
            {
                Command = words,
                Timeout = map.Get("timeout", ReadWait, ProviderSettings.UsualTimeout),
                Retry = map.Get("retry", ReadRetry, RetryTimes.Usual),
                MayMove = map.Get("moves", truth => _fields.Truth(truth), false),
            }
            : throw _fields.Wrong(command, command.Description, "a list of the program's whole path and its arguments");
    }

    private RetryTimes ReadRetry(ScenarioNode node)
    {
        ScenarioMap map = _fields.Map(node, "retry", "first", "most");
        Duration first = map.Get("first", ReadWait, RetryTimes.Usual.First);
        Duration usual = first > RetryTimes.Usual.Most ? first : RetryTimes.Usual.Most;
        Duration most = map.Get("most", ReadWait, usual);
        return most >= first ? new RetryTimes(first, most) : throw _fields.Wrong(
            map.Need("most"), $"{ScenarioText.Format(most)} at most after {ScenarioText.Format(first)} first", "'most' not below 'first'");
    }

    private Duration ReadWait(ScenarioNode node) => _fields.Span(node) is { } wait && wait >= LeastWait && wait <= MostWait
        ? wait : throw _fields.Wrong(node, node.Description, "a time from 10ms to 1d");

    private ProcessorChoice ReadProcessor(ScenarioNode node) => node switch
    {
        ScalarNode { Text: "stay" } => new ProcessorChoice(ProcessorRule.Stay, 0),
        ScalarNode { Text: "any" } => new ProcessorChoice(ProcessorRule.Any, 0),
        _ => new ProcessorChoice(ProcessorRule.Named, (int)_fields.Number(
            node, 0, ProcessorSet.HighestNumber, $"stay, any, or the number of a processor from 0 to {ProcessorSet.HighestNumber}")),
    };

    private ulong ReadQueues(ScenarioNode node, ProcessorChoice processor) =>
        Number(node, 1, HostSettings.MostQueues) is var queues && queues > 1 && processor.Rule == ProcessorRule.Named
            ? throw _fields.Wrong(node, $"{queues} queues on the one processor that 'cpu' names", "one queue, or 'cpu: stay' or 'cpu: any'") : queues;

    private ulong Number(ScenarioNode node, ulong least, ulong most) =>
        _fields.Number(node, least, most, $"a whole number from {least} to {most}");

    private string ReadInterface(ScenarioNode node)
    {
        string expected = $"the name of an interface in at most {InterfaceRequest.LongestName} octets without blanks, / and :";
        string name = _fields.Text(node, expected);
        return InterfaceRequest.IsValidName(name) ? name : throw _fields.Wrong(node, node.Description, expected);
    }

    private uint ReadTable(ScenarioNode node)
    {
        uint table = (uint)Number(node, 1, uint.MaxValue);
        return table is (>= 252 and <= 255) or uint.MaxValue
            ? throw _fields.Wrong(node, $"table {table}, which is the kernel's own", "a table that nothing else uses, such as 8653")
            : table;
    }

    private string? ReadPrograms(ScenarioNode node) =>
        node is ScalarNode { Text: "off" or "false" } ? null : ReadSocketPath(node);

    private string ReadSocketPath(ScenarioNode node)
    {
        string expected = $"a path of at most {LongestSocketPath} octets";
        string path = Path.GetFullPath(_fields.Text(node, expected));
        return Encoding.UTF8.GetByteCount(path) <= LongestSocketPath ? path : throw _fields.Wrong(node, $"the path {path}", expected);
    }

    private string[] ReadUplinks(ScenarioNode? node, string tap)
    {
        HashSet<string> seen = [tap];
        return _fields.List(node, "a list of interfaces", item =>
        {
            string name = ReadInterface(item);
            return seen.Add(name) ? name : throw _fields.Wrong(
                item, name == tap ? $"the TAP {name} as an uplink" : $"{item.Description} a second time",
                name == tap ? "an interface that leads to the network" : "each interface once");
        });
    }
}
