using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What a move does to real connections and exchanges, type by type (RFC 8653 §3.2, design §5).</summary>
public sealed class MoveTests
{
    private const int Fixed = 7001;
    private const int SessionLasting = 7002;
    private const int Nonpersistent = 7003;
    private const int Graceful = 7004;

    // How soon a program must learn that its connection is gone; without the dataplane it would be minutes.
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Never = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(Fixed)]
    [InlineData(SessionLasting)]
    public async Task A_connection_that_lasts_loses_nothing_in_either_direction_when_the_host_moves(int port)
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        using (Transfers transfers = await Transfers.BeginAsync(rig, port))
        {
            await Task.Delay(700, Cancellation);
            EndPoint seen = transfers.Source;
            await rig.MoveAsync(LabNodes.SecondRouter);
            await transfers.AssertGoOnAsync(100_000);
            await transfers.AssertWholeAsync();
            Assert.Equal(seen, transfers.Source);
        }

        await capture.StopAsync();
        await capture.AssertCleanAsync();
    }

    [Fact]
    public async Task A_nonpersistent_connection_is_reset_at_once_and_the_next_one_has_the_new_address()
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Nonpersistent);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, Nonpersistent);
        AssertSource("2001:db8:a1:1::/64", peer);
        using (host)
        using (peer)
        {
            Task<int> waiting = host.ReceiveAsync(new byte[1], Cancellation).AsTask();
            await rig.MoveAsync(LabNodes.SecondRouter);
            SocketException error = await Assert.ThrowsAsync<SocketException>(() => waiting.WaitAsync(AtOnce, Cancellation));
            Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
            (Socket next, Socket nextPeer) = await rig.ConnectAsync(listener, Nonpersistent);
            AssertSource("2001:db8:a2:1::/64", nextPeer);
            next.Dispose();
            nextPeer.Dispose();
        }

        await capture.StopAsync();
        await capture.AssertCleanAsync();
    }

    [Fact]
    public async Task A_nonpersistent_bulk_transfer_is_reset_while_data_flow_both_ways()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Nonpersistent);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, Nonpersistent);
        using (peer)
        {
            var up = new Bulk(host, peer);
            var down = new Bulk(peer, host);
            Task both = Task.WhenAll(up.RunAsync(CancellationToken.None), down.RunAsync(CancellationToken.None));
            await Task.Delay(500, Cancellation);
            await rig.MoveAsync(LabNodes.SecondRouter);
            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult((up.SenderError ?? down.ReceiverError) is not null), AtOnce));
            Assert.Equal(SocketError.ConnectionReset, down.ReceiverError ?? up.SenderError);

            // The correspondent learns nothing: its packets end at the old access router. It is closed here.
            host.Dispose();
            peer.Close(0);
            await both.WaitAsync(Never, Cancellation);
        }
    }

    [Fact]
    public async Task A_graceful_connection_works_through_the_window_and_is_reset_after_it()
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Graceful);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, Graceful);
        AssertSource("2001:db8:91:1::/64", peer);
        using (host)
        using (peer)
        {
            await LabRig.AssertEchoesAsync(host, peer);
            const int window = 4;
            await rig.MoveAsync(LabNodes.SecondRouter, window);
            long moved = Stopwatch.GetTimestamp();
            int through = 0;
            while (Stopwatch.GetElapsedTime(moved) < TimeSpan.FromSeconds(window - 1))
            {
                await LabRig.AssertEchoesAsync(host, peer);
                through++;
                await Task.Delay(100, Cancellation);
            }

            Assert.True(through > 5, $"Only {through} exchanges fitted into the window.");
            (Socket young, Socket youngPeer) = await rig.ConnectAsync(listener, Graceful);
            AssertSource("2001:db8:92:1::/64", youngPeer);
            Task<int> waiting = host.ReceiveAsync(new byte[1], Cancellation).AsTask();
            TimeSpan rest = AtOnce + TimeSpan.FromSeconds(1);
            SocketException error = await Assert.ThrowsAsync<SocketException>(() => waiting.WaitAsync(rest, Cancellation));
            Assert.Equal(SocketError.ConnectionReset, error.SocketErrorCode);
            await LabRig.AssertEchoesAsync(young, youngPeer);
            young.Dispose();
            youngPeer.Dispose();
        }

        await capture.StopAsync();
        await capture.AssertCleanAsync();
    }

    // Each question carries a connection id of its own, as QUIC's do: the correspondent knows the conversation by it, not by the address.
    [Theory]
    [InlineData(9001, "2001:db8:f1::7/128", "2001:db8:f1::7/128", "2001:db8:f1::7/128")]
    [InlineData(9002, "2001:db8:51:1::/64", "2001:db8:51:1::/64", "2001:db8:51:1::/64")]
    [InlineData(9003, "2001:db8:a1:1::/64", "2001:db8:a2:1::/64", "2001:db8:a2:1::/64")]
    [InlineData(9004, "2001:db8:91:1::/64", "2001:db8:91:1::/64", "2001:db8:92:1::/64")]
    public async Task A_UDP_socket_goes_over_as_its_type_says_without_noticing(int port, string before, string window, string after)
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket server = rig.Server(LabNodes.Peer, SocketType.Dgram, port);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Dgram);
        await host.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation);
        EndPoint local = host.LocalEndPoint!;
        var id = Guid.NewGuid();
        Assert.True(IpPrefix.Parse(before).Contains(await AskAsync(host, server, id)));
        const int seconds = 2;
        await rig.MoveAsync(LabNodes.SecondRouter, seconds);
        Assert.True(IpPrefix.Parse(window).Contains(await AskAsync(host, server, id)));
        await Task.Delay(TimeSpan.FromSeconds(seconds), Cancellation);
        Assert.True(IpPrefix.Parse(after).Contains(await AskAsync(host, server, id)));
        Assert.Equal(local, host.LocalEndPoint);

        await capture.StopAsync();
        await capture.AssertCleanAsync();
    }

    [Fact]
    public async Task Ten_moves_back_and_forth_under_load_leave_lasting_connections_whole()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Transfers reachable = await Transfers.BeginAsync(rig, Fixed, atFullSpeed: true);
        using Transfers lasting = await Transfers.BeginAsync(rig, SessionLasting, atFullSpeed: true);
        for (int move = 0; move < 10; move++)
        {
            await Task.Delay(150, Cancellation);
            await rig.MoveAsync(move % 2 == 0 ? LabNodes.SecondRouter : LabNodes.FirstRouter, windowSeconds: 1);
        }

        await Task.WhenAll(reachable.AssertGoOnAsync(500_000), lasting.AssertGoOnAsync(500_000));
        await Task.WhenAll(reachable.AssertWholeAsync(), lasting.AssertWholeAsync());
        Assert.Equal(10, rig.Lab.State.Moves);
    }

    [Fact]
    public async Task A_link_that_is_cut_for_a_second_costs_lasting_connections_only_time()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Fixed);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, Fixed);
        using (host)
        using (peer)
        {
            using var stop = new CancellationTokenSource();
            var up = new Bulk(host, peer);
            Task running = up.RunAsync(stop.Token, TimeSpan.FromMilliseconds(5));
            await Task.Delay(300, Cancellation);
            await rig.MoveAsync(LabNodes.SecondRouter, gap: TimeSpan.FromSeconds(1));
            long before = up.Received;
            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(up.Received > before + 100_000), Never));
            await stop.CancelAsync();
            await running.WaitAsync(Never, Cancellation);
            Assert.Null(up.SenderError ?? up.ReceiverError);
            Assert.Equal(up.Sent, up.Received);
        }
    }

    private static void AssertSource(string prefix, Socket peer) =>
        Assert.True(IpPrefix.Parse(prefix).Contains(Source(peer.RemoteEndPoint!)), $"{peer.RemoteEndPoint} is not in {prefix}.");

    private static IpAddress Source(EndPoint end)
    {
        Assert.True(IpAddress.TryParse(((IPEndPoint)end).Address.ToString(), out IpAddress address));
        return address;
    }

    // Asks until there is an answer: a datagram that was under way during the move may be lost, which no type forbids.
    private static async Task<IpAddress> AskAsync(Socket host, Socket server, Guid id)
    {
        byte[] question = id.ToByteArray();
        byte[] heard = new byte[question.Length];
        for (int tries = 0; tries < 20; tries++)
        {
            await host.SendAsync(question, Cancellation);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(TimeSpan.FromMilliseconds(500));
            try
            {
                SocketReceiveFromResult asked = await server.ReceiveFromAsync(heard, new IPEndPoint(IPAddress.IPv6Any, 0), limit.Token);
                Assert.Equal(question, heard);
                await server.SendToAsync(heard, asked.RemoteEndPoint, Cancellation);
                Array.Clear(heard);
                await host.ReceiveAsync(heard, limit.Token);
                Assert.Equal(question, heard);
                return Source(asked.RemoteEndPoint);
            }
            catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
            {
                // Again.
            }
        }

        throw new TimeoutException("No question was answered.");
    }
}
