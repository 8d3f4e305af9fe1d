namespace OnDemand.Linux.Run;

/// <summary>Commands of other threads that wait for the engine's thread. Bounded, and closed when the run ends.</summary>
internal sealed class ControlQueue
{
    /// <summary>Commands that may wait at once.</summary>
    public const int Capacity = 256;

    private readonly Queue<ControlCommand> _waiting = new(Capacity);
    private readonly Lock _lock = new();
    private bool _closed;
    private int _count;

    /// <summary>Whether nothing waits; the packet path takes no lock to know it.</summary>
    public bool IsEmpty => Volatile.Read(ref _count) == 0;

    /// <summary>Adds a command. From any thread.</summary>
    /// <param name="command">The command.</param>
    /// <returns>Null, or why it was not taken.</returns>
    public InvalidOperationException? TryAdd(ControlCommand command)
    {
        lock (_lock)
        {
            if (_closed || _waiting.Count == Capacity)
            {
                return new InvalidOperationException(
                    _closed ? "The dataplane is shutting down." : $"{Capacity} commands wait already; try again.");
            }

            _waiting.Enqueue(command);
            Volatile.Write(ref _count, _waiting.Count);
            return null;
        }
    }

    /// <summary>Takes the next command.</summary>
    /// <returns>The command; null if none waits.</returns>
    public ControlCommand? Take()
    {
        lock (_lock)
        {
            _ = _waiting.TryDequeue(out ControlCommand? command);
            Volatile.Write(ref _count, _waiting.Count);
            return command;
        }
    }

    /// <summary>Takes no more commands, and refuses those that wait.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _closed = true;
        }

        while (Take() is { } command)
        {
            command.Refuse(new InvalidOperationException("The dataplane is shutting down."));
        }
    }
}
