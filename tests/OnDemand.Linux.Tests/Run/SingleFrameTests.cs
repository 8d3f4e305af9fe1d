using OnDemand.Linux.Control;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>
/// Frames that the kernel gives out one by one through a real TAP: they are joined, and what the kernel then cuts and finishes is looked
/// at on the wire. Without io_uring, and without joining, the same arrives.
/// </summary>
public sealed class SingleFrameTests
{
    private const string Fixed = """
        internal: [fd00:a::2]
        seed: 5
        network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}]}]
        policy: {default: nonpersistent}

        """;

    // Sends back what it gets.
    private const string Echo = """
        import socket
        listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listener.bind(("::", 7000))
        listener.listen()
        print("listening", flush=True)
        while True:
            peer, _ = listener.accept()
            while octets := peer.recv(1 << 16):
                peer.sendall(octets)
            peer.close()
        """;

    private const string There = """
        import hashlib, os, socket, threading
        sent = os.urandom(20_000_000)
        s = socket.create_connection(("2001:db8:5::2", 7000))
        def send():
            s.sendall(sent)
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send).start()
        received = hashlib.sha256()
        while octets := s.recv(1 << 16):
            received.update(octets)
        print("whole" if received.digest() == hashlib.sha256(sent).digest() else "changed")
        """;

    // A filter that lets io_uring_setup(2) fail with EPERM, as container runtimes do (seccomp(2), prctl(2)).
    private const string WithoutRings = """
        import ctypes, os, struct, sys
        rules = [(0x20, 0, 0, 0), (0x15, 0, 1, 425), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(rules), ctypes.addressof(code)))
        c = ctypes.CDLL(None, use_errno=True)
        if c.prctl(38, 1, 0, 0, 0) or c.prctl(22, 2, ctypes.byref(program)):
            sys.exit("no filter")
        os.execvp(sys.argv[1], sys.argv[1:])
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("on", "on", true)]
    [InlineData("on", "on", false)]
    [InlineData("off", "on", false)]
    [InlineData("on", "off", true)]
    [InlineData("off", "off", true)]
    public async Task Single_frames_arrive_whole_and_with_right_checksums(string ring, string coalesce, bool partial)
    {
        using var lab = new RoutedLab();
        lab.Run(Fixed + lab.HostMap($", ring: {ring}, coalesce: {coalesce}"));

        // Nobody puts frames together but the dataplane; the wire finishes checksums, or a wrong partial one would never be seen on a veth.
        const string single = "tso off gso off gro off tx-udp-segmentation off";
        lab.Host($"ethtool -K od0 {single} tx {(partial ? "on" : "off")}; ethtool -K wire tx off gro off");
        lab.AtServer($"ethtool -K wire {single} tx {(partial ? "on" : "off")}");
        string capture = Path.Combine(lab.Directory, "seen.pcap");
        LabProgram dump = lab.Start(lab.ServerName, "tcpdump", "-i", "wire", "-n", "-s", "0", "-B", "65536", "-U", "-w", capture, "ip6");
        dump.WaitFor("listening on");
        lab.Start(lab.ServerName, "python3", "-c", Echo).WaitFor("listening");
        lab.Start(lab.ServerName, "iperf3", "-s", "--forceflush").WaitFor("Server listening");

        Assert.Equal("whole\n", lab.Host($"python3 -c '{There}'"));
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -u -b 0 -l 100 -t 1");
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -u -b 300M -l 1200 -t 1 -R");
        dump.End("INT");

        // The kernel finishes a TCP checksum of 0 as ffff (skb_checksum_help), which is as right, but which tshark does not like.
        const string wrong = "(tcp.checksum.status == 0 || udp.checksum.status == 0) && ipv6.src == 2001:db8:a1::/64 && !(tcp.checksum == 0xffff)";
        Assert.Empty(Shark(lab, capture, wrong));
        Assert.Empty(Shark(lab, capture, "frame.len > 1514 && ipv6.src == 2001:db8:a1::/64"));
        Assert.NotEmpty(Shark(lab, capture, "tcp.checksum.status == 1 && ipv6.src == 2001:db8:a1::/64"));
        Assert.NotEmpty(Shark(lab, capture, "udp.length == 108 && udp.checksum.status == 1 && ipv6.src == 2001:db8:a1::/64"));
        TapResource tap = await CountersAsync(lab);
        Assert.Equal(coalesce == "on", tap.SuperpacketsMade > 100 && tap.FramesJoined > 1000);
        Assert.Equal(ring == "on", tap.RingBatches > 100);
        Assert.Equal(0, tap.SuperpacketsRefused);
        Assert.DoesNotContain("refused-by-kernel", tap.Lost);
    }

    [Fact]
    public async Task Where_io_uring_is_not_allowed_everything_goes_on_without()
    {
        using var lab = new RoutedLab();
        lab.StartRun(Fixed + lab.HostMap(), "python3", "-c", WithoutRings).WaitFor("Running on");
        lab.Host("ethtool -K od0 tso off gso off tx-udp-segmentation off");
        lab.Start(lab.ServerName, "python3", "-c", Echo).WaitFor("listening");

        Assert.Equal("whole\n", lab.Host($"python3 -c '{There}'"));

        TapResource tap = await CountersAsync(lab);
        Assert.Equal(0, tap.RingBatches);
        Assert.True(tap.FramesJoined > 1000);
    }

    private static async Task<TapResource> CountersAsync(RoutedLab lab)
    {
        using var client = new ControlClient(Path.Combine(lab.Directory, "od0.sock"));
        return (await client.CountersAsync(Cancellation)).Tap;
    }

    private static string Shark(RoutedLab lab, string capture, string filter) => lab.AtServer(
        $"tshark -r {capture} -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE -Y '{filter}' -T fields -e frame.number 2>/dev/null");
}
