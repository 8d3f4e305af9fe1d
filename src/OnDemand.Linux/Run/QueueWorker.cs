using System.Runtime.ExceptionServices;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <summary>
/// A further queue of the TAP, with a thread of its own. It carries frames, and in its turn at the engine carries out what they led to;
/// commands, deadlines and changes of the host's network are the business of the first queue's thread.
/// </summary>
internal sealed class QueueWorker : IDisposable
{
    private readonly IFrameDevice _device;
    private readonly FramePump _pump;
    private readonly HostSettings _settings;
    private readonly Action _ended;
    private readonly WakeUp _wakeUp = new();
    private readonly PollEntry[] _waitsOn = new PollEntry[2];
    private Thread? _thread;
    private volatile ExceptionDispatchInfo? _failure;
    private volatile bool _stopping;

    /// <summary>Makes one; nothing happens before <see cref="Start"/>.</summary>
    /// <param name="device">The queue.</param>
    /// <param name="pump">Its packet path, which shares the engine.</param>
    /// <param name="settings">Whether many frames are read at once, and where threads run.</param>
    /// <param name="ended">Is called when the thread cannot go on: the TAP is gone, or something failed.</param>
    public QueueWorker(IFrameDevice device, FramePump pump, HostSettings settings, Action ended)
    {
        _device = device;
        _pump = pump;
        _settings = settings;
        _ended = ended;
        _waitsOn[0] = new PollEntry { Descriptor = device.Descriptor, Wanted = Libc.PollIn };
        _waitsOn[1] = new PollEntry { Descriptor = _wakeUp.Descriptor, Wanted = Libc.PollIn };
    }

    /// <summary>Its packet path.</summary>
    public FramePump Pump => _pump;

    /// <summary>Whether the TAP is gone, as far as this queue knows.</summary>
    public bool IsDeviceGone { get; private set; }

    /// <summary>Begins.</summary>
    /// <param name="number">Which queue it is, from 1.</param>
    /// <param name="first">The processor of the first queue's thread.</param>
    public void Start(int number, int first)
    {
        _thread = new Thread(() => Carry(number, first)) { IsBackground = true, Name = $"queue {number}" };
        _thread.Start();
    }

    /// <summary>Ends the thread. What is left in its queue is for the caller, with <see cref="Pump"/>.</summary>
    public void Stop()
    {
        _stopping = true;
        _wakeUp.Ring();
        _thread?.Join();
        _thread = null;
    }

    /// <summary>Whether the thread cannot go on.</summary>
    public bool HasFailed => _failure is not null;

    /// <summary>Throws what ended the thread, if something did.</summary>
    public void ThrowIfFailed() => _failure?.Throw();

    /// <inheritdoc/>
    public void Dispose()
    {
        Stop();
        _wakeUp.Dispose();
    }

    private void Carry(int number, int first)
    {
        try
        {
            EnginePlace.TakeBeside(_settings.Processor, first, number);
            if (_settings.UseRing)
            {
                _device.OpenRing();
            }

            while (!_stopping && !IsDeviceGone)
            {
                bool worked = _pump.Turn(out _);
                IsDeviceGone |= _pump.IsDeviceGone;
                if (!worked && !IsDeviceGone)
                {
                    Wait();
                }
            }

            _device.CloseRing();                     // it is this thread's alone
        }
#pragma warning disable CA1031 // Whatever it is, the first queue's thread throws it again when it has taken everything back.
        catch (Exception problem)
#pragma warning restore CA1031
        {
            _failure = ExceptionDispatchInfo.Capture(problem);
        }

        if (!_stopping)
        {
            _ended();
        }
    }

    private unsafe void Wait()
    {
        if (Libc.Poll(_waitsOn, (nuint)_waitsOn.Length, null, 0) > 0)
        {
            IsDeviceGone |= (_waitsOn[0].Found & (Libc.PollError | Libc.PollHangUp | Libc.PollInvalid)) != 0;
            if (_waitsOn[1].Found != 0)
            {
                _wakeUp.Answer();
            }
        }
    }
}
