using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>A network that is asked by way of a program: what its delays, refusals and silence are to programs that know nothing of it.</summary>
public sealed class ProviderTests
{
    private const int SessionLasting = 7002;
    private const int Nonpersistent = 7003;
    private const int Graceful = 7004;
    private const string Granted = "2001:db8:51:2::/64";
    private const string Grant = """{"grant": {"prefix": "2001:db8:51:2::/64", "type": "session-lasting"}}""";
    private const string OtherGrant = """{"grant": {"prefix": "2001:db8:51:3::/64", "type": "session-lasting"}}""";
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_connection_waits_for_a_grant_and_answers_that_come_late_or_twice_change_nothing()
    {
        LabRig.Need("python3", "tcpdump");
        using var network = new ProviderProgramFile($$"""{"session-lasting": [[0.3, {{Grant}}], [0.35, {{Grant}}], [0.5, {{OtherGrant}}], [0.6, {"refuse": true}]]}""");
        await using LabRig rig = await LabRig.UpAsync(network.Scenario);
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, SessionLasting);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, SessionLasting);
        using (host)
        using (peer)
        {
            Assert.StartsWith("2001:db8:51:2:", ((IPEndPoint)peer.RemoteEndPoint!).Address.ToString(), StringComparison.Ordinal);

            // The prefix that nobody had a use for is the network's again; the one in use is not.
            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(network.Told("released").Length > 0), InTime));
            await Task.Delay(300, Cancellation);
            Assert.Equal(["2001:db8:51:3::/64"], network.Told("released").Select(line => line.GetProperty("released").GetString()));
            await LabRig.AssertEchoesAsync(host, peer);
            (Socket second, Socket secondPeer) = await rig.ConnectAsync(listener, SessionLasting);
            using (second)
            using (secondPeer)
            {
                await LabRig.AssertEchoesAsync(second, secondPeer);
            }
        }

        // Both connections came of one request, which is made once more if the program was slow.
        Assert.Single(network.Told("request").Select(line => line.GetProperty("request").GetInt32()).Distinct());
        await capture.StopAsync();
        Assert.True((await capture.FindAsync($"src net {Granted} and tcp and ip6[53] & 0x12 = 2")).Length >= 2);   // SYN without ACK
        Assert.Empty(await capture.FindAsync($"tcp and not net {Granted}"));
        await capture.AssertCleanAsync();
    }

    [Fact]
    public async Task A_refused_connection_fails_at_once_and_a_silent_network_fails_it_in_time()
    {
        LabRig.Need("python3", "tcpdump");
        using var network = new ProviderProgramFile("""{"nonpersistent": [[0, {"refuse": true}]], "fixed": []}""");
        await using LabRig rig = await LabRig.UpAsync(network.Scenario);
        NetworkCapture capture = await rig.CaptureAsync();
        using Socket refused = rig.Socket(LabNodes.Host, SocketType.Stream);
        SocketError told = await FailAsync(refused, Nonpersistent);
        Assert.True(told is SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.AccessDenied, $"It was told {told}.");
        Assert.Single(network.Told("request"));

        using Socket waiting = rig.Socket(LabNodes.Host, SocketType.Stream);
        told = await FailAsync(waiting, Graceful);
        Assert.True(told is SocketError.HostUnreachable or SocketError.NetworkUnreachable or SocketError.AccessDenied, $"It was told {told}.");
        Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(network.Told("cancel").Length == 1), InTime));
        int number = network.Told("cancel")[0].GetProperty("cancel").GetInt32();
        int[] attempts = [.. network.Told("request").Where(line => line.GetProperty("request").GetInt32() == number)
            .Select(line => line.GetProperty("attempt").GetInt32())];
        Assert.Equal(Enumerable.Range(1, attempts.Length), attempts);
        Assert.InRange(attempts.Length, 3, 4);        // after 0, 0.5 and 1.5 seconds; at 3.5 it would be too late
        await capture.StopAsync();
        Assert.Empty(await capture.FindAsync("tcp"));
    }

    [Fact]
    public async Task A_provider_that_dies_with_a_request_is_started_again_and_the_connection_comes_about()
    {
        LabRig.Need("python3");
        using var network = new ProviderProgramFile($$"""{"session-lasting": [[0.1, {{Grant}}]]}""", dies: true);
        await using LabRig rig = await LabRig.UpAsync(network.Scenario);
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, SessionLasting);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, SessionLasting);
        using (host)
        using (peer)
        {
            await LabRig.AssertEchoesAsync(host, peer);
        }

        Assert.Equal(2, network.Told("hello").Length);
        Assert.Equal("ar1", network.Told("hello")[1].GetProperty("attached").GetString());
        Assert.Equal([1, 2], network.Told("request").Select(line => line.GetProperty("attempt").GetInt32()));
        string log = await File.ReadAllTextAsync(rig.Lab.Directory.Log, Cancellation);
        Assert.Equal(2, log.Split("ended with status 9").Length);
    }

    [Fact]
    public async Task A_withdrawal_under_traffic_ends_the_connection_at_once_and_its_recording_replays()
    {
        LabRig.Need("python3");
        using var network = new ProviderProgramFile($$"""{"session-lasting": [[0, {{Grant}}]]}""");
        string place = Directory.CreateTempSubdirectory("ondemand-recording-").FullName;
        try
        {
            string live = Path.Combine(place, "live.pcapng");
            await using (LabRig rig = await LabRig.UpAsync(network.Scenario, record: live))
            {
                using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, SessionLasting);
                (Socket host, Socket peer) = await rig.ConnectAsync(listener, SessionLasting);
                using (host)
                using (peer)
                {
                    await LabRig.AssertEchoesAsync(host, peer);
                    network.Say($$"""{"withdraw": "{{Granted}}"}""");
                    SocketException stranded = await Assert.ThrowsAsync<SocketException>(
                        () => host.ReceiveAsync(new byte[1], Cancellation).AsTask().WaitAsync(InTime, Cancellation));
                    Assert.Equal(SocketError.ConnectionReset, stranded.SocketErrorCode);
                }

                Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(network.Told("released").Length == 1), InTime));
                Assert.Equal(Granted, network.Told("released")[0].GetProperty("released").GetString());
                Assert.True(await rig.Lab.EndDataplaneAsync(Cancellation), "The dataplane did not end by itself.");
            }

            string again = Path.Combine(place, "again.pcapng");
            string[] line = LabProgram.Self.Line("replay", live, "--output", again, "--quiet");
            CommandResult replay = await CommandRunner.RunAsync(line[0], line[1..], null, Cancellation);
            Assert.True(replay.Status == 0, $"It gave {replay.Status}: {replay.Error}{replay.Output}");
            Assert.Equal(await File.ReadAllBytesAsync(live, Cancellation), await File.ReadAllBytesAsync(again, Cancellation));
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    // Only one that is told fails: one that is not goes on for minutes.
    private static async Task<SocketError> FailAsync(Socket socket, int port)
    {
        SocketException failure = await Assert.ThrowsAsync<SocketException>(
            () => socket.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation).AsTask().WaitAsync(InTime, Cancellation));
        return failure.SocketErrorCode;
    }
}
