using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OnDemand.LabTests;

/// <summary>A server of the correspondent that says with each line from where it came.</summary>
internal sealed class LineServer : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    public LineServer(Socket socket)
    {
        _socket = socket;
        _serving = socket.SocketType == SocketType.Stream ? ServeConnectionsAsync() : ServeDatagramsAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _serving.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _socket.Dispose();
        _stop.Dispose();
    }

    private static byte[] Answer(string line, EndPoint from) => Encoding.UTF8.GetBytes($"{line.TrimEnd()} from {((IPEndPoint)from).Address}\n");

    private async Task ServeConnectionsAsync()
    {
        List<Task> connections = [];
        try
        {
            while (true)
            {
                connections.Add(ServeAsync(await _socket.AcceptAsync(_stop.Token)));
            }
        }
        finally
        {
            await Task.WhenAll(connections).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ServeAsync(Socket connection)
    {
        using Socket open = connection;
        await using var stream = new NetworkStream(connection);
        using var reader = new StreamReader(stream);
        while (await reader.ReadLineAsync(_stop.Token) is { } line)
        {
            await stream.WriteAsync(Answer(line, connection.RemoteEndPoint!), _stop.Token);
        }
    }

    private async Task ServeDatagramsAsync()
    {
        byte[] room = new byte[2048];
        while (true)
        {
            SocketReceiveFromResult got = await _socket.ReceiveFromAsync(room, new IPEndPoint(IPAddress.IPv6Any, 0), _stop.Token);
            await _socket.SendToAsync(Answer(Encoding.UTF8.GetString(room, 0, got.ReceivedBytes), got.RemoteEndPoint), got.RemoteEndPoint, _stop.Token);
        }
    }
}
