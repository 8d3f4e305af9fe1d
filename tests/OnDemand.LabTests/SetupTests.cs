using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>Moves at the moment when a connection is neither there nor not there, and moves to where the host is already.</summary>
public sealed class SetupTests
{
    private const int Fixed = 7001;
    private const int SessionLasting = 7002;
    private const int Nonpersistent = 7003;
    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Never = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // The correspondent's first answers are lost, so that the connection is half open when the host moves.
    [Theory]
    [InlineData(Fixed)]
    [InlineData(SessionLasting)]
    public async Task A_connection_that_lasts_is_made_although_the_host_moves_between_SYN_and_answer(int port)
    {
        LabRig.Need("ss");
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, port);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Stream);
        Task connecting = await BeginAsync(rig, host, port);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AnswerAgainAsync(rig);
        await connecting.WaitAsync(Never, Cancellation);
        using Socket peer = await listener.AcceptAsync(Cancellation).AsTask().WaitAsync(Never, Cancellation);
        await LabRig.AssertEchoesAsync(host, peer);
    }

    [Fact]
    public async Task A_nonpersistent_connection_that_is_being_made_fails_at_once_or_gets_the_new_address()
    {
        LabRig.Need("ss");
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Nonpersistent);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Stream);
        Task connecting = await BeginAsync(rig, host, Nonpersistent);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AnswerAgainAsync(rig);
        try
        {
            await connecting.WaitAsync(AtOnce, Cancellation);
        }
        catch (SocketException)
        {
            // Told: a program that tries again gets the new address.
            using Socket second = rig.Socket(LabNodes.Host, SocketType.Stream);
            await second.ConnectAsync(new IPEndPoint(LabRig.Peer, Nonpersistent), Cancellation).AsTask().WaitAsync(AtOnce, Cancellation);
            await AssertNewAsync(second, listener);
            return;
        }

        await AssertNewAsync(host, listener);
    }

    [Fact]
    public async Task A_move_to_where_the_host_is_already_disturbs_no_connection_of_any_type()
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        List<Transfers> all = [];
        foreach (int port in new[] { Fixed, SessionLasting, Nonpersistent, 7004 })
        {
            all.Add(await Transfers.BeginAsync(rig, port));
        }

        for (int move = 0; move < 3; move++)
        {
            await Task.Delay(200, Cancellation);
            await rig.MoveAsync(LabNodes.FirstRouter, windowSeconds: 1);
        }

        // Beyond the window: nothing was replaced, so nothing ends with it.
        await Task.Delay(1200, Cancellation);
        await Task.WhenAll(all.Select(transfers => transfers.AssertGoOnAsync(100_000)));
        await Task.WhenAll(all.Select(transfers => transfers.AssertWholeAsync()));
        all.ForEach(transfers => transfers.Dispose());

        await capture.StopAsync();
        await capture.AssertCleanAsync();
    }

    // Begins to connect where no answer comes back, and returns when the SYN has reached the correspondent.
    private static async Task<Task> BeginAsync(LabRig rig, Socket host, int port)
    {
        await rig.RunAsync(LabNodes.Anchor, "ip", "-6", "rule", "add", "iif", "peer", "pref", "1", "blackhole");
        Task connecting = host.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation).AsTask();
        Assert.True(
            await LabRig.BecomesAsync(
                async () => (await rig.RunAsync(LabNodes.Peer, "ss", "-6tan", "state", "syn-recv")).Contains($":{port} ", StringComparison.Ordinal),
                Never));
        Assert.False(connecting.IsCompleted);
        return connecting;
    }

    private static async Task AnswerAgainAsync(LabRig rig) =>
        await rig.RunAsync(LabNodes.Anchor, "ip", "-6", "rule", "del", "iif", "peer", "pref", "1");

    private static async Task AssertNewAsync(Socket host, Socket listener)
    {
        // The listener may hold a connection that never was: the first one's SYN, answered at an address that has ended.
        while (true)
        {
            using Socket peer = await listener.AcceptAsync(Cancellation).AsTask().WaitAsync(AtOnce, Cancellation);
            var seen = (IPEndPoint)peer.RemoteEndPoint!;
            if (seen.Port == ((IPEndPoint)host.LocalEndPoint!).Port)
            {
                Assert.StartsWith("2001:db8:a2:1:", seen.Address.ToString(), StringComparison.Ordinal);
                await LabRig.AssertEchoesAsync(host, peer);
                return;
            }
        }
    }
}
