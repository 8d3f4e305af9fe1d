using System.Buffers;
using OnDemand.Dataplane;

namespace OnDemand.Linux.Control;

/// <summary>Copies the next rows of a listing out of the engine.</summary>
internal delegate int CopySlice<T>(DataplaneEngine engine, ref int cursor, Span<T> rows);

/// <summary>
/// The one door from all clients to the engine's thread: one command at a time, so that however many clients there are, packets wait for
/// at most one of their commands between two batches; and nobody waits for ever.
/// </summary>
/// <param name="control">The dataplane.</param>
internal sealed class EngineGate(IDataplaneControl control) : IDisposable
{
    /// <summary>Rows of a listing that one command copies at most.</summary>
    public const int SliceLength = 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _gate = new(1);

    /// <summary>Carries something out on the engine's thread.</summary>
    /// <typeparam name="T">What it gives.</typeparam>
    /// <param name="work">What to do; short.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>What it gave.</returns>
    /// <exception cref="ControlException">The dataplane is shutting down, busy, or did not answer in time.</exception>
    public async Task<T> RunAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            await _gate.WaitAsync(patience.Token).ConfigureAwait(false);
            try
            {
                return await control.RunAsync(work, patience.Token).ConfigureAwait(false);
            }
            finally
            {
                _gate.Release();
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ControlException(
                ProblemTypes.Unavailable, 503, $"The dataplane did not answer within {Patience.TotalSeconds:0} seconds.");
        }
        catch (InvalidOperationException busy)
        {
            throw new ControlException(ProblemTypes.Unavailable, 503, busy.Message);
        }
    }

    /// <summary>Reads a listing slice by slice; packets go on between two slices.</summary>
    /// <typeparam name="T">A row.</typeparam>
    /// <param name="copy">Copies the next rows.</param>
    /// <param name="take">Takes the rows of a slice; says whether to go on.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When all is read.</returns>
    public async Task ReadAsync<T>(
        CopySlice<T> copy, Func<ReadOnlyMemory<T>, Timestamp, Task<bool>> take, CancellationToken cancellationToken)
    {
        T[] rows = ArrayPool<T>.Shared.Rent(SliceLength);
        int cursor = 0;
        do
        {
            // Whoever gives up leaves the rows to the engine, which may be about to write them: only a slice that came is given back.
            (int Count, int Cursor, Timestamp Time) slice = await RunAsync(
                context =>
                {
                    int at = cursor;
                    int count = copy(context.Engine, ref at, rows.AsSpan(0, SliceLength));
                    return (count, at, context.Now);
                },
                cancellationToken).ConfigureAwait(false);
            cursor = slice.Cursor;
            if (!await take(rows.AsMemory(0, slice.Count), slice.Time).ConfigureAwait(false))
            {
                break;
            }
        }
        while (cursor >= 0);
        ArrayPool<T>.Shared.Return(rows);
    }

    /// <inheritdoc/>
    public void Dispose() => _gate.Dispose();
}
