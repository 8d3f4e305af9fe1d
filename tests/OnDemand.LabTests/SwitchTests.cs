using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>
/// With and without io_uring, joining of segments and the TAP's offloads, in every combination, and with two queues: connections and messages pass whole, also
/// across a move, and what is switched off is not used. ONDEMAND_TEST_HOST runs all other tests with such a switch.
/// </summary>
public sealed class SwitchTests
{
    private const int Messages = 4;

    private static readonly string[] Offloads = ["tx", "sg", "tso", "gso", "gro"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, true, true)]
    [InlineData(true, true, true, 2)]
    [InlineData(false, false, false, 2)]
    [InlineData(true, true, false)]
    [InlineData(true, false, true)]
    [InlineData(true, false, false)]
    [InlineData(false, true, true)]
    [InlineData(false, true, false)]
    [InlineData(false, false, true)]
    [InlineData(false, false, false)]
    public async Task Everything_arrives_whole_across_a_move(bool ring, bool coalesce, bool offloads, int queues = 1)
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync(host: $"{{ring: {Word(ring)}, coalesce: {Word(coalesce)}, queues: {queues}}}");
        if (!offloads)
        {
            await rig.RunAsync(LabNodes.Host, [CommandRunner.Find("ethtool"), "-K", LabHostFile.Tap, .. Offloads.SelectMany(name => new[] { name, "off" })]);
        }

        NetworkCapture network = await rig.CaptureAsync();
        await MessagesAsync(rig);        // while nothing else passes: full queues may drop datagrams
        using (Transfers transfers = await Transfers.BeginAsync(rig, 5201, atFullSpeed: true))
        {
            await transfers.AssertGoOnAsync(10_000_000);
            await rig.MoveAsync("ar2");
            await transfers.AssertGoOnAsync(10_000_000);
            await transfers.AssertWholeAsync();
        }

        await MessagesAsync(rig);

        await network.StopAsync();
        await network.AssertCleanAsync();
        using var client = new ControlClient(rig.Lab.Directory.Control);
        TapResource tap = (await client.CountersAsync(Cancellation)).Tap;
        Assert.Equal(coalesce && !offloads, tap.SuperpacketsMade > 1_000);
        Assert.True(coalesce || tap.SuperpacketsMade == 0, $"{tap.SuperpacketsMade} superpackets were made.");
        Assert.True(ring || tap.RingBatches == 0, $"{tap.RingBatches} batches were read by io_uring.");
        Assert.Equal(offloads, tap.Superpackets > 1_000);
    }

    private static string Word(bool on) => on ? "on" : "off";

    // Each message of 1 MiB, by datagrams, to a port of a type that stays, in both directions.
    private static async Task MessagesAsync(LabRig rig)
    {
        using Socket peer = rig.Server(LabNodes.Peer, SocketType.Dgram, 9001);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Dgram);
        SegmentedMessages.Prepare(peer, together: true);
        SegmentedMessages.Prepare(host, together: true);
        await host.ConnectAsync(new IPEndPoint(LabRig.Peer, 9001), Cancellation);
        byte[] word = new byte[1];
        await host.SendAsync(word, Cancellation);
        SocketReceiveFromResult asked = await peer.ReceiveFromAsync(word, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation);
        await peer.ConnectAsync(asked.RemoteEndPoint, Cancellation);
        await SegmentedMessages.TransferAsync(host, peer, Messages);
        await SegmentedMessages.TransferAsync(peer, host, Messages);
    }
}
