using Microsoft.AspNetCore.Builder;
using OnDemand.Linux.Programs;

namespace OnDemand.Linux.Control;

/// <summary>
/// The operator's control socket. Nothing of it runs on the engine's thread but short commands, one at a time.
/// </summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private const int MostConnections = 256;
    private const int LongestBody = 256 << 10;

    private readonly UnixHttpServer _server;
    private readonly EngineGate _gate;
    private readonly DataplaneMeter _meter;
    private int _disposed;

    private ControlServer(UnixHttpServer server, EngineGate gate, DataplaneMeter meter)
    {
        _server = server;
        _gate = gate;
        _meter = meter;
    }

    /// <summary>Where it listens.</summary>
    public string SocketPath => _server.SocketPath;

    /// <summary>Starts a server.</summary>
    /// <param name="control">The dataplane; it must already carry out commands.</param>
    /// <param name="socketPath">Where to listen; a socket that a dead process left there is replaced.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="requests">What programs ask for, which operators then may for all users; null leaves these resources out.</param>
    /// <returns>The server, listening; disposing it closes every connection and removes the socket.</returns>
    /// <exception cref="HostException">The socket cannot be made, or another server is alive there.</exception>
    public static async Task<ControlServer> StartAsync(
        IDataplaneControl control, string socketPath, CancellationToken cancellationToken, SocketRequests? requests = null)
    {
        var gate = new EngineGate(control);
        DataplaneMeter? meter = null;
        try
        {
            meter = await DataplaneMeter.CreateAsync(gate, cancellationToken).ConfigureAwait(false);
            UnixHttpServer server = await UnixHttpServer.StartAsync(
                new UnixHttpSettings
                {
                    Path = socketPath,
                    MostConnections = MostConnections,
                    LongestBody = LongestBody,
                    Map = application =>
                    {
                        application.Use(ProblemResponses.OperatorsOnly);
                        new ControlEndpoints(control, gate).Map(application);
                        if (requests is not null)
                        {
                            new ProgramEndpoints(requests, isForOperators: true).Map(application);
                        }
                    },
                },
                cancellationToken).ConfigureAwait(false);
            return new ControlServer(server, gate, meter);
        }
        catch
        {
            meter?.Dispose();
            gate.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _meter.Dispose();
        await _server.DisposeAsync().ConfigureAwait(false);
        _gate.Dispose();
    }
}
