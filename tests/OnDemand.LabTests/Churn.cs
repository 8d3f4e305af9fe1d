using System.Net;
using System.Net.Sockets;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>
/// Conversations over TCP and UDP of all four types that are opened, used and closed, one after the other, until told to stop. Those of
/// lasting types must all succeed; the others may be cut by a move, which is counted.
/// </summary>
internal sealed class Churn : IDisposable
{
    private const int FirstTcpPort = 7001;
    private const int FirstUdpPort = 9001;
    private const int Types = 4;
    private const int Batch = 32;
    private static readonly TimeSpan Never = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    private readonly LabRig _rig;
    private readonly List<Socket> _servers = [];
    private readonly List<Task> _serving = [];
    private long _connections;
    private long _exchanges;
    private long _cut;

    public Churn(LabRig rig)
    {
        _rig = rig;
        for (int type = 0; type < Types; type++)
        {
            Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, FirstTcpPort + type);
            Socket answering = rig.Server(LabNodes.Peer, SocketType.Dgram, FirstUdpPort + type);
            _servers.AddRange([listener, answering]);
            _serving.AddRange([AcceptAsync(listener), AnswerAsync(answering)]);
        }
    }

    /// <summary>Connections made, used and closed.</summary>
    public long Connections => Interlocked.Read(ref _connections);

    /// <summary>Sockets that asked over UDP and were answered.</summary>
    public long Exchanges => Interlocked.Read(ref _exchanges);

    /// <summary>Conversations that a move or a withdrawal ended.</summary>
    public long Cut => Interlocked.Read(ref _cut);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Goes on until told to stop.</summary>
    /// <param name="burst">How long they go on without a rest.</param>
    /// <param name="rest">What the Session-Lasting ones do between two bursts, so that their prefix is released and asked for again.</param>
    /// <param name="stop">Told when it is enough.</param>
    public Task RunAsync(TimeSpan burst, TimeSpan rest, CancellationToken stop) => Task.WhenAll(
        from type in Enumerable.Range(0, Types)
        from kind in new[] { SocketType.Stream, SocketType.Dgram }
        select WorkAsync(type, kind, burst, rest, stop));

    public void Dispose() => _servers.ForEach(server => server.Dispose());

    private async Task WorkAsync(int type, SocketType kind, TimeSpan burst, TimeSpan rest, CancellationToken stop)
    {
        const int sessionLasting = 1;
        bool lasts = type <= sessionLasting;
        while (!stop.IsCancellationRequested)
        {
            long until = Environment.TickCount64 + (long)burst.TotalMilliseconds;
            while (Environment.TickCount64 < until && !stop.IsCancellationRequested)
            {
                await TalkAsync(type, kind, lasts);
            }

            await Task.Delay(type == sessionLasting ? rest : TimeSpan.Zero, stop).ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }

    // Made many at a time, for each trip to the host's network costs a thread.
    private async Task TalkAsync(int type, SocketType kind, bool lasts)
    {
        Socket[] some = LabSockets.On(_rig.Name, LabNodes.Host, () => Enumerable.Range(0, Batch).Select(_ => new Socket(
            AddressFamily.InterNetworkV6, kind, kind == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp)).ToArray());
        for (int i = 0; i < some.Length; i++)
        {
            using Socket socket = some[i];
            try
            {
                await (kind == SocketType.Stream ? ConnectAsync(socket, FirstTcpPort + type, abort: i % 2 == 0)
                    : AskAsync(socket, FirstUdpPort + type));
            }
            catch (Exception cut) when (!lasts && cut is SocketException or TimeoutException)
            {
                Interlocked.Increment(ref _cut);
            }

            await Task.Delay(Pace, Cancellation);
        }
    }

    private async Task ConnectAsync(Socket socket, int port, bool abort)
    {
        byte[] question = Guid.NewGuid().ToByteArray();
        byte[] heard = new byte[question.Length];
        await socket.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation).AsTask().WaitAsync(Never, Cancellation);
        await socket.SendAsync(question, Cancellation);
        Assert.Equal(heard.Length, await socket.ReceiveAsync(heard, Cancellation).AsTask().WaitAsync(Never, Cancellation));
        Assert.Equal(question, heard);
        if (abort)
        {
            socket.Close(0);
        }

        Interlocked.Increment(ref _connections);
    }

    // A datagram may be lost; a socket that gets no answer at all is not.
    private async Task AskAsync(Socket socket, int port)
    {
        const int tries = 20;
        byte[] question = Guid.NewGuid().ToByteArray();
        byte[] heard = new byte[question.Length];
        await socket.ConnectAsync(new IPEndPoint(LabRig.Peer, port), Cancellation);
        Task<int> answer = socket.ReceiveAsync(heard, Cancellation).AsTask();
        for (int i = 0; i < tries && !answer.IsCompleted; i++)
        {
            await socket.SendAsync(question, Cancellation);
            await Task.WhenAny(answer, Task.Delay(TimeSpan.FromMilliseconds(500), Cancellation));
        }

        Assert.Equal(heard.Length, await answer.WaitAsync(TimeSpan.Zero, Cancellation));
        Assert.Equal(question, heard);
        Interlocked.Increment(ref _exchanges);
    }

    private static async Task AcceptAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                _ = EchoAsync(await listener.AcceptAsync(Cancellation));
            }
        }
        catch (Exception end) when (end is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // That was all.
        }
    }

    private static async Task EchoAsync(Socket caller)
    {
        using Socket _ = caller;
        byte[] words = new byte[64];
        try
        {
            int length;
            while ((length = await caller.ReceiveAsync(words, Cancellation)) > 0)
            {
                await caller.SendAsync(words.AsMemory(0, length), Cancellation);
            }
        }
        catch (Exception end) when (end is SocketException or OperationCanceledException)
        {
            // The caller hung up; or it has gone away and its address with it.
        }
    }

    private static async Task AnswerAsync(Socket server)
    {
        byte[] words = new byte[64];
        try
        {
            while (true)
            {
                SocketReceiveFromResult asked = await server.ReceiveFromAsync(words, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation);
                await server.SendToAsync(words.AsMemory(0, asked.ReceivedBytes), asked.RemoteEndPoint, Cancellation);
            }
        }
        catch (Exception end) when (end is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // That was all.
        }
    }
}
