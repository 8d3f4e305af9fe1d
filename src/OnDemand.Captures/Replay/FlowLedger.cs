using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>
/// Keeps the book of a replay from the engine's events: flows, prefixes, windows, moves. Flows beyond the limit are counted and, where the
/// translations are wanted, still translated; they are only left out of the report.
/// </summary>
internal sealed class FlowLedger(Timestamp start, int mostFlows, bool density, Action<FlowRecord, Timestamp?>? translated)
{
    private const int MostRefused = 1 << 16;

    private readonly List<FlowRecord> _reported = [];
    private readonly Dictionary<FlowIdentity, FlowRecord> _known = [];     // the reported ones, each with its latest record
    private readonly HashSet<FlowIdentity> _refused = [];
    private readonly string?[] _answers = new string?[AddressTypes.Count];   // why the network did not give a type, when it was last asked
    private readonly MoveBook _moves = new();
    private FlowRecord?[] _byNumber = new FlowRecord?[64];
    private long _opened;
    private IpAddress? _headerDestination;

    public MoveBook Moves => _moves;

    /// <summary>Flows that were seen, refused ones included.</summary>
    public long Opened => _opened;

    /// <summary>Flows that were refused an address, up to a limit; beyond it they are no longer told apart.</summary>
    public long Refused => _refused.Count;

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
                Timestamp until = Earlier(happened.Time, _moves.EndOf(flow.Address, flow.AddressSince));
                Translated(flow, until);
                flow.GoOver(happened, until);
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
            case EngineEventKind.FlowReopened when Find(happened.Flow) is { } flow:
                flow.Reopen();
                break;
            case EngineEventKind.FlowRemoved when Find(happened.Flow) is { } flow:
                Remove(happened, flow);
                break;
            case EngineEventKind.FlowRefused:
                Refuse(happened);
                break;
            case EngineEventKind.NetworkRefused:
                _answers[(int)happened.Type] = "the network refused";
                break;
            case EngineEventKind.NetworkUnsupported:
                _answers[(int)happened.Type] = "the network does not have the type";
                break;
            case EngineEventKind.NetworkSilent:
                _answers[(int)happened.Type] = "the network did not answer";
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
                Translated(flow, _moves.EndOf(flow.Address, flow.AddressSince));
            }
        }
    }

    /// <summary>The flows of the report, each with the moves that it went through unchanged.</summary>
    /// <param name="end">The end of the capture.</param>
    /// <param name="most">How many; the others are only asked which moves they went through.</param>
    public IReadOnlyList<ReportFlow> Flows(Timestamp end, int most)
    {
        var flows = new List<ReportFlow>(Math.Min(most, _reported.Count));
        foreach (FlowRecord flow in _reported)
        {
            IReadOnlyList<ReportSpan> spans = flow.Spans(end, _moves.EndOf(flow.Address, flow.AddressSince));
            IEnumerable<ReportFlowEvent> kept = _moves.KeptBy(flow, spans);
            if (flows.Count < most)
            {
                flows.Add(flow.Build(spans, kept));
            }
            else
            {
                _ = kept.Count();
            }
        }

        return flows;
    }

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
            _known[flow.Identity] = flow;
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

        Translated(flow, Earlier(happened.Time, _moves.EndOf(flow.Address, flow.AddressSince)));
        Forget(happened.Flow);
    }

    // A flow that had an address and is refused another stays the same flow.
    private void Refuse(in EngineEvent happened)
    {
        bool isNew = (_refused.Count >= MostRefused || _refused.Add(happened.Identity)) && !_known.ContainsKey(happened.Identity);
        _opened += isNew ? 1 : 0;
        if (!_known.TryGetValue(happened.Identity, out FlowRecord? flow))
        {
            if (!isNew || _reported.Count >= mostFlows)
            {
                return;
            }

            flow = new FlowRecord(_opened, happened with { Address = default });
            _reported.Add(flow);
            _known.Add(happened.Identity, flow);
        }

        flow.Refuse(happened.Time, happened.Drop == DropReason.Refused ? _answers[(int)happened.Type] : Explanation.Name(happened.Drop));
        flow.Count(outbound: true, 0, happened.Time, dropped: true);
    }

    private void Translated(FlowRecord flow, Timestamp? until)
    {
        if (flow.Decision.Origin != DecisionOrigin.Native)
        {
            translated?.Invoke(flow, until);
        }
    }

    private static Timestamp Earlier(Timestamp time, Timestamp? other) => other < time ? other.Value : time;

    private static void Attribute(FlowRecord flow, int move)
    {
        if (move >= 0)
        {
            flow.ChangeBy(move);
        }
    }
}
