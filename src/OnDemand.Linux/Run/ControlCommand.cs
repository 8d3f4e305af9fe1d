using OnDemand.Linux.Control;

namespace OnDemand.Linux.Run;

/// <summary>Something that another thread wants done on the engine's thread. It is carried out first and answered after the engine's
/// outputs, events and routes have followed, so that whoever waits for it sees them done.</summary>
internal abstract class ControlCommand
{
    /// <summary>Does it, on the engine's thread.</summary>
    /// <param name="context">What it may use.</param>
    public abstract void Execute(in ControlContext context);

    /// <summary>Tells whoever waits.</summary>
    public abstract void Answer();

    /// <summary>Tells whoever waits that it was not done.</summary>
    /// <param name="reason">Why.</param>
    public abstract void Refuse(Exception reason);
}

/// <summary>A command with a result.</summary>
/// <typeparam name="T">What it gives.</typeparam>
/// <param name="work">What to do.</param>
/// <param name="cancellationToken">Gives up waiting.</param>
internal sealed class ControlCommand<T>(Func<ControlContext, T> work, CancellationToken cancellationToken) : ControlCommand
{
    private readonly TaskCompletionSource<T> _source = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _result;
    private Exception? _problem;
    private bool _isGivenUp;

    /// <summary>Its result, when it is there.</summary>
    public Task<T> Task => _source.Task.WaitAsync(cancellationToken);

    /// <inheritdoc/>
    public override void Execute(in ControlContext context)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            _isGivenUp = true;
            return;                                  // nobody waits any more
        }

        try
        {
            _result = work(context);
        }
        catch (Exception problem) when (Keep(problem))
        {
            // It is the caller's, who gets it with the answer.
        }
    }

    /// <inheritdoc/>
    public override void Answer()
    {
        if (_isGivenUp)
        {
            _source.SetCanceled(cancellationToken);  // whoever waits may not have been told yet
        }
        else if (_problem is not null)
        {
            _source.SetException(_problem);
        }
        else
        {
            _source.SetResult(_result!);
        }
    }

    /// <inheritdoc/>
    public override void Refuse(Exception reason) => _source.SetException(reason);

    private bool Keep(Exception problem)
    {
        _problem = problem;
        return true;
    }
}
