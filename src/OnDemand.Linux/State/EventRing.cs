using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.State;

/// <summary>Events on their way from the engine's thread to one other. When it is full, events are lost and that is remembered.</summary>
/// <param name="length">Places.</param>
internal sealed class EventRing(int length)
{
    private readonly HandOver<EngineEvent> _events = new(length);
    private int _lost;

    /// <summary>Whether no event is under way. Only for the other thread.</summary>
    public bool IsEmpty => _events.IsEmpty;

    /// <summary>Adds an event. Only for the engine's thread.</summary>
    /// <param name="happened">What happened.</param>
    public void Add(in EngineEvent happened)
    {
        if (!_events.TryGive(happened))
        {
            Volatile.Write(ref _lost, 1);
        }
    }

    /// <summary>Takes the oldest event. Only for the other thread.</summary>
    /// <param name="happened">What happened.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTake(out EngineEvent happened) => _events.TryTake(out happened);

    /// <summary>Says whether events were lost since it was asked last.</summary>
    /// <returns>Whether any were.</returns>
    public bool TakeLost() => Interlocked.Exchange(ref _lost, 0) != 0;
}
