using OnDemand.Captures.Reports;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Inspection;

/// <summary>Guesses which addresses are those of the host behind the capture point.</summary>
internal static class InternalAddresses
{
    private const int MostGuesses = 16;

    /// <summary>The likely internal addresses with their reasons, best first.</summary>
    /// <param name="tally">The capture.</param>
    /// <returns>At most sixteen; none when there are no flows.</returns>
    public static IReadOnlyList<InternalGuess> Guess(CaptureTally tally)
    {
        KeyValuePair<IpAddress, HostTally>[] ends = [.. tally.Hosts.Where(host => host.Value.Flows > 0)];
        if (ends.Length == 0)
        {
            return [];
        }

        KeyValuePair<IpAddress, HostTally>[] local = [.. ends.Where(host => IsUniqueLocal(host.Key) && host.Value.PacketsSent > 0)];
        Dictionary<IpAddress, HashSet<IpAddress>> peers = Peers(tally, ends);
        var chosen = new List<InternalGuess>();
        foreach (KeyValuePair<IpAddress, HostTally> host in Ranked(local.Length > 0 ? local : ends))
        {
            // Two ends of one flow are not both behind the capture point; and further addresses must belong to the first.
            bool talksToChosen = chosen.Exists(guess => peers[host.Key].Contains(guess.Address));
            bool belongs = chosen.Count == 0 || IsUniqueLocal(host.Key) || host.Key.High == chosen[0].Address.High;
            if (!talksToChosen && belongs && chosen.Count < MostGuesses)
            {
                chosen.Add(new InternalGuess(host.Key, Reason(host.Key, host.Value, tally.Flows.Count, chosen.Count == 0)));
            }
        }

        return chosen;
    }

    // The common end of the flows first; among equals who is nearer to the capture point, then who opens flows, then who came first.
    private static IEnumerable<KeyValuePair<IpAddress, HostTally>> Ranked(IEnumerable<KeyValuePair<IpAddress, HostTally>> hosts) =>
        hosts.OrderByDescending(host => host.Value.Flows)
            .ThenBy(host => host.Value.Routed || host.Value.PacketsSent == 0)
            .ThenByDescending(host => host.Value.FlowsOpened);

    private static Dictionary<IpAddress, HashSet<IpAddress>> Peers(CaptureTally tally, KeyValuePair<IpAddress, HostTally>[] ends)
    {
        Dictionary<IpAddress, HashSet<IpAddress>> peers = ends.ToDictionary(host => host.Key, _ => new HashSet<IpAddress>());
        foreach (FlowEnds flow in tally.Flows.Keys)
        {
            // An end may be missing when the table of hosts was full.
            if (peers.TryGetValue(flow.Low, out HashSet<IpAddress>? low))
            {
                low.Add(flow.High);
            }

            if (peers.TryGetValue(flow.High, out HashSet<IpAddress>? high))
            {
                high.Add(flow.Low);
            }
        }

        return peers;
    }

    private static string Reason(IpAddress address, HostTally host, int flows, bool isFirst)
    {
        string ends = $"{ReportText.Count(host.Flows)} of {ReportText.Count(flows, "flow")}";
        string share = $"it is an end of {ends} and opened {ReportText.Count(host.FlowsOpened)}";
        string near = host.Routed || host.PacketsSent == 0 ? string.Empty : "; no router has lowered the Hop Limit of its packets";
        return IsUniqueLocal(address) ? $"a unique local address, which stays behind the capture point (RFC 4193); {share}"
            : isFirst ? share + near
            : $"in the /64 of the first, with which it never talks; {share}{near}";
    }

    private static bool IsUniqueLocal(IpAddress address) => address.High >> 57 == 0xfc >> 1;
}
