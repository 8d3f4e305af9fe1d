using System.Buffers;
using OnDemand.Captures.Files;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Recording;

/// <summary>One step of a recording: what went into the engine, and what the shell then did with what came out.</summary>
internal sealed class RecordedStep
{
    private readonly ArrayBufferWriter<byte> _frames = new(1 << 16);
    private readonly FrameSlot[] _slots = new FrameSlot[RecordingFormat.LargestBatch];
    private readonly FrameFacts[] _facts = new FrameFacts[RecordingFormat.LargestBatch];
    private readonly RecordedFate[] _fates = new RecordedFate[RecordingFormat.LargestBatch];
    private readonly Queue<RecordedFate> _outputFates = new();
    private readonly ArrayBufferWriter<byte> _control = new();

    /// <summary>When it was.</summary>
    public Timestamp Time { get; private set; }

    /// <summary>Whether there is a step.</summary>
    public bool IsThere { get; private set; }

    /// <summary>Frames of its batch; 0 if it is no batch.</summary>
    public int Count { get; private set; }

    /// <summary>Its control record, if it is no batch.</summary>
    public ReadOnlySpan<byte> Control => _control.WrittenSpan;

    /// <summary>The number of its first record in the file.</summary>
    public long Record { get; private set; }

    /// <summary>The frames of its batch; the engine rewrites them.</summary>
    public Span<FrameSlot> Slots => _slots.AsSpan(0, Count);

    /// <summary>Begins a control record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="number">Its number in the file.</param>
    public void BeginControl(in CaptureRecord record, long number)
    {
        Begin(record, number);
        _control.Write(record.Data);
    }

    /// <summary>Begins a batch, or goes on with it.</summary>
    /// <param name="record">The next frame.</param>
    /// <param name="number">Its number in the file.</param>
    /// <param name="place">Its place in the batch.</param>
    /// <param name="facts">What the kernel said of it.</param>
    /// <returns>Whether it fits there.</returns>
    public bool TryAddFrame(in CaptureRecord record, long number, int place, in FrameFacts facts)
    {
        if (place == 0)
        {
            Begin(record, number);
        }

        if (place != Count || place >= _slots.Length || !IsThere || record.Timestamp != Time.Nanoseconds)
        {
            return false;
        }

        int network = EthernetFrame.FindIpv6(record.Data);
        _slots[place] = new FrameSlot
        {
            Offset = _frames.WrittenCount,
            Length = record.CapturedLength,
            Inbound = record.InterfaceIndex == RecordingFormat.NetworkSide,
            Info = new FrameInfo(network, facts.PartialChecksum, facts.Tag),
        };
        _facts[place] = facts;
        _fates[place] = RecordedFate.Written;
        _frames.Write(record.Data);
        Count = place + 1;
        return network >= 0 && record.CapturedLength >= network + FrameParser.HeaderLength;
    }

    /// <summary>Takes what became of a frame that the engine gave out.</summary>
    /// <param name="place">The frame's place in the batch; -1 for an output.</param>
    /// <param name="fate">What became of it.</param>
    public void AddFate(int place, RecordedFate fate)
    {
        if (place < 0)
        {
            _outputFates.Enqueue(fate);
        }
        else if (place < Count)
        {
            _fates[place] = fate;
        }
    }

    /// <summary>The frames' octets, in which the engine may write.</summary>
    /// <returns>A copy of its own.</returns>
    public byte[] CopyFrames() => _frames.WrittenSpan.ToArray();

    /// <summary>What the kernel said of a frame.</summary>
    /// <param name="place">The frame's place.</param>
    /// <returns>What it said.</returns>
    public ref readonly FrameFacts FactsOf(int place) => ref _facts[place];

    /// <summary>What became of a frame that was sent on.</summary>
    /// <param name="place">The frame's place.</param>
    /// <returns>What became of it.</returns>
    public RecordedFate FateOf(int place) => _fates[place];

    /// <summary>What became of the next output; an output that the recording does not have was written.</summary>
    /// <returns>What became of it.</returns>
    public RecordedFate TakeOutputFate() => _outputFates.TryDequeue(out RecordedFate fate) ? fate : RecordedFate.Written;

    /// <summary>Forgets the step.</summary>
    public void Clear()
    {
        IsThere = false;
        Count = 0;
        _frames.ResetWrittenCount();
        _control.ResetWrittenCount();
        _outputFates.Clear();
    }

    private void Begin(in CaptureRecord record, long number)
    {
        Clear();
        IsThere = true;
        Time = new Timestamp(record.Timestamp);
        Record = number;
    }
}
