using System.Globalization;
using System.Text;
using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Recording;

// Theory of operation. Records are gathered into steps. When the next step begins, the one before is done: its inputs go into a fresh
// engine through the same EngineDrive as in the live run, and everything is told to the same RecordingWriter, which makes the recording
// anew. What the shell did with frames that the engine gave out (written or not) is no business of the engine; it is taken from the
// recording. Then the old blocks of the step are compared with the new ones.

/// <summary>Replays one recording. Does no I/O: records go in, the octets of the new recording come out.</summary>
/// <param name="name">What to call the recording in errors.</param>
/// <param name="density">Whether a timeline is wanted.</param>
internal sealed class RecordingReplay(string name, bool density) : IEngineShell
{
    private readonly RecordedStep _step = new();
    private readonly RecordingComparison _comparison = new();
    private readonly Dictionary<string, ulong> _attachments = new(StringComparer.Ordinal);
    private DataplaneEngine? _engine;
    private EngineDrive? _drive;
    private RecordingWriter? _writer;
    private FlowLedger? _ledger;
    private byte[] _output = [];
    private string _tap = string.Empty;
    private long _records;
    private int _interfaces;
    private bool _isRecording;
    private bool _hasSteps;
    private bool _hasBegun;          // the engine has had a step
    private bool _hasRestored;
    private int _told;               // octets of what is ready that were compared

    /// <summary>What was counted of the frames.</summary>
    public ReplayCounts Counts { get; } = new();

    /// <summary>The recording's configuration; null until its first control record was read.</summary>
    public Scenario? Scenario { get; private set; }

    /// <summary>Frames that went towards the network.</summary>
    public long ToNetwork { get; private set; }

    /// <summary>Frames that went towards the host.</summary>
    public long ToHost { get; private set; }

    /// <summary>The time of the first record.</summary>
    public Timestamp From { get; private set; }

    /// <summary>The time of the last record.</summary>
    public Timestamp To { get; private set; }

    /// <summary>Whether the recording has its end, so that nothing is missing.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Octets of the new recording that are ready; empty before it began.</summary>
    public ReadOnlyMemory<byte> Ready => _writer?.Ready ?? default;

    /// <summary>Forgets what is ready.</summary>
    public void Clear()
    {
        _writer?.Clear();
        _told = 0;
    }

    /// <summary>Takes the next record of the recording.</summary>
    /// <param name="record">The record.</param>
    /// <exception cref="ScenarioException">It is not understood.</exception>
    public void Take(in CaptureRecord record)
    {
        _records++;
        switch (record.Kind)
        {
            case CaptureRecordKind.Header when _records == 1 && record.Format == CaptureFormat.PcapNg && !record.IsBigEndian:
            case CaptureRecordKind.Other when _isRecording:
                break;
            case CaptureRecordKind.Interface when !_hasSteps && !_isRecording:
                TakeInterface(record);
                break;
            case CaptureRecordKind.Packet when _isRecording && !HasEnded:
                TakePacket(record);
                break;
            default:
                throw Wrong(_isRecording ? "does not belong into a recording" : "is not the beginning of a recording");
        }

        _comparison.Expect(record.Octets);
    }

    /// <summary>The recording is over. Unless it has its end, its last step may be cut, and is done but not compared.</summary>
    public void Finish()
    {
        Perform(isLast: true);
        Counts.Verified = _comparison.Compared;
        if (_comparison.Difference is { } difference)
        {
            Counts.Violation(difference);
        }

        _ledger?.Finish();
    }

    /// <summary>Completes a report.</summary>
    /// <param name="report">The report with its names.</param>
    /// <returns>The whole report.</returns>
    public ReplayReport Complete(ReplayReport report) => _engine is null || _ledger is null
        ? report
        : ReplayFindings.Add(
            report with { From = From, To = To, Seed = Scenario!.Seed }, Counts, _ledger, _engine.Counters, ToNetwork, ToHost,
            ReplayRun.MostReportedFlows);

    /// <inheritdoc/>
    bool IEngineShell.TakeOutput(Timestamp now)
    {
        Span<byte> room = _output.AsSpan(EthernetFrame.HeaderLength);
        if (!_engine!.TryTakeOutput(room, now, out OutputFrame info, out int length))
        {
            return false;
        }

        bool released = info.Kind == OutputKind.Released;
        Span<byte> frame = released ? room[..length] : _output.AsSpan(0, EthernetFrame.HeaderLength + length);
        if (released)
        {
            Counts.Release(untouched: false);
        }
        else
        {
            frame[12] = 0x86;
            frame[13] = 0xdd;
            Counts.Replies++;
        }

        _writer!.Output(info, frame, _step.TakeOutputFate());
        CountGiven(info.Direction == OutputDirection.Host);
        _ledger!.Find(info.Flow)?.Count(
            info.Direction == OutputDirection.Network, length - info.NetworkOffset, now, dropped: !released);
        return true;
    }

    /// <inheritdoc/>
    void IEngineShell.Follow(in EngineEvent happened)
    {
        _writer!.Event(happened);
        _ledger!.Enter(happened);
    }

    /// <inheritdoc/>
    void IEngineShell.Ask(in PrefixRequest question, Timestamp now)
    {
        // Its answer, if there was one, is a step of the recording.
    }

    /// <inheritdoc/>
    void IEngineShell.Ask(in SocketQuestion question, Timestamp now)
    {
        // So is this one's.
    }

    /// <inheritdoc/>
    void IEngineShell.Reply(in SetscReply reply)
    {
        // The program that asked is gone; what it got shows in its flows.
    }

    private void TakeInterface(in CaptureRecord record)
    {
        string description = RecordingBlocks.ReadDescription(record.Octets, out string interfaceName);
        ushort expected = _interfaces == RecordingFormat.Control ? RecordingFormat.ControlLinkType : LinkType.Ethernet;
        if (record.LinkType != expected)
        {
            throw Wrong("is not the beginning of a recording");
        }

        if (_interfaces == 0)
        {
            int end = interfaceName.IndexOf(' ', StringComparison.Ordinal);
            _tap = end < 0 ? interfaceName : interfaceName[..end];
        }

        if (++_interfaces == RecordingFormat.Interfaces)
        {
            _isRecording = description == RecordingFormat.Description
                ? true : throw Wrong($"says '{description}' instead of '{RecordingFormat.Description}'");
        }
    }

    private void TakePacket(in CaptureRecord record)
    {
        RecordingBlocks.ReadOptions(record, out FrameDirection direction, out string comment);
        bool isOwn = comment.StartsWith(RecordingFormat.CommentPrefix, StringComparison.Ordinal);
        if (record.InterfaceIndex == RecordingFormat.Control)
        {
            BeginStep(record);
            _step.BeginControl(record, _records);
            return;
        }

        if (!_hasSteps || !isOwn || direction == FrameDirection.None)
        {
            throw Wrong(_hasSteps ? "is a frame without the recorder's comment and direction" : "comes before the configuration");
        }

        bool isInput = (record.InterfaceIndex == RecordingFormat.HostSide) == (direction == FrameDirection.Outbound);
        if (!isInput)
        {
            string head = comment[RecordingFormat.CommentPrefix.Length..].Split("; ")[0];
            bool ofBatch = head.StartsWith("out ", StringComparison.Ordinal)
                & int.TryParse(head.AsSpan(Math.Min(4, head.Length)), NumberStyles.None, CultureInfo.InvariantCulture, out int of);
            _step.AddFate(ofBatch ? of : -1, FateText.Read(comment));
            return;
        }

        if (!FrameFacts.TryRead(comment, out int place, out FrameFacts facts))
        {
            throw Wrong("is a frame whose comment is not understood");
        }

        if (place == 0)
        {
            BeginStep(record);
        }

        if (!_step.TryAddFrame(record, _records, place, facts))
        {
            throw Wrong("is no frame of IPv6, or out of place in its batch");
        }
    }

    private void BeginStep(in CaptureRecord record)
    {
        Perform(isLast: false);
        if (HasEnded)
        {
            throw Wrong("comes after the recording's end");
        }

        if (_hasSteps && record.Timestamp < To.Nanoseconds)
        {
            throw Wrong("is older than the one before, and time never goes back in a recording");
        }

        From = _hasSteps ? From : new Timestamp(record.Timestamp);
        To = new Timestamp(record.Timestamp);
        _hasSteps = true;
    }

    private void Perform(bool isLast)
    {
        if (!_step.IsThere)
        {
            return;
        }

        if (_engine is null)
        {
            Begin();
        }
        else if (_step.Count > 0)
        {
            _hasBegun = true;
            PerformBatch();
        }
        else
        {
            PerformControl();
        }

        _drive!.Settle();
        _writer!.EndStep();
        _comparison.Make(_writer.Ready.Span[_told..]);
        _told = _writer.Ready.Length;
        _step.Clear();
        if (!isLast || HasEnded)
        {
            _comparison.Compare();
        }
    }

    private void Begin()
    {
        RecordingHead head = RecordingHead.Read(NameOf(_step.Record), _step.Control);
        Scenario = head.Scenario;
        _writer = new RecordingWriter(head.LinkAddresses.Span);
        _engine = new DataplaneEngine(head.Options, _step.Time);
        _drive = new EngineDrive(_engine, this);
        _ledger = new FlowLedger(_step.Time, ReplayRun.MostReportedFlows, density, translated: null);
        _output = new byte[EthernetFrame.HeaderLength + _engine.MaximumOutputLength];
        _writer.Begin(_tap, Encoding.UTF8.GetString(_step.Control), _step.Time);
    }

    private void PerformBatch()
    {
        byte[] frames = _step.CopyFrames();
        Span<FrameSlot> slots = _step.Slots;
        for (int place = 0; place < slots.Length; place++)
        {
            ref readonly FrameSlot slot = ref slots[place];
            _writer!.Arrival(place, frames.AsSpan(slot.Offset, slot.Length), slot.Inbound, _step.FactsOf(place), _step.Time);
            Counts.PacketsRead++;
            Counts.OctetsRead += slot.Length;
        }

        _drive!.HandleBatch(frames, slots, _step.Time);
        for (int place = 0; place < slots.Length; place++)
        {
            ref readonly FrameSlot slot = ref slots[place];
            Counts.Count(slot.Verdict);
            _writer!.Said(place, frames.AsSpan(slot.Offset, slot.Length), slot.Verdict, _step.FateOf(place));
            if (slot.Verdict.Kind == VerdictKind.Forward)
            {
                CountGiven(slot.Inbound || slot.Verdict.Forward == ForwardReason.Hairpin);
            }
        }

        _drive.Settle();
        foreach (ref readonly FrameSlot slot in slots)
        {
            _ledger!.Find(slot.Verdict.Flow)?.Count(
                !slot.Inbound, slot.Length - slot.Info.NetworkOffset, _step.Time, slot.Verdict.Kind is VerdictKind.Drop or VerdictKind.Reply);
        }
    }

    private void PerformControl()
    {
        ControlRecord control = ControlReader.Read(NameOf(_step.Record), _step.Control);
        bool restores = control.Restore is not null && !control.RestoreEnds;
        Timestamp now = _step.Time;
        _writer!.Control(Encoding.UTF8.GetString(_step.Control), now);
        if (control.Network is { } happens)
        {
            _ledger!.Moves.Begin(happens, now);
            Perform(happens, now);
        }
        else if (control.Answer is { } answer)
        {
            _drive!.Answer(answer, now);
        }
        else if (control.Request is { } request)
        {
            if (control.Closes)
            {
                _drive!.CloseSocket(request.Protocol, request.Internal, request.LocalPort, now);
            }
            else
            {
                _drive!.Handle(request, now);
            }
        }
        else if (control.Socket is { } socket)
        {
            _drive!.Answer(socket, now);
        }
        else if (control.Sockets is { } sockets)
        {
            sockets(_drive!, now);
        }
        else if (control.Policy is { } policy)
        {
            _drive!.SetPolicy(policy.Build(), now);
        }
        else if (control.Restore is { } restore)
        {
            Restore(control, restore, now);
        }
        else if (control.End is not null)
        {
            HasEnded = true;
        }
        else
        {
            _drive!.Advance(now);
        }

        _hasBegun |= !restores;
    }

    // Its parts are one step: nothing is taken from the engine in between.
    private void Restore(in ControlRecord control, Action<DataplaneEngine, Timestamp> restore, Timestamp now)
    {
        bool isFirst = !_hasRestored;
        _hasRestored = true;
        if (_hasBegun || control.IsRestoredAttachment != isFirst)
        {
            throw new ScenarioException($"{NameOf(_step.Record)} is out of place among the parts that are restored.");
        }

        if (control.RestoredName is { } known)
        {
            _attachments.TryAdd(known, 0);
        }

        if (control.RestoreEnds)
        {
            _ = _drive!.Restore(
                engine =>
                {
                    restore(engine, now);
                    return true;
                },
                now);
        }
        else
        {
            restore(_engine!, now);
        }
    }

    private void Perform(NetworkEvent happens, Timestamp now)
    {
        switch (happens)
        {
            case AttachEvent attach:
                if (!_attachments.TryGetValue(attach.Name, out ulong number))
                {
                    number = (ulong)_attachments.Count;
                    _attachments.Add(attach.Name, number);
                }

                _drive!.Attach(number, [.. attach.Prefixes], attach.Window, now);
                break;
            case WithdrawEvent withdraw:
                _ = _drive!.Withdraw(withdraw.Prefix, withdraw.Window ?? Duration.Zero, now);
                break;
            case AdvertiseEvent advertise:
                _drive!.Advertise([.. advertise.Prefixes], advertise.Authenticated, now);
                break;
            default:
                _drive!.Detach(now);
                break;
        }
    }

    private void CountGiven(bool toHost)
    {
        ToHost += toHost ? 1 : 0;
        ToNetwork += toHost ? 0 : 1;
    }

    private string NameOf(long record) => string.Create(CultureInfo.InvariantCulture, $"{name}, record {record}");

    private ScenarioException Wrong(string what) => new($"{NameOf(_records)} {what}.");
}
