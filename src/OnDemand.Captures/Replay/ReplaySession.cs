using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
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
    private readonly DataplaneOptions _sizes;
    private readonly DataplaneEngine _engine;
    private readonly ReplaySchedule _schedule;
    private readonly FlowLedger _ledger;
    private readonly OrderedOutput _network;
    private readonly OrderedOutput? _host;
    private readonly LinkTemplates _templates = new();
    private readonly UnsentFlows _unsent = new();
    private readonly List<string> _explained = [];
    private readonly byte[] _output;
    private byte[] _frame = new byte[1 << 16];
    private byte[] _copy = new byte[1 << 16];
    private Timestamp _now;
    private Timestamp _stamp;   // the packet's own time, which may lie before _now
    private int _section;

    public ReplaySession(
        Scenario scenario, ReplayOptions options, Timestamp start, OrderedOutput network, OrderedOutput? host, Action<FlowRecord, Timestamp?>? translated)
    {
        _scenario = scenario;
        _options = options;
        _network = network;
        _host = host;
        _now = start;
        scenario.CheckOrder(start);
        _sizes = scenario.BuildOptions() with { MaximumEvents = MostEvents, MaximumReplies = MostReplies };
        _engine = new DataplaneEngine(_sizes, start);
        _output = new byte[_engine.MaximumOutputLength];
        _schedule = new ReplaySchedule(scenario, start);
        _ledger = new FlowLedger(start, options.TellsOfFlows ? ReplayRun.MostReportedFlows : 0, density: options.Timeline is not null, translated);
        _outside = options.TakenOutside ? new OutsideView(scenario, _engine) : null;
    }

    public ReplayCounts Counts { get; } = new();

    public FlowLedger Ledger => _ledger;

    public Counters Engine => _engine.Counters;

    /// <summary>When the last packet was written that had waited or that the engine made.</summary>
    public Timestamp LastOutput { get; private set; }

    /// <summary>The latest time of a packet.</summary>
    public Timestamp LastPacket { get; private set; }

    /// <summary>A packet's time, as the engine can use it; null for a Simple Packet Block, which has none.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Timestamp? TimeOf(in CaptureRecord record) =>
        record.HasTimestamp ? new Timestamp(Math.Clamp(record.Timestamp, 0, LatestTime)) : null;

    /// <summary>Takes the next packet of the capture.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Packet(in CaptureRecord record)
    {
        Timestamp time = TimeOf(record) ?? _now;
        LastPacket = record.HasTimestamp && time > LastPacket ? time : LastPacket;
        RunUntil(time);
        _stamp = time;
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

        Drain();
    }

    /// <summary>Takes a record that is no packet.</summary>
    public void Other(in CaptureRecord record)
    {
        if (record.Kind == CaptureRecordKind.Header)
        {
            // Interfaces are numbered anew in a section; what waited for longer has no place in it.
            _section++;
            _templates.Forget();
        }

        _network.Write(record, default, null, null);
        _host?.Write(record, default, null, null);
    }

    /// <summary>The capture is over: answers that are still under way arrive, and what waits for nothing is let go.</summary>
    public void Finish()
    {
        if (_held.Count > 0)
        {
            RunUntil(_now.Add(LongestHold), onlyAnswers: true);
        }

        _schedule.KeepAnswers();
        while (_schedule.Next != Timestamp.Never)
        {
            RunUntil(_schedule.Next, onlyAnswers: true);
        }

        while (_pending.First is { } first)
        {
            _pending.RemoveFirst();
            LetGo(first.Value);
        }

        _network.Finish();
        _host?.Finish();
        _ledger.Finish();
    }

    private bool IsFromHost(IpAddress source) =>
        _engine.IsInternalAddress(source) || _engine.IsTypedAddress(source) || (_outside?.TryGetInternal(source, out _) ?? false);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Verify(ReadOnlySpan<byte> captured, ReadOnlySpan<byte> came, int offset)
    {
        Counts.Verified++;
        if (!PartialChecksums.AreSame(captured, came, offset))
        {
            Counts.Violation($"packet {Counts.PacketsRead}: it did not come back from the engine as it was captured");
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
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
            flow.Claim(_stamp);
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
