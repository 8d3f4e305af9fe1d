using System.Text.Json;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>A real TAP with two queues.</summary>
public sealed class LiveQueueTests
{
    private const string Two = ", queues: 2";

    // Asks the server 200 times over one socket, and then does the same over 32 sockets.
    private const string Questions = """
        import socket, sys
        def ask(many, times):
            sockets = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(many)]
            for s in sockets: s.connect((sys.argv[1], 7001)); s.settimeout(10)
            for i in range(times):
                for s in sockets: s.send(b"%d" % i)
                for s in sockets: assert s.recv(100) == b"%d" % i
        ask(int(sys.argv[2]), 200)
        """;

    private const string Answers = """
        import socket
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        s.bind(("::", 7001))
        print("ready", flush=True)
        while True:
            question, peer = s.recvfrom(100)
            s.sendto(question, peer)
        """;

    [Fact]
    public void Many_connections_spread_over_the_queues_and_arrive_whole_with_typed_sources()
    {
        using var lab = new RoutedLab();
        LabProgram run = lab.Run(LiveHostTests.Config + lab.HostMap(Two));
        lab.Host("ethtool -K wire tx off");          // or a wrong partial checksum would never be seen on a veth
        string capture = Path.Combine(lab.Directory, "seen.pcap");
        LabProgram dump = lab.Start(
            lab.ServerName, "tcpdump", "-i", "wire", "-n", "-s", "0", "-U", "-w", capture, "ip6 src net 2001:db8:a0::/44 or ip6 src net fd00::/8");
        dump.WaitFor("listening on");
        lab.Start(lab.ServerName, "iperf3", "-s", "--forceflush").WaitFor("Server listening");

        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -P 8 -n 16M");
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -P 8 -n 16M -R");
        lab.Host("ip link set dev od0 address 02:00:00:00:00:77");       // which each queue has to know
        lab.Host($"iperf3 -6 -c {RoutedLab.Server} -P 8 -n 16M -R");
        dump.End("INT");

        string sources = lab.Host($"tshark -n -r {capture} -Y ipv6 -T fields -e ipv6.src").Trim();
        Assert.All(sources.Split('\n').Distinct(), source => Assert.StartsWith("2001:db8:a1:", source, StringComparison.Ordinal));
        Assert.Empty(lab.Host(
            $"tshark -n -r {capture} -o tcp.check_checksum:TRUE -Y 'tcp.checksum.status == 0' -T fields -e frame.number"));
        Assert.All(Read(lab), read => Assert.True(read > 50, $"A queue carried {read} frames."));
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void Both_directions_of_a_flow_meet_in_one_queue()
    {
        using var lab = new RoutedLab();
        LabProgram run = lab.Run(LiveHostTests.Config + lab.HostMap(Two));
        lab.Start(lab.ServerName, "python3", "-c", Answers).WaitFor("ready");

        for (int i = 0; i < 4; i++)
        {
            long[] before = Read(lab);
            lab.Host($"python3 -c '{Questions}' {RoutedLab.Server} 1");
            long[] passed = [.. Read(lab).Zip(before, (now, then) => now - then)];
            Assert.InRange(passed.Max(), 395, 450);
            Assert.InRange(passed.Min(), 0, 20);     // the first before the kernel knows, and what it says of itself
        }

        lab.Host($"python3 -c '{Questions}' {RoutedLab.Server} 32");
        Assert.All(Read(lab), read => Assert.True(read > 1000, $"A queue carried {read} frames."));
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void A_TAP_with_another_number_of_queues_is_refused_and_one_with_several_is_left_as_it_was()
    {
        using var lab = new RoutedLab();
        lab.Host("ip tuntap add dev od0 mode tap vnet_hdr");
        string before = lab.State();
        LabProgram single = lab.StartRun(LiveHostTests.Config + lab.HostMap(Two));
        Assert.Equal(4, single.Wait());
        Assert.Equal(
            "ondemand: The interface od0 is there and is no TAP with several queues: remove it, or choose another name under 'host: tap'.", single.Said);
        Assert.Equal(before, lab.State());

        lab.Host("ip link del od0; ip tuntap add dev od0 mode tap vnet_hdr multi_queue; ip link set dev od0 up; ip link set dev od0 down");
        before = lab.State();
        LabProgram several = lab.StartRun(LiveHostTests.Config + lab.HostMap());
        Assert.Equal(4, several.Wait());
        Assert.Contains("od0 is there and is no TAP with one queue", several.Said, StringComparison.Ordinal);

        LabProgram run = lab.Run(LiveHostTests.Config + lab.HostMap(Two));
        lab.Host($"ping -c 1 {RoutedLab.Server}");
        Assert.Equal(0, run.End());
        Assert.Equal(before, lab.State());
    }

    [Fact]
    public void A_second_dataplane_on_the_same_TAP_is_refused_and_the_first_goes_on_as_before()
    {
        using var lab = new RoutedLab();
        LabProgram run = lab.Run(LiveHostTests.Config + lab.HostMap(Two));
        lab.Start(lab.ServerName, "python3", "-c", Answers).WaitFor("ready");
        string before = lab.State();

        LabProgram second = lab.StartRun(LiveHostTests.Config + lab.HostMap(Two)
            .Replace("od0.sock", "other.sock", StringComparison.Ordinal).Replace($"state: {lab.Directory}", $"state: {lab.Directory}/other", StringComparison.Ordinal));

        Assert.Equal(4, second.Wait());
        Assert.Equal("ondemand: The TAP od0 is in use by another program: stop that one, or choose another name under 'host: tap'.", second.Said);
        Assert.Equal(before, lab.State());
        lab.Host($"python3 -c '{Questions}' {RoutedLab.Server} 32");
        Assert.All(Read(lab), read => Assert.True(read > 1000, $"A queue carried {read} frames."));
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void A_kernel_that_does_not_take_the_steering_program_steers_in_its_own_way_and_says_why()
    {
        bool mayAll = File.ReadAllText("/proc/sys/kernel/unprivileged_bpf_disabled").Trim() == "0";
        using var lab = new RoutedLab();
        LabProgram run = lab.StartRun(
            LiveHostTests.Config + lab.HostMap(Two + ", sockets: off"), "setpriv", "--bounding-set", "-sys_admin,-bpf");

        run.WaitFor("Running on");
        lab.Host($"ping -c 4 -i 0.2 {RoutedLab.Server}");

        Assert.Equal(!mayAll, run.Said.Contains(
            "ondemand: The kernel spreads packets over the queues of od0 in its own way: bpf: Operation not permitted", StringComparison.Ordinal));
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void A_TAP_with_several_queues_that_is_deleted_ends_the_run_with_nothing_left()
    {
        using var lab = new RoutedLab();
        string before = lab.State();
        LabProgram run = lab.Run(LiveHostTests.Config + lab.HostMap(Two));

        lab.Host("ip link del od0");

        Assert.Equal(4, run.Wait());
        Assert.Contains("ondemand: The TAP od0 was deleted while it was in use", run.Said, StringComparison.Ordinal);
        Assert.Equal(before, lab.State());
    }

    private static long[] Read(RoutedLab lab)
    {
        string json = lab.Host(
            $"dotnet {Path.Combine(AppContext.BaseDirectory, "ondemand.dll")} counters --json --control {lab.Directory}/od0.sock");
        return [.. JsonDocument.Parse(json).RootElement.GetProperty("tap").GetProperty("queues").EnumerateArray()
            .Select(queue => queue.GetProperty("framesRead").GetInt64())];
    }
}
