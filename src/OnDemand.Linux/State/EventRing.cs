using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.State;

/// <summary>
/// Events on their way from the engine's thread to one other: a fixed number of places, no lock, nothing allocated. When it is full, events
/// are lost and that is remembered.
/// </summary>
/// <param name="length">Places; a power of two.</param>
internal sealed class EventRing(int length)
{
    private readonly EngineEvent[] _places = new EngineEvent[length];
    private long _added;
    private long _taken;
    private int _lost;

    /// <summary>Adds an event. Only for the engine's thread.</summary>
    /// <param name="happened">What happened.</param>
    public void Add(in EngineEvent happened)
    {
        long added = _added;
        if (added - Volatile.Read(ref _taken) == _places.Length)
        {
            Volatile.Write(ref _lost, 1);
            return;
        }

        _places[added & (_places.Length - 1)] = happened;
        Volatile.Write(ref _added, added + 1);
    }

    /// <summary>Takes the oldest event. Only for the other thread.</summary>
    /// <param name="happened">What happened.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTake(out EngineEvent happened)
    {
        long taken = _taken;
        if (taken == Volatile.Read(ref _added))
        {
            happened = default;
            return false;
        }

        happened = _places[taken & (_places.Length - 1)];
        Volatile.Write(ref _taken, taken + 1);
        return true;
    }

    /// <summary>Says whether events were lost since it was asked last.</summary>
    /// <returns>Whether any were.</returns>
    public bool TakeLost() => Interlocked.Exchange(ref _lost, 0) != 0;
}
