using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace OnDemand.Linux.Control;

/// <summary>HTTP/1.1 on a Unix socket, served by Kestrel with limits of its own: a client that is slow, silent or hostile costs its own
/// connection only.</summary>
internal sealed class UnixHttpServer : IAsyncDisposable
{
    private readonly WebApplication _application;
    private int _disposed;

    private UnixHttpServer(WebApplication application, string socketPath)
    {
        _application = application;
        SocketPath = socketPath;
    }

    /// <summary>Where it listens.</summary>
    public string SocketPath { get; }

    /// <summary>Starts a server.</summary>
    /// <param name="settings">How it is to be.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The server, listening; disposing it closes every connection and removes the socket.</returns>
    /// <exception cref="HostException">The socket cannot be made, or another server is alive there.</exception>
    public static async Task<UnixHttpServer> StartAsync(UnixHttpSettings settings, CancellationToken cancellationToken)
    {
        string path = Path.GetFullPath(settings.Path);
        ControlSocket.Prepare(path);
        WebApplication? application = null;
        try
        {
            application = Build(settings, path);
            application.Use(ProblemResponses.Guard);
            settings.Map(application);
            await application.StartAsync(cancellationToken).ConfigureAwait(false);
            return new UnixHttpServer(application, path);
        }
        catch (Exception failed)
        {
            if (application is not null)
            {
                await application.DisposeAsync().ConfigureAwait(false);
            }

            if (failed is IOException or UnauthorizedAccessException or System.Net.Sockets.SocketException)
            {
                throw new HostException($"The control socket '{path}' cannot be made: {failed.Message.TrimEnd('.')}.", failed);
            }

            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _application.DisposeAsync().ConfigureAwait(false);
        }
    }

    // The empty builder: no configuration files, no environment variables, no log, and no say in what signals do.
    private static WebApplication Build(UnixHttpSettings settings, string path)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions
        {
            ApplicationName = "ondemand",
            ContentRootPath = "/",
            EnvironmentName = Environments.Production,
        });
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(options =>
        {
            SetLimits(options, settings);
            options.ListenUnixSocket(path, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(PeerCredentials.Learn);
                listen.Use(CountedConnection.LeaveAtEnd);
            });
        });
        builder.Services.AddSingleton<IConnectionListenerFactory>(new UnixListener.Factory(settings with { Path = path }));
        builder.Services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromSeconds(1));
        builder.Services.AddSingleton<IHostLifetime, OwnersLifetime>();
        builder.Services.AddRoutingCore();
        return builder.Build();
    }

    private static void SetLimits(KestrelServerOptions options, UnixHttpSettings settings)
    {
        options.AddServerHeader = false;
        options.AllowSynchronousIO = false;
        KestrelServerLimits limits = options.Limits;
        limits.MaxConcurrentConnections = settings.MostConnections;
        limits.MaxConcurrentUpgradedConnections = 0;
        limits.MaxRequestLineSize = 4096;
        limits.MaxRequestHeaderCount = 32;
        limits.MaxRequestHeadersTotalSize = 8192;
        limits.MaxRequestBodySize = settings.LongestBody;
        limits.MaxRequestBufferSize = 64 << 10;
        limits.MaxResponseBufferSize = 64 << 10;
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(10);
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(5);
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 1024, gracePeriod: TimeSpan.FromSeconds(3));
        limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 1024, gracePeriod: TimeSpan.FromSeconds(5));
    }

    /// <summary>The server lives as long as its owner says; the usual lifetime would take the signals of the whole program.</summary>
    private sealed class OwnersLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
