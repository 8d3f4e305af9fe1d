using OnDemand.Captures.Files;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Inspection;

/// <summary>Looks through a capture, once and in bounded memory, and says what is in it.</summary>
public sealed class Inspector
{
    private readonly CaptureTally _tally;

    private Inspector(InspectionLimits limits) => _tally = new CaptureTally(limits);

    /// <summary>What is in the capture.</summary>
    public InspectionReport Report { get; private set; } = new();

    /// <summary>A scenario to start from; null when there is no likely internal address.</summary>
    public StartingScenario? Scenario { get; private set; }

    /// <summary>Looks through a capture.</summary>
    /// <param name="name">Its name, as the user gave it.</param>
    /// <param name="input">The octets of the file; not disposed.</param>
    /// <param name="limits">How much may be remembered.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    /// <returns>What was found, up to any damage.</returns>
    public static async Task<Inspector> InspectAsync(
        string name, Stream input, InspectionLimits limits, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(limits);
        var inspector = new Inspector(limits);
        CaptureReader reader = CaptureReader.Create(input);
        await using (reader.ConfigureAwait(false))
        {
            bool any = false;
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                any = true;
                inspector.Drain(reader);
            }

            inspector.Finish(name, any ? FormatName(reader.Format) : string.Empty, reader.Damage?.Description);
        }

        return inspector;
    }

    private void Drain(CaptureReader reader)
    {
        while (reader.TryRead(out CaptureRecord record))
        {
            if (record.Kind == CaptureRecordKind.Packet)
            {
                _tally.Add(
                    record.LinkType, record.Data, record.OriginalLength, record.HasTimestamp ? new Timestamp(Math.Max(0, record.Timestamp)) : null);
            }
        }
    }

    private void Finish(string name, string format, string? damage)
    {
        IReadOnlyList<InternalGuess> guesses = InternalAddresses.Guess(_tally);
        HashSet<IpAddress> inside = [.. guesses.Select(guess => guess.Address)];
        Report = new InspectionReport
        {
            Input = name,
            Format = format,
            Damage = damage,
            Packets = _tally.Packets,
            Octets = _tally.Octets,
            CutPackets = _tally.CutPackets,
            From = _tally.From,
            To = _tally.To,
            OutOfOrder = _tally.OutOfOrder,
            LinkTypes = [.. _tally.LinkTypes.Select(entry => new NamedCount(PacketNames.LinkType(entry.Key), entry.Value))],
            Kinds =
            [
                .. Enum.GetValues<PacketKind>().Select(kind => new NamedCount(PacketNames.Kind(kind), _tally.Count(kind)))
                    .Where(kind => kind.Count > 0),
            ],
            Errors = [.. _tally.Errors.Select(entry => new NamedCount(PacketNames.Error(entry.Key), entry.Value))],
            Hosts =
            [
                .. _tally.Hosts.OrderByDescending(host => host.Value.PacketsSent + host.Value.PacketsReceived).ThenBy(host => host.Key)
                    .Select(host => Summarize(host.Key, host.Value, inside)),
            ],
            Flows = [.. _tally.Flows.Select(flow => Summarize(flow.Key, flow.Value, inside))],
            HostsNotTracked = _tally.HostsNotTracked,
            FlowsNotTracked = _tally.FlowsNotTracked,
            Internal = guesses,
        };
        Scenario = guesses.Count > 0 ? new StartingScenario(_tally, guesses, name) : null;
    }

    private static HostSummary Summarize(IpAddress address, HostTally host, HashSet<IpAddress> inside) => new(
        address, host.PacketsSent, host.PacketsReceived, host.Octets, host.Flows, host.FlowsOpened,
        IsUnrouted: host.PacketsSent > 0 && !host.Routed, LooksInternal: inside.Contains(address));

    private FlowSummary Summarize(FlowEnds ends, FlowTally flow, HashSet<IpAddress> inside)
    {
        (IpAddress source, ushort sourcePort, IpAddress destination, ushort destinationPort) = flow.LowOpened
            ? (ends.Low, ends.LowPort, ends.High, ends.HighPort)
            : (ends.High, ends.HighPort, ends.Low, ends.LowPort);
        string direction = inside.Contains(source) ? "outbound" : inside.Contains(destination) ? "inbound" : "unknown";
        bool timed = _tally.From is not null;
        return new FlowSummary(
            ScenarioText.Protocol(ends.Protocol), source, sourcePort, destination, destinationPort, direction,
            timed ? flow.First : null, timed ? flow.Last : null, flow.Packets, flow.Octets);
    }

    private static string FormatName(CaptureFormat format) => format switch
    {
        CaptureFormat.Pcap => "pcap",
        CaptureFormat.PcapNanoseconds => "pcap-nanoseconds",
        CaptureFormat.PcapModified => "pcap-modified",
        _ => "pcapng",
    };
}
