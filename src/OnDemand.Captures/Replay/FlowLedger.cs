using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>
/// Keeps the book of a replay from the engine's events: flows, prefixes, windows, moves. Flows beyond the limit are counted and, where the
/// translations are wanted, still translated; they are only left out of the report.
/// </summary>
internal sealed class FlowLedger(Timestamp start, int mostFlows, bool density, Action<FlowRecord, Timestamp?>? translated)
{
    private readonly List<FlowRecord> _reported = [];
    private readonly Dictionary<FlowIdentity, FlowRecord> _refused = [];
    private readonly MoveBook _moves = new();
    private FlowRecord?[] _byNumber = new FlowRecord?[64];
    private long _opened;
    private long _refusedCount;
    private IpAddress? _headerDestination;

    public MoveBook Moves => _moves;

    /// <summary>Flows that were seen, refused ones included.</summary>
    public long Opened => _opened;

    public long Refused => _refusedCount;

    public long LeftOut => _opened - _reported.Count;

    /// <summary>Says that the packet at hand has another destination in its header than its flow's remote.</summary>
    public void SetHeaderDestination(IpAddress? destination) => _headerDestination = destination;

    /// <summary>Enters what happened.</summary>
    public void Enter(in EngineEvent happened)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.FlowOpened:
                Open(happened);
                break;
            case EngineEventKind.FlowWentOver when Find(happened.Flow) is { } flow:
                Translated(flow, happened.Time);
                flow.GoOver(happened);
                Attribute(flow, _moves.WentOver(happened.Previous));
                break;
            case EngineEventKind.FlowStranded when Find(happened.Flow) is { } flow:
                flow.Strand(happened.Time);
                Attribute(flow, _moves.Stranded(happened.Address));
                break;
            case EngineEventKind.FlowStranded:
                _ = _moves.Stranded(happened.Address);
                break;
            case EngineEventKind.FlowWentOver:
                _ = _moves.WentOver(happened.Previous);
                break;
            case EngineEventKind.FlowClosed when Find(happened.Flow) is { } flow:
                flow.Close(happened.Time);
                break;
            case EngineEventKind.FlowRemoved when Find(happened.Flow) is { } flow:
                Remove(happened, flow);
                break;
            case EngineEventKind.FlowRefused:
                Refuse(happened);
                break;
            default:
                _moves.Enter(happened);
                break;
        }
    }

    public FlowRecord? Find(int number) => (uint)number < (uint)_byNumber.Length ? _byNumber[number] : null;

    /// <summary>Enters what is still open at the end.</summary>
    public void Finish()
    {
        foreach (FlowRecord? flow in _byNumber)
        {
            if (flow is not null)
            {
                Translated(flow, null);
            }
        }
    }

    /// <summary>The flows of the report, each with the moves that it went through unchanged.</summary>
    public IReadOnlyList<ReportFlow> Flows(Timestamp end) => [.. _reported.Select(flow => flow.Build(end, _moves.KeptBy(flow)))];

    private void Open(in EngineEvent happened)
    {
        _opened++;
        bool report = _reported.Count < mostFlows;
        if (!report && translated is null)
        {
            Forget(happened.Flow);
            return;
        }

        var flow = new FlowRecord(_opened, happened) { Density = density && report ? new PacketDensity(start) : null, HeaderDestination = _headerDestination };
        flow.Note(happened.Time, FlowEventKind.Opened, null);
        if (report)
        {
            _reported.Add(flow);
        }

        if (happened.Flow >= _byNumber.Length)
        {
            Array.Resize(ref _byNumber, Math.Max(_byNumber.Length * 2, happened.Flow + 1));
        }

        _byNumber[happened.Flow] = flow;
    }

    private void Forget(int number)
    {
        if (number < _byNumber.Length)
        {
            _byNumber[number] = null;
        }
    }

    private void Remove(in EngineEvent happened, FlowRecord flow)
    {
        if (flow.ClosedAt is null && flow.StrandedAt is null && happened.Time > flow.Last)
        {
            flow.Note(happened.Time, FlowEventKind.Expired, null);
        }

        Translated(flow, happened.Time);
        Forget(happened.Flow);
    }

    private void Refuse(in EngineEvent happened)
    {
        _refusedCount++;
        if (_refused.TryGetValue(happened.Identity, out FlowRecord? flow))
        {
            flow.Count(outbound: true, 0, happened.Time, dropped: true);
            return;
        }

        // A flow that was there and could not go over is still that flow.
        FlowIdentity identity = happened.Identity;
        flow = _reported.FindLast(known => known.Identity == identity && known.StrandedAt is null && known.ClosedAt is null);
        if (flow is not null)
        {
            flow.Note(happened.Time, FlowEventKind.Refused, Explanation.Name(happened.Drop));
            flow.Count(outbound: true, 0, happened.Time, dropped: true);
            _refused.Add(identity, flow);
            return;
        }

        _opened++;
        if (_reported.Count < mostFlows)
        {
            flow = new FlowRecord(_opened, happened with { Address = default });
            flow.Note(happened.Time, FlowEventKind.Refused, Explanation.Name(happened.Drop));
            flow.Count(outbound: true, 0, happened.Time, dropped: true);
            _reported.Add(flow);
            _refused.Add(happened.Identity, flow);
        }
    }

    private void Translated(FlowRecord flow, Timestamp? until)
    {
        if (flow.Decision.Origin != DecisionOrigin.Native)
        {
            translated?.Invoke(flow, until);
        }
    }

    private static void Attribute(FlowRecord flow, int move)
    {
        if (move >= 0)
        {
            flow.ChangedBy.Add(move);
        }
    }
}
