using OnDemand.Dataplane;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <content>
/// Several queues: their threads take turns at the one engine, so every flow may come through any of them, and everything that is true of one
/// queue is true of several. Who has the turn is, for that time, the engine's thread.
/// </content>
internal sealed partial class DataplaneHost : IEngineTurns
{
    // Before everything, also before a deadline that is always due.
    private static readonly Timestamp Awake = new(long.MinValue);

    private readonly Lock _turn = new();
    private readonly IFrameDevice[] _otherQueues;
    private readonly QueueWorker[] _workers;
    private FramePump _current;                      // of the turn
    private Timestamp _sleepsUntil = Awake;          // of the first queue's thread

    /// <summary>The packet path of each queue, the first queue's first.</summary>
    internal FramePump[] Pumps => [_pump, .. _workers.Select(worker => worker.Pump)];

    /// <inheritdoc/>
    Timestamp IEngineTurns.Begin(FramePump queue) => BeginTurn(queue);

    /// <inheritdoc/>
    void IEngineTurns.Settle(Timestamp now) => Drain(now);

    /// <inheritdoc/>
    void IEngineTurns.End() => EndTurn();

    private Timestamp BeginTurn(FramePump queue)
    {
        _turn.Enter();
        _current = queue;
        _now = _clock.Now;
        return _now;
    }

    private void EndTurn()
    {
        // The first queue's thread does what falls due. It may have gone to sleep for longer than is right now.
        if (NextDue() < _sleepsUntil)
        {
            _sleepsUntil = Awake;
            _wakeUp.Ring();
        }

        _turn.Exit();
    }

    /// <summary>What wakes the first queue's thread.</summary>
    internal int WakeUpDescriptor => _wakeUp.Descriptor;

    /// <summary>Until when the first queue's thread may sleep, unless somebody rings.</summary>
    internal Timestamp FallAsleep()
    {
        _ = BeginTurn(_pump);
        Timestamp next = NextDue();
        _sleepsUntil = next;
        _turn.Exit();
        return next;
    }

    private QueueWorker[] MakeWorkers(IDataplaneObserver? observer) =>
    [
        .. _otherQueues.Select(queue => new QueueWorker(
            queue, new FramePump(_engine, _drive, queue, _routed, _clock, _settings, observer, this), _settings, _wakeUp.Ring)),
    ];

    private void StartWorkers()
    {
        for (int i = 0; i < _workers.Length; i++)
        {
            _otherQueues[i].RefreshHardwareAddress();
            _workers[i].Start(i + 1, Libc.GetProcessor());
        }
    }

    private void StopWorkers()
    {
        foreach (QueueWorker worker in _workers)
        {
            worker.Stop();
        }
    }

    private void LookAfterWorkers()
    {
        foreach (QueueWorker worker in _workers)
        {
            _tapGone |= worker.IsDeviceGone;
            worker.ThrowIfFailed();
        }
    }
}
