using System.Net.Sockets;
using System.Runtime.Versioning;
using Microsoft.AspNetCore.Connections;
using OnDemand.Linux.Control;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>How connections are taken in: the queue before the server is everybody's, and must never stay full of one user's.</summary>
[SupportedOSPlatform("linux")]
public sealed class UnixListenerTests : IAsyncDisposable
{
    private const int Most = 3;
    private const string Refusal = "too many";

    private readonly string _directory = Directory.CreateTempSubdirectory("ondemand-listener-").FullName;
    private readonly List<Socket> _clients = [];
    private int _inside;

    private string Place => Path.Combine(_directory, "x.sock");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_user_has_too_much_of_is_refused_at_once_though_nobody_serves_anything()
    {
        await using IConnectionListener listener = await ListenAsync();

        // Three times as many as the queue holds; not one of them waits in it, nor is turned away because it is full.
        for (int i = 0; i < 1500; i++)
        {
            Socket client = Connect();
            if (i >= Most)
            {
                Assert.Equal(Refusal, await ReadAsync(client));
                client.Dispose();
            }
        }

        Assert.Equal(Most, _inside);
    }

    [Fact]
    public async Task A_connection_counts_until_it_is_served_and_no_longer()
    {
        await using IConnectionListener listener = await ListenAsync();
        for (int i = 0; i < 10 * Most; i++)
        {
            Connect();
            ConnectionContext? connection = await listener.AcceptAsync(Cancellation);
            Assert.NotNull(connection);
            Assert.Equal(1, _inside);
            await CountedConnection.LeaveAtEnd(_ => Task.CompletedTask)(connection);
            Assert.Equal(0, _inside);
            await connection.DisposeAsync();
            Assert.Equal(0, _inside);
        }
    }

    [Fact]
    public async Task A_connection_that_the_server_drops_without_serving_it_counts_no_longer()
    {
        await using IConnectionListener listener = await ListenAsync();
        Connect();

        ConnectionContext? connection = await listener.AcceptAsync(Cancellation);
        await connection!.DisposeAsync();

        Assert.Equal(0, _inside);
    }

    [Fact]
    public async Task A_listener_that_ends_closes_what_nobody_has_served_and_removes_its_file()
    {
        IConnectionListener listener = await ListenAsync();
        Socket client = Connect();
        Assert.True(SpinWait.SpinUntil(() => _inside == 1, TimeSpan.FromSeconds(30)));

        await listener.DisposeAsync();

        Assert.Equal(string.Empty, await ReadAsync(client));
        Assert.Equal(0, _inside);
        Assert.False(File.Exists(Place));
        Assert.Null(await listener.AcceptAsync(Cancellation));
    }

    public ValueTask DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        Directory.Delete(_directory, recursive: true);
        return ValueTask.CompletedTask;
    }

    private async Task<IConnectionListener> ListenAsync()
    {
        var settings = new UnixHttpSettings
        {
            Path = Place,
            MostConnections = 1000,
            LongestBody = 1,
            Map = _ => { },
            Quota = new ConnectionQuota(TryEnter, _ => Interlocked.Decrement(ref _inside), System.Text.Encoding.ASCII.GetBytes(Refusal)),
        };
        return await new UnixListener.Factory(settings).BindAsync(new UnixDomainSocketEndPoint(Place), Cancellation);
    }

    private bool TryEnter(PeerCredentials peer)
    {
        Assert.Equal(Environment.ProcessId, peer.ProcessId);
        if (Volatile.Read(ref _inside) == Most)
        {
            return false;
        }

        Interlocked.Increment(ref _inside);
        return true;
    }

    // Fails where the queue is full: what does not block is turned away at once (connect(2), EAGAIN).
    private Socket Connect()
    {
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        _clients.Add(client);
        client.Connect(new UnixDomainSocketEndPoint(Place));
        return client;
    }

    private static async Task<string> ReadAsync(Socket client)
    {
        byte[] octets = new byte[100];
        int count = await client.ReceiveAsync(octets, Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        return System.Text.Encoding.ASCII.GetString(octets, 0, count);
    }
}
