using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace OnDemand.Linux.Lab.Demo;

/// <summary>The correspondent of the demo: four downloads and four services that answer questions, and a note of who asks.</summary>
/// <param name="output">Where it says what it sees.</param>
internal sealed class DemoPeer(TextWriter output)
{
    private readonly ConcurrentDictionary<int, IPAddress> _sources = new();

    /// <summary>Serves until told to stop.</summary>
    /// <param name="cancellationToken">Stops.</param>
    /// <returns>Completes when all is closed.</returns>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        List<Task> services = [];
        for (int type = 0; type < DemoTraffic.Types; type++)
        {
            services.Add(ServeDownloadsAsync(DemoTraffic.FirstTcpPort + type, cancellationToken));
            services.Add(AnswerAsync(DemoTraffic.FirstUdpPort + type, cancellationToken));
        }

        Say(DemoEvents.Ready, "TCP", 0, string.Empty);
        await Task.WhenAll(services).ConfigureAwait(false);
    }

    private async Task ServeDownloadsAsync(int port, CancellationToken cancellationToken)
    {
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(DemoTraffic.Peer, port));
        listener.Listen();
        List<Task> sending = [];
        try
        {
            while (true)
            {
                sending.Add(SendAsync(await listener.AcceptAsync(cancellationToken).ConfigureAwait(false), port, cancellationToken));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(sending).ConfigureAwait(false);
        }
    }

    private async Task SendAsync(Socket connection, int port, CancellationToken cancellationToken)
    {
        using (connection)
        {
            try
            {
                Say(DemoEvents.Source, "TCP", port, ((IPEndPoint)connection.RemoteEndPoint!).Address.ToString());
                byte[] piece = new byte[DemoTraffic.PieceLength];
                for (long position = 0; ; position += piece.Length)
                {
                    DemoTraffic.Fill(piece, position);
                    for (int sent = 0; sent < piece.Length;)
                    {
                        sent += await connection.SendAsync(piece.AsMemory(sent), cancellationToken).ConfigureAwait(false);
                    }

                    await Task.Delay(DemoTraffic.Pace, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (Exception end) when (end is OperationCanceledException or SocketException)
            {
                // The program has gone, or we shall.
            }
        }
    }

    private async Task AnswerAsync(int port, CancellationToken cancellationToken)
    {
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(DemoTraffic.Peer, port));
        byte[] question = new byte[DemoTraffic.PieceLength];
        var anybody = new IPEndPoint(IPAddress.IPv6Any, 0);
        while (true)
        {
            try
            {
                SocketReceiveFromResult asked = await socket.ReceiveFromAsync(question, anybody, cancellationToken).ConfigureAwait(false);
                IPAddress source = ((IPEndPoint)asked.RemoteEndPoint).Address;
                if (!_sources.TryGetValue(port, out IPAddress? known) || !known.Equals(source))
                {
                    _sources[port] = source;
                    Say(DemoEvents.Source, "UDP", port, source.ToString());
                }

                await socket.SendToAsync(question.AsMemory(0, asked.ReceivedBytes), asked.RemoteEndPoint, cancellationToken)
                    .ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException error) when (DemoTraffic.IsEnd(error))
            {
                // An earlier answer went to an address that is gone; the next question may come from a new one.
            }
        }
    }

    private void Say(string what, string protocol, int port, string text) =>
        new DemoLine(DateTimeOffset.UtcNow, what, protocol, port, text).Write(output);
}
