using System.Net.Sockets;
using OnDemand.Linux.Lab.Demo;

namespace OnDemand.LabTests;

/// <summary>One direction of a connection: octets that say their own position, and a check that nothing is lost or changed.</summary>
internal sealed class Bulk(Socket from, Socket to)
{
    private long _sent;
    private long _received;

    public long Sent => Interlocked.Read(ref _sent);

    public long Received => Interlocked.Read(ref _received);

    /// <summary>The error that ended the sender or the receiver; null if there was none.</summary>
    public SocketError? SenderError { get; private set; }

    public SocketError? ReceiverError { get; private set; }

    /// <summary>Sends until told to stop, then says that it was all; receives until that arrives, or until an error.</summary>
    public async Task RunAsync(CancellationToken stop, TimeSpan? pace = null) => await Task.WhenAll(SendAsync(pace, stop), ReceiveAsync());

    private async Task SendAsync(TimeSpan? pace, CancellationToken stop)
    {
        byte[] piece = new byte[1 << 16];
        try
        {
            while (!stop.IsCancellationRequested)
            {
                DemoTraffic.Fill(piece, _sent);
                for (int done = 0; done < piece.Length;)
                {
                    int length = await from.SendAsync(piece.AsMemory(done), TestContext.Current.CancellationToken);
                    done += length;
                    Interlocked.Add(ref _sent, length);
                }

                if (pace is { } pause)
                {
                    await Task.Delay(pause, TestContext.Current.CancellationToken);
                }
            }

            from.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException error)
        {
            SenderError = error.SocketErrorCode;
        }
        catch (ObjectDisposedException)
        {
            SenderError = SocketError.OperationAborted;      // closed between two calls, not within one
        }
    }

    private async Task ReceiveAsync()
    {
        byte[] piece = new byte[1 << 16];
        try
        {
            int length;
            while ((length = await to.ReceiveAsync(piece, TestContext.Current.CancellationToken)) > 0)
            {
                Assert.True(DemoTraffic.Matches(piece.AsSpan(0, length), _received), $"Octets at {_received} are not what was sent.");
                Interlocked.Add(ref _received, length);
            }
        }
        catch (SocketException error)
        {
            ReceiverError = error.SocketErrorCode;
        }
        catch (ObjectDisposedException)
        {
            ReceiverError = SocketError.OperationAborted;
        }
    }
}
