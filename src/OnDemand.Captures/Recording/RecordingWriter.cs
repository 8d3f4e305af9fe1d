using System.Buffers;
using System.Globalization;
using System.Text;
using OnDemand.Captures.Link;
using OnDemand.Captures.Replay;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;

namespace OnDemand.Captures.Recording;

// Theory of operation. The live recorder and the replay tell the same story here: what went into the engine and what came out, step by
// step. A step is written whole when the next one begins, because its explanations come last, and because a recording that has to end
// early ends between two steps. Within a step: the control record, or each frame of the batch with what became of it right behind; then
// the outputs. Frames that go out bear the TAP's Ethernet addresses whichever the shell gave them: they are the shell's, not the engine's.

/// <summary>Makes the octets of a recording. Does no I/O: the caller takes what is <see cref="Ready"/>.</summary>
internal sealed class RecordingWriter
{
    private const int LongestControlComment = 4096;

    private readonly ArrayBufferWriter<byte> _ready = new(1 << 16);
    private readonly ArrayBufferWriter<byte> _step = new(1 << 16);
    private readonly List<int> _stepEnds = [];
    private readonly RecordingBlocks _blocks;
    private readonly RecordingWords _words = new();
    private readonly List<EngineEvent> _events = [];
    private readonly BatchFrame[] _batch = new BatchFrame[RecordingFormat.LargestBatch];
    private readonly ArrayBufferWriter<byte> _frames = new(1 << 16);
    private readonly StringBuilder _comment = new();
    private readonly byte[] _linkAddresses;
    private Under _under;
    private int _count;
    private string _control = string.Empty;
    private OutputFrame _output;
    private RecordedFate _outputFate;
    private Timestamp _time;

    /// <summary>Makes a writer.</summary>
    /// <param name="linkAddresses">The twelve octets of Ethernet addresses of frames that go out.</param>
    public RecordingWriter(ReadOnlySpan<byte> linkAddresses)
    {
        _linkAddresses = linkAddresses.ToArray();
        _blocks = new RecordingBlocks(_step);
    }

    // What the events at hand belong to.
    private enum Under : byte
    {
        Nothing,
        Control,
        Batch,
        Output,
    }

    /// <summary>Whole blocks of whole steps.</summary>
    public ReadOnlyMemory<byte> Ready => _ready.WrittenMemory;

    /// <summary>Where each step ends in what is ready.</summary>
    public IReadOnlyList<int> StepEnds => _stepEnds;

    /// <summary>Forgets what is ready.</summary>
    public void Clear()
    {
        _ready.ResetWrittenCount();
        _stepEnds.Clear();
    }

    /// <summary>Begins a recording.</summary>
    /// <param name="tap">The TAP's name.</param>
    /// <param name="head">The first control record, see <see cref="RecordingHead"/>.</param>
    /// <param name="now">The time that the engine was made with.</param>
    public void Begin(string tap, string head, Timestamp now)
    {
        _blocks.Section("OnDemand.Dataplane");
        _blocks.Interface(LinkType.Ethernet, $"{tap} host side", "between the host's stack and the dataplane");
        _blocks.Interface(LinkType.Ethernet, $"{tap} network side", "between the dataplane and the network");
        _blocks.Interface(RecordingFormat.ControlLinkType, "control", RecordingFormat.Description);
        _under = Under.Control;
        _control = head;
        _time = now;
    }

    /// <summary>A step that is no batch begins.</summary>
    /// <param name="text">Its record, see <see cref="ControlText"/>.</param>
    /// <param name="now">Its time.</param>
    public void Control(string text, Timestamp now)
    {
        EndStep();
        _under = Under.Control;
        _control = text;
        _time = now;
    }

    /// <summary>A frame goes into the engine; the first one of a batch begins a step.</summary>
    /// <param name="place">Its place in the batch.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="inbound">Whether it comes from the network.</param>
    /// <param name="facts">What the kernel said of it.</param>
    /// <param name="now">The batch's time.</param>
    public void Arrival(int place, ReadOnlySpan<byte> frame, bool inbound, in FrameFacts facts, Timestamp now)
    {
        if (place == 0)
        {
            EndStep();
            _under = Under.Batch;
            _time = now;
        }

        _batch[place] = new BatchFrame { At = _frames.WrittenCount, Length = frame.Length, Inbound = inbound, Facts = facts };
        _frames.Write(frame);
        _count = place + 1;
    }

    /// <summary>The engine has spoken about a frame of the batch.</summary>
    /// <param name="place">Its place.</param>
    /// <param name="frame">The frame as it is now.</param>
    /// <param name="verdict">The engine's word.</param>
    /// <param name="fate">What became of it, if it was sent on.</param>
    public void Said(int place, ReadOnlySpan<byte> frame, Verdict verdict, RecordedFate fate)
    {
        ref BatchFrame about = ref _batch[place];
        about.Verdict = verdict;
        about.Fate = fate;
        if (verdict.Kind == VerdictKind.Forward)
        {
            about.SentAt = _frames.WrittenCount;
            about.SentLength = frame.Length;
            _frames.Write(frame);
        }
    }

    /// <summary>The engine gave out a frame.</summary>
    /// <param name="info">What it is.</param>
    /// <param name="frame">The frame with its link header.</param>
    /// <param name="fate">What became of it.</param>
    public void Output(in OutputFrame info, ReadOnlySpan<byte> frame, RecordedFate fate)
    {
        WriteUnder();
        _under = Under.Output;
        _output = info;
        _outputFate = fate;
        _frames.Write(frame);
    }

    /// <summary>Something happened in the engine because of what was told last.</summary>
    /// <param name="happened">What.</param>
    public void Event(in EngineEvent happened)
    {
        _words.Learn(happened);
        _events.Add(happened);
    }

    /// <summary>The recording ends here.</summary>
    /// <param name="why">In one word, see <see cref="ControlText.End"/>.</param>
    /// <param name="now">The time.</param>
    public void End(string why, Timestamp now)
    {
        Control(ControlText.End(why), now);
        EndStep();
    }

    /// <summary>The step under way is over: it is ready.</summary>
    public void EndStep()
    {
        WriteUnder();
        if (_step.WrittenCount > 0)
        {
            _ready.Write(_step.WrittenSpan);
            _stepEnds.Add(_ready.WrittenCount);
            _step.ResetWrittenCount();
        }
    }

    /// <summary>Forgets the step under way.</summary>
    public void Abandon()
    {
        _under = Under.Nothing;
        _events.Clear();
        _frames.ResetWrittenCount();
        _step.ResetWrittenCount();
    }

    private void WriteUnder()
    {
        switch (_under)
        {
            case Under.Control:
                WriteControl();
                break;
            case Under.Batch:
                WriteBatch();
                break;
            case Under.Output:
                WriteOutput();
                break;
            default:
                break;
        }

        _under = Under.Nothing;
        _events.Clear();
        _frames.ResetWrittenCount();
    }

    private void WriteControl()
    {
        string said = _control.Length <= LongestControlComment ? _control : string.Concat(_control.AsSpan(0, LongestControlComment - 1), "…");
        BeginComment(said);
        foreach (string part in RecordingWords.OfControl(_events))
        {
            Say(part);
        }

        _blocks.Packet(
            RecordingFormat.Control, FrameDirection.None, _time.Nanoseconds, Encoding.UTF8.GetBytes(_control), default, _comment.ToString());
    }

    private void WriteBatch()
    {
        foreach (EngineEvent happened in _events)
        {
            if (Explanation.Of(happened) is { } words && FindFrame(happened) is >= 0 and int place)
            {
                _batch[place].Words = _batch[place].Words is { } before ? $"{before}; {words}" : words;
            }
        }

        for (int place = 0; place < _count; place++)
        {
            ref readonly BatchFrame frame = ref _batch[place];
            bool goesOn = frame.Verdict.Kind == VerdictKind.Forward;
            _comment.Clear();
            frame.Facts.Write(_comment, place);
            if (!goesOn)
            {
                Say(RecordingWords.OfRefusal(frame.Verdict));
                Say(frame.Words);
            }

            _blocks.Packet(
                frame.Inbound ? RecordingFormat.NetworkSide : RecordingFormat.HostSide, frame.Inbound ? FrameDirection.Inbound : FrameDirection.Outbound,
                _time.Nanoseconds, _frames.WrittenSpan.Slice(frame.At, frame.Length), default, _comment.ToString());
            if (!goesOn)
            {
                continue;
            }

            BeginComment(string.Create(CultureInfo.InvariantCulture, $"out {place}"));
            SayFate(frame.Fate);
            Say(frame.Words ?? _words.OfForward(frame.Verdict));
            bool toHost = frame.Inbound || frame.Verdict.Forward == ForwardReason.Hairpin;
            WriteGiven(toHost, _frames.WrittenSpan.Slice(frame.SentAt, frame.SentLength));
        }

        _count = 0;
    }

    private void WriteOutput()
    {
        bool released = _output.Kind == OutputKind.Released;
        BeginComment(released ? "released" : $"made, {Explanation.Name(_output.Kind)} because of {Explanation.Name(_output.About)}");
        SayFate(_outputFate);
        bool explained = false;
        foreach (EngineEvent happened in _events)
        {
            if (happened.Flow == _output.Flow && happened.Flow >= 0 && Explanation.Of(happened) is { } words)
            {
                Say(words);
                explained = true;
            }
        }

        if (!explained)
        {
            Say(_words.OfFlow(_output.Flow));
        }

        WriteGiven(_output.Direction == OutputDirection.Host, _frames.WrittenSpan);
    }

    private void WriteGiven(bool toHost, ReadOnlySpan<byte> frame) => _blocks.Packet(
        toHost ? RecordingFormat.HostSide : RecordingFormat.NetworkSide, toHost ? FrameDirection.Inbound : FrameDirection.Outbound,
        _time.Nanoseconds, frame, _linkAddresses, _comment.ToString());

    // The frame that an event is about: what opens a flow is its first one here, what ends it the last.
    private int FindFrame(in EngineEvent happened)
    {
        bool isRefusal = happened.Kind == EngineEventKind.FlowRefused;
        int found = -1;
        for (int place = 0; place < _count; place++)
        {
            ref readonly BatchFrame frame = ref _batch[place];
            bool matches = isRefusal
                ? frame.Words is null && frame.Verdict.Kind is VerdictKind.Drop or VerdictKind.Reply && frame.Verdict.Drop == happened.Drop
                : happened.Flow >= 0 && frame.Verdict.Flow == happened.Flow;
            if (matches)
            {
                found = place;
                if (happened.Kind is not (EngineEventKind.FlowClosed or EngineEventKind.FlowStranded))
                {
                    break;
                }
            }
        }

        return found;
    }

    private void BeginComment(string text) => _comment.Clear().Append(RecordingFormat.CommentPrefix).Append(text);

    private void Say(string? part)
    {
        if (part is not null)
        {
            _comment.Append("; ").Append(part);
        }
    }

    private void SayFate(RecordedFate fate)
    {
        if (fate != RecordedFate.Written)
        {
            Say(FateText.Of(fate));
        }
    }

    private struct BatchFrame
    {
        public int At;
        public int Length;
        public int SentAt;
        public int SentLength;
        public bool Inbound;
        public FrameFacts Facts;
        public Verdict Verdict;
        public RecordedFate Fate;
        public string? Words;
    }
}
