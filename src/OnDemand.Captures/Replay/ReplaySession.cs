using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

// Theory of operation. The capture and the scenario are merged by time into one engine. Before a packet, everything that is due by its
// time happens: the network's acts, programs' requests, the network's answers, the engine's own deadlines, in that order of time. Then
// the packet goes through:
//
//   taken inside    from an internal address:  engine, outbound -> OUT
//                   to an internal address:    the typed address that the remote would have used is put in -> OUT,
//                                              then engine, inbound -> must be the captured packet again
//   taken outside   to a typed address:        engine, inbound -> OUT
//                   from a typed address:      the internal address is put in -> OUT,
//                                              then engine, outbound -> must be the captured packet again
//
// Everything else stays as it is. The engine's time never goes back, even where the capture's does.

/// <summary>One capture on its way through one engine.</summary>
internal sealed partial class ReplaySession
{
    // The year 2223: later ones, which only a broken clock writes, count as this one, so that lifetimes can still be added.
    private const long LatestTime = 8_000_000_000L * Timestamp.NanosecondsPerSecond;
    private const int MostEvents = 1 << 14;
    private const int MostReplies = 1 << 10;

    private readonly Scenario _scenario;
    private readonly ReplayOptions _options;
    private readonly DataplaneEngine _engine;
    private readonly ReplaySchedule _schedule;
    private readonly FlowLedger _ledger;
    private readonly OrderedOutput _network;
    private readonly OrderedOutput? _host;
    private readonly LinkTemplates _templates = new();
    private readonly List<string> _explained = [];
    private readonly byte[] _output;
    private byte[] _frame = new byte[1 << 16];
    private byte[] _copy = new byte[1 << 16];
    private Timestamp _now;

    public ReplaySession(
        Scenario scenario, ReplayOptions options, Timestamp start, OrderedOutput network, OrderedOutput? host, Action<FlowRecord, Timestamp?>? translated)
    {
        _scenario = scenario;
        _options = options;
        _network = network;
        _host = host;
        _now = start;
        scenario.CheckOrder(start);
        DataplaneOptions sizes = scenario.BuildOptions() with { MaximumEvents = MostEvents, MaximumReplies = MostReplies };
        _fragmentTimeout = sizes.FragmentTimeout;
        _engine = new DataplaneEngine(sizes, start);
        _output = new byte[_engine.MaximumOutputLength];
        _schedule = new ReplaySchedule(scenario, start);
        _ledger = new FlowLedger(start, ReplayRun.MostReportedFlows, density: options.Timeline is not null, translated);
        _outside = options.TakenOutside ? new OutsideView(scenario, _engine) : null;
    }

    public ReplayCounts Counts { get; } = new();

    public FlowLedger Ledger => _ledger;

    public Counters Engine => _engine.Counters;

    /// <summary>The latest time that was reached.</summary>
    public Timestamp Now => _now;

    /// <summary>A packet's time, as the engine can use it; null for a Simple Packet Block, which has none.</summary>
    public static Timestamp? TimeOf(in CaptureRecord record) =>
        record.HasTimestamp ? new Timestamp(Math.Clamp(record.Timestamp, 0, LatestTime)) : null;

    /// <summary>Takes the next packet of the capture.</summary>
    public void Packet(in CaptureRecord record)
    {
        Timestamp time = TimeOf(record) ?? _now;
        RunUntil(time);
        _now = time > _now ? time : _now;
        Counts.PacketsRead++;
        Counts.OctetsRead += record.CapturedLength;
        if (!LinkLayer.TryFindIpv6(record.LinkType, record.Data, out int offset) || record.CapturedLength - offset < FrameParser.HeaderLength)
        {
            PassUntouched(record, LinkTypes.IsKnown(record.LinkType) ? "not-ipv6" : "other-link-type");
            return;
        }

        if (_frame.Length < record.CapturedLength)
        {
            _frame = new byte[record.CapturedLength];
            _copy = new byte[record.CapturedLength];
        }

        Span<byte> frame = _frame.AsSpan(0, record.CapturedLength);
        record.Data.CopyTo(frame);
        _explained.Clear();
        _templates.Remember(record, offset, IsFromHost(IpAddress.Read(frame[(offset + 8)..])));
        if (_outside is not null)
        {
            PacketOutside(record, frame, offset);
        }
        else
        {
            PacketInside(record, frame, offset);
        }
    }

    /// <summary>Takes a record that is no packet.</summary>
    public void Other(in CaptureRecord record)
    {
        _network.Write(record, default, null, null);
        _host?.Write(record, default, null, null);
    }

    /// <summary>The capture is over: answers that are still under way arrive, and what waits for nothing is let go.</summary>
    public void Finish()
    {
        if (_held.Count > 0 || _pending.Count > 0)
        {
            RunUntil(_now.Add(new Duration(3 * _fragmentTimeout.Nanoseconds)), onlyAnswers: true);
        }

        _schedule.KeepAnswers();
        while (_schedule.Next != Timestamp.Never)
        {
            RunUntil(_schedule.Next, onlyAnswers: true);
        }

        foreach (PendingFragment fragment in _pending)
        {
            LetGo(fragment);
        }

        _pending.Clear();
        _network.Finish();
        _host?.Finish();
        _ledger.Finish();
    }

    private bool IsFromHost(IpAddress source) =>
        _engine.IsInternalAddress(source) || _engine.IsTypedAddress(source) || (_outside?.TryGetInternal(source, out _) ?? false);

    private void PacketInside(in CaptureRecord record, Span<byte> frame, int offset)
    {
        IpAddress source = IpAddress.Read(frame[(offset + 8)..]);
        IpAddress destination = IpAddress.Read(frame[(offset + 24)..]);
        if (_engine.IsInternalAddress(source))
        {
            Outbound(record, frame, offset);
        }
        else if (_engine.IsInternalAddress(destination))
        {
            InboundInside(record, frame, offset);
        }
        else if (_engine.IsTypedAddress(source))
        {
            Outbound(record, frame, offset);
        }
        else
        {
            InboundAsIs(record, frame, offset);
        }
    }

    // From the host: through the engine and out.
    private void Outbound(in CaptureRecord record, Span<byte> frame, int offset)
    {
        FrameInfo info = InfoOf(frame, offset);
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        _ledger.SetHeaderDestination(layout.Has(FrameMarks.SegmentsLeft) ? IpAddress.Read(frame[(offset + 24)..]) : null);
        Verdict verdict = _engine.HandleOutbound(frame, info, _now);
        DrainEvents();
        _host?.Write(record, default, null, null);
        Account(verdict, outbound: true, layout, offset);
        switch (verdict.Kind)
        {
            case VerdictKind.Forward when verdict.Forward == ForwardReason.Hairpin:
                _host?.Write(record, frame, null, Comment(verdict));
                break;
            case VerdictKind.Forward:
                _network.Write(record, frame, null, Comment(verdict));
                break;
            case VerdictKind.Hold:
                KeepForLater(record, info.Tag, verdict, outbound: true);
                break;
            default:
                break;
        }

        Drain();
    }

    // To the host, as the capture inside shows it: as the remote would have sent it, and through the engine.
    private void InboundInside(in CaptureRecord record, Span<byte> frame, int offset)
    {
        FrameInfo info = InfoOf(frame, offset);
        RemoteView view = _engine.ViewAsRemote(frame, info, _now, out IpAddress external);
        DrainEvents();
        switch (view)
        {
            case RemoteView.NoAddress:
                Counts.Drop("no-typed-address");
                Drain();
                return;
            case RemoteView.LaterFragment when !TryFollowFirst(frame, offset):
                KeepFragment(record, frame, offset);
                return;
            case RemoteView.Rewritten:
                RememberFirst(frame, offset, record.Data, external);
                break;
            default:
                break;
        }

        DeliverChecked(record, frame, info, null);
        ReleaseFragments(frame, offset, record.Data);
    }

    // What OUT shows is in the frame; the engine must make the captured packet of it again.
    private void DeliverChecked(in CaptureRecord record, ReadOnlySpan<byte> frame, in FrameInfo info, object? place)
    {
        Span<byte> copy = _copy.AsSpan(0, frame.Length);
        frame.CopyTo(copy);
        FrameParser.Parse(copy, info.NetworkOffset, out FrameLayout layout);
        Verdict verdict = _engine.HandleInbound(copy, info, _now);
        DrainEvents();
        Account(verdict, outbound: false, layout, info.NetworkOffset);
        if (verdict.Kind == VerdictKind.Hold)
        {
            KeepForLater(record, info.Tag, verdict, outbound: false, frame);
        }
        else if (verdict.Kind == VerdictKind.Forward)
        {
            Verify(record.Data, copy, info.NetworkOffset);
            WriteAt(place, record, frame, Comment(verdict));
            _host?.Write(record, copy, null, null);
            Drain();
            return;
        }

        if (place is not null)
        {
            _ = _network.Fill(place, default, null);
        }

        Drain();
    }

    private void WriteAt(object? place, in CaptureRecord record, ReadOnlySpan<byte> frame, string? comment)
    {
        if (place is null || !_network.Fill(place, frame, comment))
        {
            _network.Write(record, frame, place is null ? null : _now.Nanoseconds, comment);
        }
    }

    private void InboundAsIs(in CaptureRecord record, Span<byte> frame, int offset)
    {
        FrameInfo info = InfoOf(frame, offset);
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        record.Data.CopyTo(_copy);
        Verdict verdict = _engine.HandleInbound(frame, info, _now);
        DrainEvents();
        Account(verdict, outbound: false, layout, offset);
        if (verdict.Kind == VerdictKind.Forward)
        {
            _network.Write(record, _copy.AsSpan(0, frame.Length), null, Comment(verdict));
            _host?.Write(record, frame, null, null);
        }

        Drain();
    }

    private void Verify(ReadOnlySpan<byte> captured, ReadOnlySpan<byte> came, int offset)
    {
        Counts.Verified++;
        if (!PartialChecksums.AreSame(captured, came, offset))
        {
            Counts.Violation($"packet {Counts.PacketsRead}: it did not come back from the engine as it was captured");
        }
    }

    private FrameInfo InfoOf(ReadOnlySpan<byte> frame, int offset) =>
        new(offset, PartialChecksums.LooksPartial(frame, offset), Counts.PacketsRead);

    private void PassUntouched(in CaptureRecord record, string why)
    {
        Counts.Pass(why);
        _network.Write(record, default, null, null);
        _host?.Write(record, default, null, null);
    }

    private void Account(Verdict verdict, bool outbound, in FrameLayout layout, int offset)
    {
        Counts.Count(verdict);
        if (verdict.Flow >= 0 && _ledger.Find(verdict.Flow) is { } flow)
        {
            flow.Count(outbound, layout.PacketEnd - offset, _now, verdict.Kind is VerdictKind.Drop or VerdictKind.Reply);
        }
    }

    private string? Comment(Verdict verdict)
    {
        if (!_options.Explain)
        {
            return null;
        }

        if (verdict.Forward is not (ForwardReason.Rewritten or ForwardReason.Hairpin))
        {
            _explained.Add($"untouched: {Explanation.Name(verdict.Forward)}");
        }
        else if (_explained.Count == 0 && _ledger.Find(verdict.Flow) is { } flow)
        {
            _explained.Add($"flow {flow.Id}, {AddressTypes.ToName(flow.Type)} {flow.Address}");
        }

        return "ondemand: " + string.Join("; ", _explained);
    }
}
