using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>One UDP socket that asks numbered questions at a steady pace and counts the answers.</summary>
internal sealed class DemoExchange : IDisposable
{
    private const int QuestionLength = 256;

    // What a question that was asked this long before the end may still hope for.
    private static readonly TimeSpan LastAnswers = TimeSpan.FromMilliseconds(300);

    private readonly Socket _socket = new(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
    private readonly HashSet<long> _answered = [];
    private readonly IPEndPoint _peer;

    /// <summary>Makes the socket.</summary>
    /// <param name="port">The correspondent's port.</param>
    public DemoExchange(int port)
    {
        _peer = new IPEndPoint(DemoTraffic.Peer, port);
        _socket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
    }

    /// <summary>Asks until told to stop.</summary>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>How many questions were asked, and how many different ones answered.</returns>
    public async Task<(long Asked, long Answered)> RunAsync(CancellationToken cancellationToken)
    {
        using var ending = new CancellationTokenSource();
        Task listening = ListenAsync(ending.Token);
        long asked = await AskAsync(cancellationToken).ConfigureAwait(false);
        await Task.Delay(LastAnswers, CancellationToken.None).ConfigureAwait(false);
        await ending.CancelAsync().ConfigureAwait(false);
        await listening.ConfigureAwait(false);
        return (asked, _answered.Count);
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private async Task<long> AskAsync(CancellationToken cancellationToken)
    {
        byte[] question = new byte[QuestionLength];
        for (long number = 0; ; number++)
        {
            BinaryPrimitives.WriteInt64BigEndian(question, number);
            try
            {
                await _socket.SendToAsync(question, _peer, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return number;
            }
            catch (SocketException error) when (DemoTraffic.IsEnd(error))
            {
                // An ICMPv6 error about an earlier question; this one was not asked, and counts as lost.
            }

            try
            {
                await Task.Delay(DemoTraffic.Pace, cancellationToken).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return number + 1;
            }
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        byte[] answer = new byte[QuestionLength];
        var anybody = new IPEndPoint(IPAddress.IPv6Any, 0);
        while (true)
        {
            try
            {
                SocketReceiveFromResult result = await _socket.ReceiveFromAsync(answer, anybody, cancellationToken).ConfigureAwait(false);
                if (result.ReceivedBytes == QuestionLength)
                {
                    _answered.Add(BinaryPrimitives.ReadInt64BigEndian(answer));
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException error) when (DemoTraffic.IsEnd(error))
            {
                // As above.
            }
        }
    }
}
