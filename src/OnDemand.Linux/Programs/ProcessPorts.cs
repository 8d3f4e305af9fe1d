using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>Finds the sockets of a running program by their port.</summary>
internal static class ProcessPorts
{
    /// <summary>Finds them, in the network namespace of this process.</summary>
    /// <param name="process">The program's process.</param>
    /// <param name="port">The local port.</param>
    /// <param name="protocol">Only of this protocol; null for TCP and UDP.</param>
    /// <returns>The sockets, by cookie: of TCP, the listener and the connections it has accepted may be among them.</returns>
    /// <exception cref="HostException">The kernel cannot tell of sockets.</exception>
    public static IReadOnlyList<SocketRecord> Find(int process, ushort port, SocketProtocol? protocol)
    {
        HashSet<uint> inodes = [.. ProcessSockets.InodesOf(process)];
        SortedDictionary<ulong, SocketRecord> found = [];
        using SocketDiag diag = SocketDiag.Open();
        foreach (SocketProtocol one in protocol is { } only ? [only] : (SocketProtocol[])[SocketProtocol.Tcp, SocketProtocol.Udp])
        {
            diag.Dump(one, SocketStates.OfPrograms, (in SocketRecord record) =>
            {
                if (record.LocalPort == port && inodes.Contains(record.Inode))
                {
                    found[record.Cookie] = record;
                }
            });
        }

        return [.. found.Values];
    }
}
