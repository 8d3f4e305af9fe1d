using System.Net;
using System.Net.Sockets;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>
/// The programs on the demo's host: four downloads over TCP and four exchanges over UDP, with ordinary sockets that know nothing of
/// prefixes and moves. A download that is reset is begun anew, as a browser would.
/// </summary>
/// <param name="output">Where they say what happens to them.</param>
internal sealed class DemoClient(TextWriter output)
{
    /// <summary>Runs until told to stop.</summary>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when all is closed.</returns>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        List<Task> programs = [];
        for (int type = 0; type < DemoTraffic.Types; type++)
        {
            programs.Add(DownloadAsync(DemoTraffic.FirstTcpPort + type, cancellationToken));
            programs.Add(ExchangeAsync(DemoTraffic.FirstUdpPort + type, cancellationToken));
        }

        await Task.WhenAll(programs).ConfigureAwait(false);
    }

    private async Task DownloadAsync(int port, CancellationToken cancellationToken)
    {
        byte[] piece = new byte[4 * DemoTraffic.PieceLength];
        long position = 0;
        while (!cancellationToken.IsCancellationRequested)
        {
            position = 0;
            using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(new IPEndPoint(DemoTraffic.Peer, port), cancellationToken).ConfigureAwait(false);
                Say(DemoEvents.Connected, "TCP", port);
                int length;
                while ((length = await socket.ReceiveAsync(piece, cancellationToken).ConfigureAwait(false)) > 0)
                {
                    if (!DemoTraffic.Matches(piece.AsSpan(0, length), position))
                    {
                        Say(DemoEvents.Corrupt, "TCP", port, octets: position);
                        return;
                    }

                    position += length;
                }

                Say(DemoEvents.Reset, "TCP", port, "closed by the correspondent", position);
                return;
            }
            catch (OperationCanceledException)
            {
                break;
            }
            catch (SocketException error)
            {
                Say(DemoEvents.Reset, "TCP", port, Name(error), position);
                if (!DemoTraffic.IsEnd(error))
                {
                    return;
                }
            }
        }

        Say(DemoEvents.Done, "TCP", port, octets: position);
    }

    private async Task ExchangeAsync(int port, CancellationToken cancellationToken)
    {
        using var exchange = new DemoExchange(port);
        (long asked, long answered) = await exchange.RunAsync(cancellationToken).ConfigureAwait(false);
        Say(DemoEvents.Done, "UDP", port, octets: answered, lost: asked - answered);
    }

    private static string Name(SocketException error) =>
        error.SocketErrorCode == SocketError.ConnectionReset ? "ECONNRESET" : error.SocketErrorCode.ToString();

    private void Say(string what, string protocol, int port, string text = "", long octets = 0, long lost = 0) =>
        new DemoLine(DateTimeOffset.UtcNow, what, protocol, port, text, octets, lost).Write(output);
}
