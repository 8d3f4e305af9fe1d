using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;

namespace OnDemand.Linux.Tests.Control;

/// <summary>A dataplane, its control socket in a directory of its own, and a client.</summary>
internal sealed class ControlScene : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("ondemand-control-").FullName;

    private readonly SocketsHttpHandler _handler = new();

    private ControlScene() => Http = new HttpClient(_handler)
    {
        BaseAddress = new Uri("http://localhost"),
        Timeout = TimeSpan.FromSeconds(30)
    };

    public FakeDataplane Dataplane { get; private init; } = null!;

    public ControlServer Server { get; private set; } = null!;

    public HttpClient Http { get; }

    public string Path => System.IO.Path.Combine(_directory, "od0.sock");

    public static async Task<ControlScene> StartAsync(string configuration = FakeDataplane.Configuration)
    {
        var scene = new ControlScene { Dataplane = new FakeDataplane(configuration) };
        scene.Server = await ControlServer.StartAsync(scene.Dataplane, scene.Path, CancellationToken.None);
        scene._handler.ConnectCallback = async (_, cancel) => await scene.OpenAsync(cancel);
        return scene;
    }

    /// <summary>Attaches with a prefix of every type but Fixed.</summary>
    public Task AttachAsync(string name = "ar1", int network = 1) => Dataplane.RunAsync(context =>
    {
        context.Network.Attach(
            name,
            [
                new(IpPrefix.Parse($"2001:db8:a{network}:1::/64"), AddressType.Nonpersistent),
                new(IpPrefix.Parse($"2001:db8:6{network}:1::/64"), AddressType.GracefulReplacement),
                new(IpPrefix.Parse("2001:db8:51:1::/64"), AddressType.SessionLasting),
            ],
            OnDemand.Dataplane.Duration.FromSeconds(30),
            context.Now);
        return 0;
    });

    public async Task<NetworkStream> OpenAsync(CancellationToken cancellationToken = default)
    {
        Socket? socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(Path), cancellationToken);
            var stream = new NetworkStream(socket, ownsSocket: true);
            socket = null;
            return stream;
        }
        finally
        {
            socket?.Dispose();
        }
    }

    public async Task<(HttpStatusCode Status, JsonElement Body)> GetAsync(string resource) =>
        await ReadAsync(await Http.GetAsync(new Uri(resource, UriKind.Relative)));

    public async Task<(HttpStatusCode Status, JsonElement Body)> PostAsync(string resource, string json)
    {
        using var content = new StringContent(json, Encoding.UTF8, "application/json");
        return await ReadAsync(await Http.PostAsync(new Uri(resource, UriKind.Relative), content));
    }

    /// <summary>Sends octets as they are and reads what comes until the server closes, or until patience ends.</summary>
    public async Task<string> SendRawAsync(ReadOnlyMemory<byte> octets, TimeSpan? patience = null)
    {
        await using NetworkStream stream = await OpenAsync();
        var answer = new MemoryStream();
        try
        {
            await stream.WriteAsync(octets);
        }
        catch (IOException)
        {
            // The server had enough before everything was sent; its answer may be there all the same.
        }

        try
        {
            using var enough = new CancellationTokenSource(patience ?? Timeout.InfiniteTimeSpan);
            await stream.CopyToAsync(answer, enough.Token);
        }
        catch (Exception ended) when (ended is IOException or OperationCanceledException)
        {
            // The server has closed without reading everything, or waits for more.
        }

        return Encoding.UTF8.GetString(answer.ToArray());
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        _handler.Dispose();
        await (Server?.DisposeAsync() ?? default);
        await Dataplane.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> ReadAsync(HttpResponseMessage response)
    {
        using (response)
        {
            return (response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync()).RootElement);
        }
    }
}
