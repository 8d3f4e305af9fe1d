using System.Globalization;
using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>Datagrams that the kernel cuts late and puts together early pass the TAP in superpackets and the network as datagrams.</summary>
public sealed class SegmentationTests
{
    private const int Messages = 8;
    private const int Greeting = 1;
    private const string Super = "udp and greater 20000";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(9001, true)]
    [InlineData(9001, false)]
    [InlineData(9002, true)]
    [InlineData(9003, false)]
    [InlineData(9004, true)]
    public async Task Messages_of_a_mebibyte_arrive_whole_and_in_order_in_both_directions(int port, bool together)
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();

        // What is forwarded is not put together unless the link is told to.
        bool gathers = (await rig.TryAsync(
            LabNodes.Host, CommandRunner.Find("ethtool"), "-K", "ar1", "rx-udp-gro-forwarding", "on")).Status == 0;
        bool segments = (await rig.RunAsync(LabNodes.Host, CommandRunner.Find("ethtool"), "-k", LabHostFile.Tap))
            .Contains("tx-udp-segmentation: on", StringComparison.Ordinal);
        NetworkCapture network = await rig.CaptureAsync();
        NetworkCapture tap = await rig.CaptureAsync(LabNodes.Host, LabHostFile.Tap);
        using Socket peer = rig.Server(LabNodes.Peer, SocketType.Dgram, port);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Dgram);
        SegmentedMessages.Prepare(peer, together);
        SegmentedMessages.Prepare(host, together);
        await host.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation);
        IPAddress typed = await GreetAsync(host, peer);

        await SegmentedMessages.TransferAsync(host, peer, Messages);
        int longest = await SegmentedMessages.TransferAsync(peer, host, Messages);
        Assert.True(together && gathers ? longest > SegmentedMessages.Segment : longest >= SegmentedMessages.Segment);

        await network.StopAsync();
        await tap.StopAsync();
        await network.AssertCleanAsync();
        Assert.Empty(await network.FindAsync("udp and greater 1515"));
        foreach (string way in new[] { "src", "dst" })
        {
            string count = string.Create(CultureInfo.InvariantCulture, $"{way} host {typed} and udp");
            const int Sent = (Messages * SegmentedMessages.Datagrams) + Greeting;
            Assert.InRange((await network.FindAsync(count)).Length, Sent - network.Missed, Sent);
        }

        // From the programs into the TAP and out of it rewritten; and what comes back, as long as one is told of either.
        string[] expected = [.. segments ? ["src host fd00:db8::1", $"src host {typed}"] : Array.Empty<string>(),
            .. segments && gathers ? [$"dst host {typed}", "dst host fd00:db8::1"] : Array.Empty<string>()];
        foreach (string which in expected)
        {
            int found = (await tap.FindAsync($"{Super} and {which}")).Length;
            Assert.True(found >= Messages, $"Only {found} superpackets passed the TAP with {which}.");
        }
    }

    // One datagram each way: the correspondent learns where to send.
    private static async Task<IPAddress> GreetAsync(Socket host, Socket peer)
    {
        byte[] word = new byte[1];
        await host.SendAsync(word, Cancellation);
        SocketReceiveFromResult asked = await peer.ReceiveFromAsync(word, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation);
        await peer.ConnectAsync(asked.RemoteEndPoint, Cancellation);
        await peer.SendAsync(word, Cancellation);
        Assert.Equal(1, await host.ReceiveAsync(word, Cancellation));
        return ((IPEndPoint)asked.RemoteEndPoint).Address;
    }
}
