using System.Runtime.InteropServices;
using System.Text;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Run;
using OnDemand.Linux.State;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Recording;

// Theory of operation. The engine's thread copies what it is told into a ring of fixed size and goes on; control records, which are rare,
// are put into words there. Another thread takes the entries out, lets a RecordingWriter make blocks of them, and writes the file. When the
// ring is full the packets do not wait: the recording ends, and what is in the ring up to the last whole step still gets into the file.

/// <summary>Records a run into a file, from which it can be replayed octet for octet.</summary>
internal sealed class LiveRecorder : IDataplaneObserver, IDisposable
{
    private const int Pause = 2;                     // milliseconds between two looks at an empty ring
    private const int LargestWrite = 1 << 20;
    private static readonly byte[] AdvanceText = Encoding.UTF8.GetBytes(ControlText.Advance);

    private readonly RecordingOptions _options;
    private readonly Scenario _scenario;
    private readonly string _tap;
    private readonly byte[] _linkAddresses = new byte[2 * MacAddress.Length];
    private readonly Action<string> _say;
    private readonly RecordRing _ring;
    private readonly RecordingFile _file;
    private readonly RecordingWriter _writer;
    private readonly Thread _thread;
    private bool _closed;                            // of the engine's thread: nothing more is added
    private volatile bool _overrun;
    private volatile bool _disposing;
    private Timestamp _last;

    /// <summary>Creates the file and waits for the run to begin.</summary>
    /// <param name="options">File and limits.</param>
    /// <param name="scenario">The run's configuration.</param>
    /// <param name="tap">The TAP's name.</param>
    /// <param name="address">The TAP's hardware address.</param>
    /// <param name="say">Takes sentences for the user.</param>
    /// <exception cref="HostException">The file cannot be created.</exception>
    public LiveRecorder(RecordingOptions options, Scenario scenario, string tap, MacAddress address, Action<string> say)
    {
        _options = options;
        _scenario = scenario;
        _tap = tap;
        _say = say;
        address.Write(_linkAddresses);
        address.OtherEnd.Write(_linkAddresses.AsSpan(MacAddress.Length));
        _file = new RecordingFile(options.File, options.Limit);
        _writer = new RecordingWriter(_linkAddresses);
        _ring = new RecordRing(options.RingLength);
        _thread = new Thread(WriteAll) { IsBackground = true, Name = "recording" };
        _thread.Start();
    }

    /// <inheritdoc/>
    public void OnStart(DataplaneOptions options, Timestamp now)
    {
        var head = new RecordingHead { Scenario = _scenario, Options = options, LinkAddresses = _linkAddresses };
        Add(new RingEntry { Kind = RingKind.Start, Time = now }, Encoding.UTF8.GetBytes(head.Write()));
    }

    /// <inheritdoc/>
    public void OnRestored(SavedState saved, ulong attachment, Timestamp now)
    {
        Patiently(RestoreText.Of(saved.Attachment), now);
        foreach (PrefixSnapshot prefix in saved.Prefixes)
        {
            Patiently(RestoreText.Of(prefix), now);
        }

        foreach (AddressSnapshot address in saved.Addresses.Values)
        {
            Patiently(RestoreText.Of(address), now);
        }

        foreach (FlowSnapshot flow in saved.Flows.Values)
        {
            Patiently(RestoreText.Of(flow), now);
        }

        Patiently(RestoreText.Done, now);
    }

    /// <inheritdoc/>
    public void OnArrival(int place, ReadOnlySpan<byte> frame, in Arrival arrival, Timestamp now) => Add(
        new RingEntry
        {
            Kind = RingKind.Arrival,
            Place = place,
            Inbound = arrival.Inbound,
            Info = arrival.Info,
            Time = now,
            SegmentationType = arrival.Header.SegmentationType,
            SegmentSize = arrival.Header.SegmentSize,
        },
        frame);

    /// <inheritdoc/>
    public void OnVerdict(int place, ReadOnlySpan<byte> frame, Verdict verdict, FrameFate fate, Timestamp now) => Add(
        new RingEntry { Kind = RingKind.Verdict, Place = place, Verdict = verdict, Fate = fate, Time = now },
        verdict.Kind == VerdictKind.Forward ? frame : default);

    /// <inheritdoc/>
    public void OnAdvance(Timestamp now) => Add(new RingEntry { Kind = RingKind.Control, Time = now }, AdvanceText);

    /// <inheritdoc/>
    public void OnOutput(in OutputFrame info, ReadOnlySpan<byte> frame, FrameFate fate, Timestamp now) =>
        Add(new RingEntry { Kind = RingKind.Output, Output = info, Fate = fate, Time = now }, frame);

    /// <inheritdoc/>
    public void OnEvent(in EngineEvent happened) =>
        Add(new RingEntry { Kind = RingKind.Event }, MemoryMarshal.AsBytes(new ReadOnlySpan<EngineEvent>(in happened)));

    /// <inheritdoc/>
    public void OnNetworkEvent(NetworkEvent happened, Timestamp now) => AddControl(ControlText.Of(happened), now);

    /// <inheritdoc/>
    public void OnAnswer(in PrefixAnswer answer, Timestamp now) => AddControl(ControlText.Of(answer), now);

    /// <inheritdoc/>
    public void OnRequest(in SetscRequest request, Timestamp now) => AddControl(ControlText.Of(request), now);

    /// <inheritdoc/>
    public void OnClose(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now) =>
        AddControl(ControlText.Close(protocol, internalAddress, localPort), now);

    /// <inheritdoc/>
    public void OnSocket(in SocketAnswer answer, Timestamp now) => AddControl(ControlText.Of(answer), now);

    /// <inheritdoc/>
    public void OnSocketEnded(ulong cookie, Timestamp now) => AddControl(ControlText.EndOfSocket(cookie), now);

    /// <inheritdoc/>
    public void OnReleased(ulong cookie, Timestamp now) => AddControl(ControlText.Release(cookie), now);

    /// <inheritdoc/>
    public void OnSocketNamed(in FlowIdentity flow, ulong cookie, Timestamp now) => AddControl(ControlText.Name(flow, cookie), now);

    /// <inheritdoc/>
    public void OnPolicy(ScenarioPolicy policy, Timestamp now) => AddControl(ControlText.Of(policy), now);

    /// <inheritdoc/>
    public void OnStop(Timestamp now)
    {
        Add(new RingEntry { Kind = RingKind.Stop, Time = now }, default);
        _closed = true;
    }

    /// <summary>Waits until everything is in the file, and closes it.</summary>
    public void Dispose()
    {
        _disposing = true;
        _thread.Join();
        _file.Dispose();
    }

    // Before the run begins nobody minds a wait for room.
    private void Patiently(string text, Timestamp now)
    {
        byte[] octets = Encoding.UTF8.GetBytes(text);
        while (!_ring.TryAdd(new RingEntry { Kind = RingKind.Control, Time = now }, octets))
        {
            Thread.Sleep(Pause);
        }
    }

    private void AddControl(string text, Timestamp now)
    {
        if (!_closed)
        {
            Add(new RingEntry { Kind = RingKind.Control, Time = now }, Encoding.UTF8.GetBytes(text));
        }
    }

    private void Add(in RingEntry entry, ReadOnlySpan<byte> octets)
    {
        if (!_closed && !_ring.TryAdd(entry, octets))
        {
            _closed = true;
            _overrun = true;
        }
    }

    // The recorder's thread. After the end the ring is still emptied, so that the engine's thread never finds it full.
    private void WriteAll()
    {
        string? ended = null;
        while (true)
        {
            bool overrun = _overrun;                 // before the look at the ring: what was added before it is seen
            bool disposing = _disposing;
            if (_ring.TryPeek(out RingEntry entry, out ReadOnlySpan<byte> octets))
            {
                if (ended is null)
                {
                    Tell(entry, octets);
                    ended = entry.Kind == RingKind.Stop ? Stop() : Write(whenFull: true);
                }

                _ring.Release(entry);
            }
            else if (overrun && ended is null)
            {
                _writer.Abandon();
                ended = Write(whenFull: false) ?? End(ControlText.EndBySpeed);
            }
            else if (disposing)
            {
                _ = ended ?? Write(whenFull: false);   // of a run that never began
                return;
            }
            else
            {
                ended ??= Write(whenFull: false);
                Thread.Sleep(Pause);
            }
        }
    }

    private void Tell(in RingEntry entry, ReadOnlySpan<byte> octets)
    {
        if (entry.Kind != RingKind.Event)
        {
            _last = entry.Time;
        }

        switch (entry.Kind)
        {
            case RingKind.Start:
                _writer.Begin(_tap, Encoding.UTF8.GetString(octets), entry.Time);
                break;
            case RingKind.Control:
                _writer.Control(Encoding.UTF8.GetString(octets), entry.Time);
                break;
            case RingKind.Arrival:
                var facts = new FrameFacts(entry.Info.PartialChecksum, entry.SegmentationType, entry.SegmentSize, entry.Info.Tag);
                _writer.Arrival(entry.Place, octets, entry.Inbound, facts, entry.Time);
                break;
            case RingKind.Verdict:
                _writer.Said(entry.Place, octets, entry.Verdict, FateOf(entry.Fate));
                break;
            case RingKind.Output:
                _writer.Output(entry.Output, octets, FateOf(entry.Fate));
                break;
            case RingKind.Event:
                _writer.Event(MemoryMarshal.Read<EngineEvent>(octets));
                break;
            default:
                break;
        }
    }

    private string Stop()
    {
        _writer.EndStep();
        return Write(whenFull: false) ?? End(ControlText.EndOfRun);
    }

    private static RecordedFate FateOf(FrameFate fate) => fate switch
    {
        FrameFate.Loop => RecordedFate.Loop,
        FrameFate.LinkScope => RecordedFate.LinkScope,
        FrameFate.WriteFailed => RecordedFate.Refused,
        _ => RecordedFate.Written,
    };

    // Returns why the recording has ended, or null.
    private string? Write(bool whenFull)
    {
        if (_writer.Ready.IsEmpty || (whenFull && _writer.Ready.Length < LargestWrite))
        {
            return null;
        }

        string? why = _file.TryWrite(_writer.Ready.Span, _writer.StepEnds);
        _writer.Clear();
        return why is null ? null : End(why);
    }

    private string End(string why)
    {
        if (why != ControlText.EndOfRun)
        {
            _writer.Abandon();
        }

        _writer.End(why, _last);
        bool said = _file.TryEnd(_writer.Ready.Span);
        _writer.Clear();
        string? sentence = why switch
        {
            ControlText.EndOfRun when said => null,
            ControlText.EndByLimit => $"has reached its limit of {ScenarioText.Size(_options.Limit)} and ends here, whole",
            ControlText.EndBySpeed => "could not be written as fast as frames came and ends here, whole",
            _ => "could not be written and ends here; the disk may be full",
        };
        if (sentence is not null)
        {
            _say($"The recording {_options.File} {sentence}; packets go on.");
        }

        return why;
    }
}
