using System.Net;
using System.Net.Sockets;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Sockets;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>Ten thousand sockets on the loopback, half of them UDP and half the clients and servers of TCP connections, and questions about
/// them.</summary>
internal sealed class SocketLookups : IDisposable
{
    private const int FirstPort = 20_000;
    private readonly List<Socket> _sockets = [];

    public SocketLookups(int sockets)
    {
        Diag = SocketDiag.Open();
        var queries = new List<SocketQuery>();
        using Socket listener = Open(SocketType.Stream, ProtocolType.Tcp, 0);
        listener.Listen(128);
        ushort serverPort = (ushort)((IPEndPoint)listener.LocalEndPoint!).Port;
        for (int i = 0; i < sockets / 2; i++)
        {
            Socket datagrams = Open(SocketType.Dgram, ProtocolType.Udp, FirstPort + i);
            _sockets.Add(datagrams);
            queries.Add(Query(SocketProtocol.Udp, FirstPort + i, 53));
            if (i % 2 == 0)
            {
                continue;
            }

            Socket client = Open(SocketType.Stream, ProtocolType.Tcp, FirstPort + i);
            client.Connect(listener.LocalEndPoint!);
            _sockets.Add(client);
            _sockets.Add(listener.Accept());
            queries.Add(Query(SocketProtocol.Tcp, FirstPort + i, serverPort));
        }

        Queries = [.. queries];
        new Random(8653).Shuffle(Queries);
        Records = new SocketRecord[Queries.Length];
        Found = new bool[Queries.Length];
        if (Diag.Find(Queries, Records, Found) != Queries.Length)
        {
            throw new InvalidOperationException("Not every socket was found.");
        }
    }

    public SocketDiag Diag { get; }

    public SocketQuery[] Queries { get; }

    public SocketRecord[] Records { get; }

    public bool[] Found { get; }

    public void Dispose()
    {
        Diag.Dispose();
        _sockets.ForEach(static socket => socket.Dispose());
    }

    private static SocketQuery Query(SocketProtocol protocol, int port, ushort remotePort) =>
        new(protocol, IpAddress.Loopback, (ushort)port, IpAddress.Loopback, remotePort);

    private static Socket Open(SocketType type, ProtocolType protocol, int port)
    {
        Socket socket = new(AddressFamily.InterNetworkV6, type, protocol);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Loopback, port));
        return socket;
    }
}
