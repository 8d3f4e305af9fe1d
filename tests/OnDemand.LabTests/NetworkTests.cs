using System.Globalization;
using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What a network does besides bulk: errors, fragments, path MTU, probes, servers.</summary>
public sealed class NetworkTests
{
    private const int TcpProtocol = 6;
    private const int TcpMaximumSegment = 2;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Peer => LabLinks.PeerAddress;

    [Fact]
    public async Task Ping_is_answered_before_and_after_a_move()
    {
        LabRig.Need("ping");
        await using LabRig rig = await LabRig.UpAsync();

        // With -c and -w it fails unless each of them is answered.
        string[] ping = ["ping", "-c", "3", "-w", "10", "-i", "0.2", Peer];
        await rig.RunAsync(LabNodes.Host, ping);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await rig.RunAsync(LabNodes.Host, ping);
    }

    [Fact]
    public async Task Traceroute_sees_the_serving_router_the_anchor_and_the_correspondent()
    {
        LabRig.Need("traceroute");
        await using LabRig rig = await LabRig.UpAsync();
        foreach (string router in LabNodes.Routers)
        {
            await rig.MoveAsync(router);
            string path = await rig.RunAsync(LabNodes.Host, "traceroute", "-6", "-n", "-w", "3", Peer);
            string[] hops =
            [
                .. path.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1)
                    .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]),
            ];

            // The kernel that forwards from the TAP to the uplink counts as a hop of its own.
            Assert.Equal(["fd00:db8::1", LabLinks.RouterAddress(router)!, LabLinks.RouterAddress(LabNodes.Anchor)!, Peer], hops);
        }
    }

    [Theory]
    [InlineData(9001)]
    [InlineData(9003)]
    public async Task Datagrams_in_fragments_arrive_whole_in_both_directions(int port)
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket server = rig.Server(LabNodes.Peer, SocketType.Dgram, port);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Dgram);
        await host.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation);
        byte[] question = new byte[20_000];
        new Random(port).NextBytes(question);
        byte[] heard = new byte[question.Length + 1];
        await host.SendAsync(question, Cancellation);
        SocketReceiveFromResult asked = await server.ReceiveFromAsync(heard, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation)
            .AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
        Assert.Equal(question, heard[..asked.ReceivedBytes]);
        Array.Clear(heard);
        await server.SendToAsync(question, asked.RemoteEndPoint, Cancellation);
        int length = await host.ReceiveAsync(heard, Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
        Assert.Equal(question, heard[..length]);

        Assert.True(
            await LabRig.BecomesAsync(async () => (await capture.FindAsync("ip6[6] = 44")).Length >= 28, TimeSpan.FromSeconds(10)),
            "There were no fragments.");
        await capture.StopAsync();
        Assert.Empty(await capture.FindAsync("net fd00:db8::/32"));
    }

    [Fact]
    public async Task Packet_too_big_reaches_the_socket_whose_packet_it_was()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        const int mtu = 1380;

        // Only the anchor's end: the correspondent still promises 1,500 octets in its SYN, so that path MTU discovery has to find out.
        await rig.RunAsync(LabNodes.Anchor, "ip", "link", "set", "dev", "peer", "mtu", mtu.ToString(CultureInfo.InvariantCulture));
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, 7002);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, 7002);
        using (host)
        using (peer)
        {
            Assert.True(MaximumSegment(host) > mtu);
            using var stop = new CancellationTokenSource();
            var up = new Bulk(host, peer);
            Task running = up.RunAsync(stop.Token);
            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(up.Received > 1_000_000), TimeSpan.FromSeconds(20)));
            await stop.CancelAsync();
            await running.WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
            Assert.Equal(up.Sent, up.Received);
            Assert.True(MaximumSegment(host) <= mtu - 60, $"The segment size is {MaximumSegment(host)}.");
        }
    }

    [Fact]
    public async Task A_server_on_the_host_is_reached_at_its_Fixed_address_wherever_the_host_is()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Host, SocketType.Stream, 8080);
        foreach (string router in LabNodes.Routers)
        {
            await rig.MoveAsync(router);
            using Socket caller = rig.Socket(LabNodes.Peer, SocketType.Stream);
            await caller.ConnectAsync(new IPEndPoint(IPAddress.Parse("2001:db8:f1::7"), 8080), Cancellation)
                .AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
            using Socket served = await listener.AcceptAsync(Cancellation);
            Assert.Equal(LabRig.Peer, ((IPEndPoint)served.RemoteEndPoint!).Address);
        }
    }

    [Theory]
    [InlineData(7002)]
    [InlineData(7003)]
    [InlineData(7004)]
    public async Task Nobody_is_let_in_unasked_at_an_address_of_another_type(int port)
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, port);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, port);
        using Socket open = rig.Server(LabNodes.Host, SocketType.Stream, 8080);
        using (host)
        using (peer)
        using (Socket caller = rig.Socket(LabNodes.Peer, SocketType.Stream))
        {
            IPAddress typed = ((IPEndPoint)peer.RemoteEndPoint!).Address;
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            patience.CancelAfter(TimeSpan.FromSeconds(2));
            await Assert.ThrowsAnyAsync<Exception>(async () => await caller.ConnectAsync(new IPEndPoint(typed, 8080), patience.Token));
            Assert.False(open.Poll(0, SelectMode.SelectRead));

            // The same server does answer on the Fixed address: it was the address that was refused.
            using Socket other = rig.Socket(LabNodes.Peer, SocketType.Stream);
            await other.ConnectAsync(new IPEndPoint(IPAddress.Parse("2001:db8:f1::7"), 8080), Cancellation)
                .AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
        }
    }

    [Fact]
    public async Task Traffic_class_and_flow_label_arrive_as_they_were_sent()
    {
        LabRig.Need("tcpdump", "ping");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        await rig.RunAsync(LabNodes.Host, "ping", "-6", "-c", "1", "-W", "5", "-Q", "0x2", "-F", "0x12345", Peer);
        await capture.StopAsync();
        string[] sent = await capture.FindAsync("icmp6[icmp6type] = 128", "-v");
        Assert.Contains("class 0x02, flowlabel 0x12345", Assert.Single(sent), StringComparison.Ordinal);
    }

    private static int MaximumSegment(Socket socket)
    {
        byte[] value = new byte[sizeof(int)];
        socket.GetRawSocketOption(TcpProtocol, TcpMaximumSegment, value);
        return BitConverter.ToInt32(value);
    }
}
