using System.Text;

namespace OnDemand.Linux.Lab;

/// <summary>Makes and removes the network of a lab with iproute2, and changes its routes.</summary>
/// <param name="lab">The lab's name.</param>
internal sealed class LabTopology(string lab)
{
    // For every interface by itself: what is said for 'all' does not reach those that are there.
    // 'accept_redirects' off: in the middle of a move a router may send a packet back where it came from, and the kernel redirects its
    // source, wherever that is; the correspondent would believe for minutes that the other router is on its link.
    // 'accept_dad' off and 'nodad': an address is there at once. 'icmp/ratelimit' 0: a lab answers every probe.
    // 'early_demux' off: see ForwardingSettings.
    private const string SysctlScript =
        """
        set -e
        cd /proc/sys/net/ipv6
        echo "$1" > conf/all/forwarding
        for interface in conf/*; do
            echo 0 > $interface/accept_ra
            echo 0 > $interface/accept_dad
            echo 0 > $interface/autoconf
            echo 0 > $interface/accept_redirects
            echo 1 > $interface/keep_addr_on_down
        done
        echo 0 > icmp/ratelimit
        echo 0 > ../ipv4/tcp_early_demux
        echo 0 > ../ipv4/udp_early_demux
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    /// <summary>The namespaces of this lab that are there.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The nodes.</returns>
    public async Task<IReadOnlyList<string>> FindNodesAsync(CancellationToken cancellationToken)
    {
        string list = await CommandRunner.MustAsync("ip", ["netns", "list"], null, cancellationToken).ConfigureAwait(false);
        HashSet<string> there = [.. list.Split('\n').Select(line => line.Split(' ')[0])];
        return [.. LabNodes.All.Where(node => there.Contains(Namespace(node)))];
    }

    /// <summary>Builds the network; the host is attached nowhere yet.</summary>
    /// <param name="cancellationToken">Stops; what is there then must be removed.</param>
    /// <returns>Completes when everything is there.</returns>
    public async Task BuildAsync(CancellationToken cancellationToken)
    {
        await BatchAsync(null, LabNodes.All.Select(node => $"netns add {Namespace(node)}"), cancellationToken).ConfigureAwait(false);
        await BatchAsync(
            null,
            LabLinks.Cables.Select(cable =>
                $"link add {cable.Interface} netns {Namespace(cable.Node)} type veth " +
                $"peer name {cable.OtherInterface} netns {Namespace(cable.OtherNode)}"),
            cancellationToken).ConfigureAwait(false);
        await Task.WhenAll(LabNodes.All.Select(node => SetUpAsync(node, cancellationToken))).ConfigureAwait(false);
    }

    /// <summary>Removes the network with everything that still runs in it.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether there was any of it.</returns>
    public async Task<bool> RemoveAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<string> nodes = await FindNodesAsync(cancellationToken).ConfigureAwait(false);
        List<LabProcess> inside = [];
        foreach (string node in nodes)
        {
            CommandResult found = await CommandRunner.RunAsync(
                "ip", ["netns", "pids", Namespace(node)], null, cancellationToken).ConfigureAwait(false);
            inside.AddRange(found.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(id => LabProcess.Find(int.Parse(id, System.Globalization.CultureInfo.InvariantCulture)))
                .OfType<LabProcess>()
                .Where(process => process.Id != Environment.ProcessId));
        }

        await Task.WhenAll(inside.Select(process => process.EndAsync(Patience, cancellationToken))).ConfigureAwait(false);
        if (nodes.Count > 0)
        {
            await CommandRunner.RunAsync(
                "ip", ["-force", "-batch", "-"], Lines(nodes.Select(node => $"netns delete {Namespace(node)}")), cancellationToken)
                .ConfigureAwait(false);
        }

        IReadOnlyList<string> left = nodes.Count == 0 ? [] : await FindNodesAsync(cancellationToken).ConfigureAwait(false);
        return left.Count == 0 ? nodes.Count > 0 : throw new HostException(
            $"The network namespace {Namespace(left[0])} could not be deleted; see 'ip netns list' and 'ls /run/netns'.");
    }

    /// <summary>Carries out route changes, every node's at the same time: first everywhere what is new, then what is to go, so that no
    /// packet is sent back by a router that does not know the way any more.</summary>
    /// <param name="changes">Node and <c>ip</c> command.</param>
    /// <param name="between">What happens when the new routes are there and the old ones are too; null for nothing.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when the routes are there.</returns>
    public async Task ApplyAsync(
        IReadOnlyList<(string Node, string Command)> changes, Func<Task>? between, CancellationToken cancellationToken)
    {
        await Task.WhenAll(changes.Where(change => !IsDelete(change.Command)).GroupBy(change => change.Node).Select(
            node => BatchAsync(node.Key, node.Select(change => change.Command), cancellationToken))).ConfigureAwait(false);
        try
        {
            await (between?.Invoke() ?? Task.CompletedTask).ConfigureAwait(false);
        }
        finally
        {
            // A route that expires may be gone before it is deleted: then there is nothing to complain about.
            await Task.WhenAll(changes.Where(change => IsDelete(change.Command)).GroupBy(change => change.Node).Select(
                node => CommandRunner.RunAsync(
                    "ip", ["-n", Namespace(node.Key), "-force", "-batch", "-"], Lines(node.Select(change => change.Command)),
                    cancellationToken))).ConfigureAwait(false);
        }
    }

    /// <summary>Switches the host's link to an access router on, and sends everything there that has no other route.</summary>
    /// <param name="router">The router.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when the link is there.</returns>
    public Task ConnectAsync(string router, CancellationToken cancellationToken) => BatchAsync(
        LabNodes.Host,
        [
            $"link set dev {router} up",
            $"addr replace {LabLinks.LinkLocal(LabNodes.Host)}/64 dev {router} nodad",
            $"route replace default {LabLinks.HostTo(router)}",
        ],
        cancellationToken);

    /// <summary>Switches the host's link to an access router off.</summary>
    /// <param name="router">The router.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when the link is down.</returns>
    public Task DisconnectAsync(string router, CancellationToken cancellationToken) =>
        BatchAsync(LabNodes.Host, [$"link set dev {router} down"], cancellationToken);

    /// <summary>Runs <c>ip</c> commands in a node.</summary>
    /// <param name="node">The node; null for where this process is.</param>
    /// <param name="commands">The commands.</param>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when all are done.</returns>
    /// <exception cref="HostException">One of them failed.</exception>
    public async Task BatchAsync(string? node, IEnumerable<string> commands, CancellationToken cancellationToken)
    {
        string lines = Lines(commands);
        if (lines.Length > 0)
        {
            string[] arguments = node is null ? ["-batch", "-"] : ["-n", Namespace(node), "-batch", "-"];
            await CommandRunner.MustAsync("ip", arguments, lines, cancellationToken).ConfigureAwait(false);
        }
    }

    private static bool IsDelete(string command) => command.StartsWith("route del", StringComparison.Ordinal);

    private static string Lines(IEnumerable<string> commands) =>
        commands.Aggregate(new StringBuilder(), (text, command) => text.Append(command).Append('\n')).ToString();

    private async Task SetUpAsync(string node, CancellationToken cancellationToken)
    {
        string forwarding = node == LabNodes.Peer ? "0" : "1";
        await CommandRunner.MustAsync(
            "ip", ["netns", "exec", Namespace(node), "sh", "-c", SysctlScript, "sh", forwarding], null, cancellationToken)
            .ConfigureAwait(false);
        List<string> commands = ["link set dev lo up"];
        if (LabLinks.RouterAddress(node) is { } address)
        {
            commands.Add($"addr add {address}/128 dev lo nodad");
        }

        string[] interfaces =
        [
            .. LabLinks.Cables.Where(cable => cable.Node == node).Select(cable => cable.Interface),
            .. LabLinks.Cables.Where(cable => cable.OtherNode == node).Select(cable => cable.OtherInterface),
        ];
        commands.AddRange(interfaces.Select(name => $"link set dev {name} addrgenmode none"));
        if (node == LabNodes.Host)
        {
            // Its links come up one at a time, when it moves.
            await BatchAsync(node, commands, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            commands.AddRange(interfaces.Select(name => $"link set dev {name} up"));
            commands.AddRange(interfaces.Select(name => $"addr add {LabLinks.LinkLocal(node)}/64 dev {name} nodad"));
            commands.AddRange(OwnRoutes(node));
            await BatchAsync(node, commands, cancellationToken).ConfigureAwait(false);
        }

        // A veth hands partial checksums on and nobody ever verifies them: on the host's links they are finished in software. Only the
        // host puts packets together again: what a capture at a router shows is what was on the link.
        string aggregation = node == LabNodes.Host ? "on" : "off";
        foreach (string name in interfaces.Where(name => node == LabNodes.Host || name == LabNodes.Host))
        {
            await CommandRunner.MustAsync(
                "ip", ["netns", "exec", Namespace(node), CommandRunner.Find("ethtool"), "-K", name, "tx", "off", "gro", aggregation], null,
                cancellationToken).ConfigureAwait(false);
        }
    }

    private static IEnumerable<string> OwnRoutes(string node) => node switch
    {
        LabNodes.Peer =>
        [
            $"addr add {LabLinks.PeerAddress}/64 dev anchor nodad",
            $"route add default via {LabLinks.AnchorOnPeerLink} dev anchor",
        ],
        LabNodes.Anchor =>
        [
            $"addr add {LabLinks.AnchorOnPeerLink}/64 dev peer nodad",
            .. LabNodes.Routers.Select(router => $"route add {LabLinks.RouterAddress(router)} {LabLinks.AnchorTo(router)}"),
        ],
        _ => [$"route add default via {LabLinks.LinkLocal(LabNodes.Anchor)} dev anchor"],
    };

    private string Namespace(string node) => LabNodes.Namespace(lab, node);
}
