using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>Sends back what one connection, or whoever sends a datagram, says.</summary>
internal sealed class EchoServer : IAsyncDisposable
{
    private readonly Socket _socket;
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _echoing;

    public EchoServer(SocketType type)
    {
        _socket = new Socket(AddressFamily.InterNetworkV6, type, type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp);
        _socket.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        Port = ((IPEndPoint)_socket.LocalEndPoint!).Port.ToString(CultureInfo.InvariantCulture);
        if (type == SocketType.Stream)
        {
            _socket.Listen();
        }

        _echoing = type == SocketType.Stream ? EchoStreamAsync() : EchoDatagramsAsync();
    }

    public string Port { get; }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        try
        {
            await _echoing;
        }
        catch (OperationCanceledException)
        {
        }

        _socket.Dispose();
        _ending.Dispose();
    }

    private async Task EchoStreamAsync()
    {
        using Socket peer = await _socket.AcceptAsync(_ending.Token);
        byte[] octets = new byte[100];
        for (int got = 1; got > 0;)
        {
            got = await peer.ReceiveAsync(octets, _ending.Token);
            await peer.SendAsync(octets.AsMemory(0, got), _ending.Token);
        }
    }

    private async Task EchoDatagramsAsync()
    {
        byte[] octets = new byte[100];
        while (true)
        {
            SocketReceiveFromResult got = await _socket.ReceiveFromAsync(octets, new IPEndPoint(IPAddress.IPv6Any, 0), _ending.Token);
            await _socket.SendToAsync(octets.AsMemory(0, got.ReceivedBytes), got.RemoteEndPoint, _ending.Token);
        }
    }
}
