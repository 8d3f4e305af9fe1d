using System.Globalization;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Real programs and kernels through a real TAP, judged by what arrives at the server.</summary>
public sealed class LiveTrafficTests
{
    private const string Fixed = """
        internal: [fd00:a::2]
        seed: 5
        network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}]}]
        policy: {default: nonpersistent}

        """;

    // Prints each peer, and sends back what it gets.
    private const string EchoServer = """
        import socket, threading
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("::", 7000))
        listener.listen()
        print("listening", flush=True)
        def serve(peer):
            try:
                while octets := peer.recv(65536):
                    peer.sendall(octets)
            except OSError as error:
                print("peer", error, flush=True)
        while True:
            peer, address = listener.accept()
            print("from", address[0], flush=True)
            threading.Thread(target=serve, args=(peer,), daemon=True).start()
        """;

    [Theory]
    [InlineData("off")]
    [InlineData("answer")]
    public void Bulk_traffic_arrives_with_typed_sources_and_right_checksums(string neighbors)
    {
        using var lab = new RoutedLab();
        lab.Run(Fixed + lab.HostMap($", neighbors: {neighbors}"));

        // The host's egress finishes the checksums, or a wrong partial one would never be seen on a veth.
        lab.Host("ethtool -K wire tx off");
        string capture = Path.Combine(lab.Directory, "seen.pcap");
        const string hosts = "ip6 src net 2001:db8:a0::/44 or ip6 src net fd00::/8";
        LabProgram dump = lab.Start(lab.ServerName, "tcpdump", "-i", "wire", "-n", "-s", "0", "-U", "-w", capture, hosts);
        dump.WaitFor("listening on");
        lab.Start(lab.ServerName, "iperf3", "-s", "--forceflush").WaitFor("Server listening");

        lab.Host($"ping -c 2 -i 0.2 {RoutedLab.Server}");
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -n 8M");
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -n 8M -R");
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -u -b 30M -l 1200 -t 1");
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -u -b 100M -l 60000 -t 1");
        dump.End("INT");

        string sources = Shark(lab, capture, "ipv6", "ipv6.src").Trim();
        Assert.NotEmpty(sources);
        Assert.All(
            sources.Split('\n').Distinct(), source => Assert.StartsWith("2001:db8:a1:", source.Split(',')[0], StringComparison.Ordinal));
        const string wrong = "tcp.checksum.status == 0 || udp.checksum.status == 0 || icmpv6.checksum.status == 0";
        Assert.Empty(Shark(lab, capture, wrong, "frame.number"));
        Assert.NotEmpty(Shark(lab, capture, "tcp.checksum.status == 1", "frame.number"));
        Assert.NotEmpty(Shark(lab, capture, "udp.checksum.status == 1", "frame.number"));
    }

    [Fact]
    public void A_tunnel_of_datagrams_carries_what_its_kernel_leaves_unfinished()
    {
        using var lab = new RoutedLab();
        string made = lab.Host($"ip link add vx0 type vxlan id 5 remote {RoutedLab.Server} local fd00:a::2 dstport 4789 2>&1 || true");
        Assert.SkipUnless(made.Length == 0, $"This kernel has no VXLAN: {made}");
        lab.Run(Fixed.Replace("nonpersistent", "fixed", StringComparison.Ordinal) + lab.HostMap());
        lab.Host("ip addr add 10.9.9.1/24 dev vx0; ip link set vx0 up mtu 1300");
        lab.Host("ethtool -K wire tx off");          // as above
        lab.AtServer($"""
            ip link add vx0 type vxlan id 5 local {RoutedLab.Server} dstport 4789
            ip addr add 10.9.9.2/24 dev vx0; ip link set vx0 up mtu 1300
            """);
        lab.Start(lab.ServerName, "iperf3", "-s", "--forceflush").WaitFor("Server listening");

        lab.Host("ping -c 1 -W 10 10.9.9.2");
        lab.Host("timeout 60 iperf3 -c 10.9.9.2 -n 1M");
        lab.Host("timeout 60 iperf3 -c 10.9.9.2 -n 1M -R");

        const string wrong = "grep Udp6InCsumErrors /proc/net/snmp6";
        Assert.Equal(("0", "0"), (lab.Host(wrong).Split()[^2], lab.AtServer(wrong).Split()[^2]));
    }

    [Fact]
    public void After_a_nonpersistent_move_the_connection_is_reset_at_once_and_the_next_one_has_the_new_address()
    {
        using var lab = new RoutedLab();
        LabProgram server = lab.Start(lab.ServerName, "python3", "-c", EchoServer).WaitFor("listening");
        LabProgram run = lab.Run("""
            internal: [fd00:a::2]
            seed: 5
            network:
              - {at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}]}
              - {at: 5s, attach: ar2, prefixes: [{prefix: "2001:db8:a2::/64", type: nonpersistent}]}
            policy: {default: nonpersistent}

            """ + lab.HostMap());

        string said = lab.Host($"""
            python3 -c '
            import socket
            def connect():
                s = socket.create_connection(("{RoutedLab.Server}", 7000)); s.sendall(b"hello")
                print("echo", len(s.recv(100)), flush=True); return s
            s = connect()
            try:
                s.recv(100)                           # nothing more comes, until the move
            except ConnectionResetError:
                print("reset", flush=True)
            connect()
            '
            """.Replace("\n            ", "\n", StringComparison.Ordinal));

        Assert.Equal("echo 5\nreset\necho 5\n", said);
        server.WaitFor("from 2001:db8:a1:").WaitFor("from 2001:db8:a2:");
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void A_narrow_uplink_is_found_out_by_the_socket_that_has_to_know()
    {
        using var lab = new RoutedLab();
        lab.Run(Fixed + lab.HostMap());
        lab.Host("ip link set dev wire mtu 1300");   // the server does not know, so it lets the host send more
        lab.Start(lab.ServerName, "iperf3", "-s", "--forceflush").WaitFor("Server listening");

        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -n 2M");

        Assert.Contains("mtu 1300", lab.Host($"ip -6 route get {RoutedLab.Server} from fd00:a::2"), StringComparison.Ordinal);
        Assert.Matches("mtu[:=] ?1300", lab.Host($"ping -c 3 -i 0.2 -M do -s 1400 {RoutedLab.Server} 2>&1 || true"));
    }

    private static string Shark(RoutedLab lab, string capture, string filter, string field) => lab.AtServer(string.Create(
        CultureInfo.InvariantCulture,
        $"tshark -r {capture} -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -Y '{filter}' -T fields -e {field} 2>/dev/null"));
}
