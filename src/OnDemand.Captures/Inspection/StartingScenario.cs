using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Inspection;

/// <summary>
/// A scenario to start from: it replays the capture without losing a packet, and shows in comments how to make the host move. Its
/// prefixes are documentation prefixes (RFC 3849) that do not occur in the capture.
/// </summary>
public sealed class StartingScenario
{
    private const int MostInboundRules = 256;
    private const ulong DocumentationHigh = 0x2001_0db8_0000_0000;
    private const int FirstChoice = 0xa100;

    private static readonly AddressType[] Types =
        [AddressType.Nonpersistent, AddressType.SessionLasting, AddressType.GracefulReplacement, AddressType.Fixed];

    private readonly ScenarioRemarks _remarks;

    internal StartingScenario(CaptureTally tally, IReadOnlyList<InternalGuess> guesses, string capture)
    {
        HashSet<IpAddress> inside = [.. guesses.Select(guess => guess.Address)];
        int[] sites = FreeSites(tally);
        bool opensPorts = TryInbound(tally, inside, out ScenarioInbound[] inbound);
        Scenario = new Scenario
        {
            File = string.Empty,
            Seed = 1,
            Internal = [.. guesses.Select(guess => new IpPrefix(guess.Address, 128))],
            Network = [new AttachEvent(ScenarioTime.Start, default, "ar1", [.. Types.Select((type, i) => Given(sites[i], type))], null)],
            Policy = new ScenarioPolicy { Inbound = inbound },
        };
        _remarks = new ScenarioRemarks
        {
            Head =
            [
                $"A scenario to start from, made from {ReportText.Printable(capture)}.",
                "It replays the capture without a move; see below for one.",
            ],
            Internal = [.. guesses.Select(guess => $"{guess.Address}: {guess.Reason}.")],
            AfterNetwork = MoveExample(tally, sites),
            Inbound = inbound.Length == 0 ? [] : opensPorts
                ? ["What the other end opened in the capture; without these rules it could not come in."]
                : ["More ports were opened from outside than there is room for here, so whole protocols may come in."],
            Foot =
            [
                "Give flows a type with rules under policy, for example:",
                "  rules:",
                "    - {protocol: tcp, type: session-lasting}",
                "    - {protocol: udp, type: graceful-replacement}",
            ],
        };
    }

    /// <summary>The scenario.</summary>
    public Scenario Scenario { get; }

    /// <summary>Writes the scenario as commented YAML.</summary>
    /// <param name="output">Where to.</param>
    public void Write(TextWriter output) => ScenarioWriter.Write(output, Scenario, _remarks);

    private static PrefixAdvertisement Given(int site, AddressType type) => new(Prefix(site), type);

    private static IpPrefix Prefix(int site) => new(new IpAddress(DocumentationHigh | ((ulong)(uint)site << 16), 0), 64);

    // One /48 each for the four types here and for the two that change in the example of a move; none of them occurs in the capture. There
    // are 65,536 to choose from; a capture that holds them all gets prefixes that collide, which a replay can live with.
    private static int[] FreeSites(CaptureTally tally)
    {
        int wanted = Types.Length + 2;
        IEnumerable<int> all = Enumerable.Range(0, 1 << 16).Select(i => (FirstChoice + i) & 0xffff);
        int[] free = [.. all.Where(site => !tally.HasDocumentationAddress(site)).Take(wanted)];
        return free.Length == wanted ? free : [.. Enumerable.Range(FirstChoice, wanted)];
    }

    private static string[] MoveExample(CaptureTally tally, int[] sites)
    {
        long span = tally is { From: { } from, To: { } to } ? to.Since(from).Nanoseconds : 0;
        long millisecond = Duration.FromMilliseconds(1).Nanoseconds;
        long middle = span / 2 / millisecond * millisecond;   // whole milliseconds read better, and nobody needs more here
        long window = Math.Max(millisecond, span / 5 / millisecond * millisecond);
        return
        [
            "A move in the middle of the capture; take the comment signs away to see what it does to each flow:",
            $"- at: {ScenarioText.Format(new Duration(middle))}",
            "  attach: ar2",
            $"  window: {ScenarioText.Format(new Duration(window))}",
            "  prefixes:",
            $"    - {{prefix: {Prefix(sites[4])}, type: nonpersistent}}",
            $"    - {{prefix: {Prefix(sites[5])}, type: graceful-replacement}}",
        ];
    }

    // A rule for every protocol and port that the other end sent to first. Where there are too many, ports are left out.
    private static bool TryInbound(CaptureTally tally, HashSet<IpAddress> inside, out ScenarioInbound[] rules)
    {
        SortedSet<(byte Protocol, ushort Port)> opened = [];
        foreach ((FlowEnds ends, FlowTally flow) in tally.Flows)
        {
            (IpAddress source, IpAddress target, ushort port) =
                flow.LowWasFirst ? (ends.Low, ends.High, ends.HighPort) : (ends.High, ends.Low, ends.LowPort);
            if (inside.Contains(target) && !inside.Contains(source))
            {
                bool hasPorts = new FlowFacts(ends.Protocol, target, port, source, 0).HasPorts;
                opened.Add((ends.Protocol, hasPorts ? port : (ushort)0));
            }
        }

        bool fits = opened.Count <= MostInboundRules;
        rules = fits
            ? [.. opened.Select(rule => new ScenarioInbound { Protocol = rule.Protocol, LocalPort = Ports(rule.Protocol, rule.Port) })]
            : [.. opened.Select(rule => rule.Protocol).Distinct().Select(protocol => new ScenarioInbound { Protocol = protocol })];
        return fits;
    }

    private static PortRange? Ports(byte protocol, ushort port) =>
        new FlowFacts(protocol, default, port, default, 0).HasPorts ? new PortRange(port) : null;
}
