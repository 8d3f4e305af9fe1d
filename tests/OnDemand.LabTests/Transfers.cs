using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>
/// A connection from the host to the correspondent with both of its directions in full use, from the beginning until it is asked whether
/// anything was lost.
/// </summary>
internal sealed class Transfers : IDisposable
{
    private static readonly TimeSpan Never = TimeSpan.FromSeconds(60);

    private readonly CancellationTokenSource _stop = new();
    private readonly Socket _host;
    private readonly Socket _peer;
    private readonly Bulk _up;
    private readonly Bulk _down;
    private readonly Task _running;

    private Transfers(Socket host, Socket peer, TimeSpan? pace)
    {
        _host = host;
        _peer = peer;
        _up = new Bulk(host, peer);
        _down = new Bulk(peer, host);
        _running = Task.WhenAll(_up.RunAsync(_stop.Token, pace), _down.RunAsync(_stop.Token, pace));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>The host's end, as the correspondent sees it.</summary>
    public IPEndPoint Source => (IPEndPoint)_peer.RemoteEndPoint!;

    /// <summary>Connects and begins.</summary>
    /// <param name="rig">The lab.</param>
    /// <param name="port">The port that says the type.</param>
    /// <param name="atFullSpeed">Whether nobody pauses; else each direction does for 5 ms after each 64 KiB.</param>
    public static async Task<Transfers> BeginAsync(LabRig rig, int port, bool atFullSpeed = false)
    {
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, port);
        return await BeginAsync(rig, listener, port, atFullSpeed);
    }

    /// <summary>Connects to a listener that stays, and begins.</summary>
    public static async Task<Transfers> BeginAsync(LabRig rig, Socket listener, int port, bool atFullSpeed = false)
    {
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, port);
        return new Transfers(host, peer, atFullSpeed ? null : TimeSpan.FromMilliseconds(5));
    }

    /// <summary>Waits until much more has arrived in both directions than now.</summary>
    public async Task AssertGoOnAsync(long octets = 1_000_000)
    {
        (long up, long down) = (_up.Received, _down.Received);
        Assert.True(
            await LabRig.BecomesAsync(() => Task.FromResult(_up.Received > up + octets && _down.Received > down + octets), Never),
            $"Up from {up} only to {_up.Received} and down from {down} only to {_down.Received}.");
    }

    /// <summary>Ends both directions; all that was sent has arrived.</summary>
    public async Task AssertWholeAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Never, Cancellation);
        Assert.Null(_up.SenderError ?? _up.ReceiverError ?? _down.SenderError ?? _down.ReceiverError);
        Assert.Equal(_up.Sent, _up.Received);
        Assert.Equal(_down.Sent, _down.Received);
    }

    public void Dispose()
    {
        _stop.Dispose();
        _host.Dispose();
        _peer.Dispose();
    }
}
