using System.Net;
using System.Net.Sockets;
using OnDemand.Captures.Recording;
using OnDemand.Linux;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What a live run records, a run without any network repeats.</summary>
public sealed class RecordingTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_live_recording_replays_offline_byte_for_byte(int queues)
    {
        LabRig.Need("ping");
        string place = Directory.CreateTempSubdirectory("ondemand-recording-").FullName;
        try
        {
            string live = Path.Combine(place, "live.pcapng");
            await RecordAsync(live, queues);
            Assert.True(RecordingRun.IsRecording(live));

            string again = Path.Combine(place, "again.pcapng");
            string[] line = LabProgram.Self.Line("replay", live, "--output", again, "--quiet");
            CommandResult replay = await CommandRunner.RunAsync(line[0], line[1..], null, Cancellation);
            Assert.True(replay.Status == 0, $"It gave {replay.Status}: {replay.Error}{replay.Output}");
            byte[] recorded = await File.ReadAllBytesAsync(live, Cancellation);
            byte[] repeated = await File.ReadAllBytesAsync(again, Cancellation);
            Assert.True(recorded.Length > 1_000_000, $"Only {recorded.Length} octets were recorded.");
            Assert.True(recorded.AsSpan().SequenceEqual(repeated), "The recordings differ.");
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    // A connection that lasts, one that is reset by the first move, questions and pings, there and back again.
    private static async Task RecordAsync(string file, int queues)
    {
        await using LabRig rig = await LabRig.UpAsync(record: file, host: queues == 1 ? null : $"{{queues: {queues}}}");
        using Socket lasting = rig.Server(LabNodes.Peer, SocketType.Stream, 7002);
        using Socket passing = rig.Server(LabNodes.Peer, SocketType.Stream, 7003);
        using Socket datagrams = rig.Server(LabNodes.Peer, SocketType.Dgram, 9004);
        using Socket asking = rig.Socket(LabNodes.Host, SocketType.Dgram);
        await asking.ConnectAsync(new IPEndPoint(LabRig.Peer, 9004), Cancellation);
        (Socket host, Socket peer) = await rig.ConnectAsync(lasting, 7002);
        (Socket shortHost, Socket shortPeer) = await rig.ConnectAsync(passing, 7003);
        using (host)
        using (peer)
        using (shortHost)
        using (shortPeer)
        {
            using var stop = new CancellationTokenSource();
            var up = new Bulk(host, peer);
            Task running = up.RunAsync(stop.Token, TimeSpan.FromMilliseconds(10));
            foreach (string router in LabNodes.Routers.Reverse())
            {
                await Task.Delay(300, Cancellation);
                await asking.SendAsync("a question"u8.ToArray(), Cancellation);
                await rig.RunAsync(LabNodes.Host, "ping", "-c", "1", "-W", "5", LabLinks.PeerAddress);
                await rig.MoveAsync(router, windowSeconds: 1);
            }

            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(up.Received > 1_000_000), TimeSpan.FromSeconds(20)));
            await Assert.ThrowsAsync<SocketException>(() => shortHost.ReceiveAsync(new byte[1], Cancellation).AsTask());
            await stop.CancelAsync();
            await running.WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
        }

        Assert.True(await rig.Lab.EndDataplaneAsync(Cancellation), "The dataplane did not end by itself.");
    }
}
