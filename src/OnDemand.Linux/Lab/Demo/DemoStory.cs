using System.Globalization;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>Turns what the demo's programs saw into a story, line by line as it happens, and into a table at the end.</summary>
/// <param name="output">Where the story goes; synchronized.</param>
/// <param name="began">Time 0 of the story.</param>
internal sealed class DemoStory(TextWriter output, DateTimeOffset began)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Protocol, int Type), Flow> _flows = [];
    private DateTimeOffset? _moved;

    /// <summary>How many flows have a source address that the correspondent has seen.</summary>
    public int Seen
    {
        get
        {
            lock (_gate)
            {
                return _flows.Values.Count(flow => flow.Source is not null);
            }
        }
    }

    /// <summary>Whether anything arrived that was not sent.</summary>
    public bool Corrupt { get; private set; }

    /// <summary>Tells something of the story that no program saw.</summary>
    /// <param name="text">The sentence.</param>
    public void Tell(string text) => Tell(DateTimeOffset.UtcNow, text);

    /// <summary>The host has moved now: what happens from here on is counted from here.</summary>
    /// <param name="text">The sentence.</param>
    public void TellMove(string text)
    {
        _moved = DateTimeOffset.UtcNow;
        Tell(_moved.Value, text);
    }

    /// <summary>Hears what a program saw.</summary>
    /// <param name="line">What it saw.</param>
    public void Hear(DemoLine line)
    {
        if (line.Port == 0)
        {
            return;
        }

        int first = line.Protocol == "TCP" ? DemoTraffic.FirstTcpPort : DemoTraffic.FirstUdpPort;
        lock (_gate)
        {
            (string, int) key = (line.Protocol, line.Port - first);
            Flow flow = _flows.TryGetValue(key, out Flow? known) ? known : _flows[key] = new Flow();
            if (Describe(flow, line) is { } text)
            {
                Tell(line.At, $"{NameOf(line.Port - first),-20}  {line.Protocol}  {text}");
            }
        }
    }

    /// <summary>Writes the table.</summary>
    public void WriteTable()
    {
        lock (_gate)
        {
            output.WriteLine();
            output.WriteLine($"  {"type",-20}  {"TCP download",-44}  UDP exchange, one socket");
            for (int type = 0; type < DemoTraffic.Types; type++)
            {
                output.WriteLine($"  {NameOf(type),-20}  {Tcp(type),-44}  {Udp(type)}");
            }
        }
    }

    private static string NameOf(int type) => (AddressType)(type + 1) switch
    {
        AddressType.Fixed => "Fixed",
        AddressType.SessionLasting => "Session-Lasting",
        AddressType.Nonpersistent => "Nonpersistent",
        _ => "Graceful-Replacement",
    };

    private static string Megabytes(long octets) => string.Create(CultureInfo.InvariantCulture, $"{octets / 1e6:0.0} MB");

    private string? Describe(Flow flow, DemoLine line)
    {
        switch (line.Event)
        {
            case DemoEvents.Source:
                string? old = flow.Source;
                flow.Source = line.Text;
                flow.Sources++;
                return old is null ? $"from {line.Text}"
                    : line.Protocol == "TCP" ? $"a new connection, from {line.Text}{After(line.At)}"
                    : $"went over to {line.Text}{After(line.At)}: the same socket";
            case DemoEvents.Connected:
                flow.Connections++;
                return null;
            case DemoEvents.Reset:
                flow.ResetAfter = _moved is { } moved ? line.At - moved : null;
                flow.Octets += line.Octets;
                return $"reset ({line.Text}){After(line.At)}, {Megabytes(line.Octets)} into the download";
            case DemoEvents.Corrupt:
                Corrupt = true;
                return $"received at octet {line.Octets} what was not sent";
            case DemoEvents.Done:
                flow.Last = line.Octets;
                flow.Lost = line.Lost;
                return null;
            default:
                return null;
        }
    }

    private string Tcp(int type)
    {
        if (!_flows.TryGetValue(("TCP", type), out Flow? flow))
        {
            return "nothing was seen";
        }

        string reset = flow.ResetAfter is { } after
            ? string.Create(CultureInfo.InvariantCulture, $"reset {after.TotalMilliseconds:0} ms after the move, begun anew")
            : "begun anew";
        return flow.Connections <= 1 ? $"same connection, {Megabytes(flow.Last)}, nothing lost" : reset;
    }

    private string Udp(int type)
    {
        if (!_flows.TryGetValue(("UDP", type), out Flow? flow))
        {
            return "nothing was seen";
        }

        string lost = string.Create(CultureInfo.InvariantCulture, $"{flow.Lost} of {flow.Last + flow.Lost} questions unanswered");
        return flow.Sources <= 1 ? $"same address, {lost}" : $"went over, {lost}";
    }

    private string After(DateTimeOffset at)
    {
        if (_moved is not { } moved)
        {
            return string.Empty;
        }

        double milliseconds = (at - moved).TotalMilliseconds;
        return milliseconds < 1000
            ? string.Create(CultureInfo.InvariantCulture, $" after {milliseconds:0} ms")
            : string.Create(CultureInfo.InvariantCulture, $" {milliseconds / 1000:0.00} s after the move");
    }

    private void Tell(DateTimeOffset at, string text) =>
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(at - began).TotalSeconds,6:0.00} s  {text}"));

    private sealed class Flow
    {
        public string? Source { get; set; }

        public int Sources { get; set; }

        public int Connections { get; set; }

        public long Octets { get; set; }

        public long Last { get; set; }

        public long Lost { get; set; }

        public TimeSpan? ResetAfter { get; set; }
    }
}
