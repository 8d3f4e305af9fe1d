using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace OnDemand.Linux.Control;

/// <summary>A connection that counts for its peer until it has been served, or is dropped unserved.</summary>
/// <param name="inner">The connection.</param>
/// <param name="leave">Called once, when it counts no longer.</param>
internal sealed class CountedConnection(ConnectionContext inner, Action leave) : ConnectionContext
{
    private Action? _leave = leave;

    /// <inheritdoc/>
    public override string ConnectionId { get => inner.ConnectionId; set => inner.ConnectionId = value; }

    /// <inheritdoc/>
    public override IFeatureCollection Features => inner.Features;

    /// <inheritdoc/>
    public override IDictionary<object, object?> Items { get => inner.Items; set => inner.Items = value; }

    /// <inheritdoc/>
    public override IDuplexPipe Transport { get => inner.Transport; set => inner.Transport = value; }

    /// <inheritdoc/>
    public override CancellationToken ConnectionClosed { get => inner.ConnectionClosed; set => inner.ConnectionClosed = value; }

    /// <inheritdoc/>
    public override EndPoint? LocalEndPoint { get => inner.LocalEndPoint; set => inner.LocalEndPoint = value; }

    /// <inheritdoc/>
    public override EndPoint? RemoteEndPoint { get => inner.RemoteEndPoint; set => inner.RemoteEndPoint = value; }

    /// <summary>It counts no longer: the last answer is written, and its socket is about to be closed.</summary>
    /// <param name="next">What is done with a connection.</param>
    /// <returns>The same, and then that.</returns>
    public static ConnectionDelegate LeaveAtEnd(ConnectionDelegate next) => async connection =>
    {
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            (connection as CountedConnection)?.Leave();
        }
    };

    /// <inheritdoc/>
    public override void Abort() => inner.Abort();

    /// <inheritdoc/>
    public override void Abort(ConnectionAbortedException abortReason) => inner.Abort(abortReason);

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        Leave();
        await inner.DisposeAsync().ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    private void Leave() => Interlocked.Exchange(ref _leave, null)?.Invoke();
}
