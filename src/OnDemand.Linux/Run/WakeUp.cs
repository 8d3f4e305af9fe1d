using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Run;

/// <summary>Wakes the engine's thread out of its wait from any other thread: an eventfd(2).</summary>
internal sealed class WakeUp : IDisposable
{
    private static readonly byte[] One = BitConverter.GetBytes(1UL);

    private readonly FileDescriptor _counter;
    private readonly Lock _ringing = new();
    private int _pending;

    /// <summary>Makes one.</summary>
    /// <exception cref="LinuxException">There are no descriptors left.</exception>
    public WakeUp()
    {
        _counter = Libc.EventCounter(0, Libc.NonBlocking | Libc.CloseOnExec);
        if (_counter.IsInvalid)
        {
            throw new LinuxException("eventfd", Libc.LastError);
        }

        Descriptor = _counter.Number;
    }

    /// <summary>What the engine's thread waits on.</summary>
    public int Descriptor { get; }

    /// <summary>Wakes the engine's thread, or keeps it from falling asleep. From any thread; once this is disposed of, it does nothing.</summary>
    public void Ring()
    {
        if (Interlocked.Exchange(ref _pending, 1) != 0)
        {
            return;
        }

        lock (_ringing)
        {
            if (!_counter.IsClosed)                  // else the number may be another file's by now
            {
                _ = Libc.Write(Descriptor, One, sizeof(ulong));
            }
        }
    }

    /// <summary>The engine's thread is awake and will look at everything it may have been woken for.</summary>
    public void Answer()
    {
        Span<byte> count = stackalloc byte[sizeof(ulong)];
        _ = Libc.Read(Descriptor, count, count.Length);
        Interlocked.Exchange(ref _pending, 0);       // before anything is looked at: who rings later than that look wakes it again
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_ringing)
        {
            _counter.Dispose();
        }
    }
}
