using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <summary>What the network did, which prefixes came and went, and which change of a flow was whose work.</summary>
internal sealed class MoveBook
{
    private readonly List<Move> _moves = [];
    private readonly List<ReportWindow> _windows = [];
    private readonly List<PrefixLife> _prefixes = [];
    private readonly Dictionary<IpPrefix, int> _endedBy = [];

    public IReadOnlyList<ReportWindow> Windows => _windows;

    public IReadOnlyList<ReportPrefix> Prefixes => [.. _prefixes.Select(life => new ReportPrefix(life.Prefix, life.Type, life.States))];

    /// <summary>The network does something now.</summary>
    public void Begin(NetworkEvent happens, Timestamp now) => _moves.Add(happens switch
    {
        AttachEvent attach => new Move(now, ReportMoveKind.Attach, attach.Name),
        WithdrawEvent withdraw => new Move(now, ReportMoveKind.Withdraw, withdraw.Prefix.ToString()),
        DetachEvent => new Move(now, ReportMoveKind.Detach, string.Empty),
        _ => new Move(now, ReportMoveKind.Advertise, string.Empty),
    });

    /// <summary>A flow went over from an address.</summary>
    /// <returns>The number of the move that made it, or -1.</returns>
    public int WentOver(IpAddress previous)
    {
        int move = MoveOf(previous);
        if (move >= 0)
        {
            _moves[move].WentOver++;
        }

        return move;
    }

    /// <summary>A flow was stranded on an address.</summary>
    /// <returns>The number of the move that made it, or -1.</returns>
    public int Stranded(IpAddress address)
    {
        int move = MoveOf(address);
        if (move >= 0)
        {
            _moves[move].Stranded++;
        }

        return move;
    }

    public void Enter(in EngineEvent happened)
    {
        switch (happened.Kind)
        {
            case EngineEventKind.PrefixAdded:
                _prefixes.Add(new PrefixLife(happened.Prefix, happened.Type));
                AddState(happened, "preferred", null);
                break;
            case EngineEventKind.PrefixPreferred:
                AddState(happened, "preferred", null);
                break;
            case EngineEventKind.PrefixDeprecated:
                AddState(happened, "deprecated", null);
                break;
            case EngineEventKind.WindowOpened:
                AddState(happened, "closing", null);
                OpenWindow(happened);
                _endedBy[happened.Prefix] = _moves.Count - 1;
                break;
            case EngineEventKind.PrefixEnded:
                AddState(happened, "ended", Explanation.Of(happened.End));
                End(happened);
                EndWindow(happened);
                if (happened.End is PrefixEnd.Moved or PrefixEnd.Withdrawn or PrefixEnd.Detached)
                {
                    _endedBy[happened.Prefix] = _moves.Count - 1;
                }

                break;
            default:
                break;
        }
    }

    /// <summary>When the prefix ended that an address had at a time; null if it has not.</summary>
    public Timestamp? EndOf(IpAddress address, Timestamp at)
    {
        PrefixLife? narrowest = null;
        foreach (PrefixLife life in _prefixes)
        {
            if (life.Prefix.Contains(address) && !(life.End < at) && (narrowest is null || life.Prefix.Length > narrowest.Prefix.Length))
            {
                narrowest = life;
            }
        }

        return narrowest?.End;
    }

    /// <summary>The moves during which a flow had one and the same address, and that did not change it later either.</summary>
    public IEnumerable<ReportFlowEvent> KeptBy(FlowRecord flow, IReadOnlyList<ReportSpan> spans)
    {
        for (int i = 0; i < _moves.Count; i++)
        {
            Move move = _moves[i];
            if (move.Kind != ReportMoveKind.Advertise && !flow.ChangedBy.Contains(i) && spans.Any(span => span.From < move.Time && span.To > move.Time))
            {
                move.Kept++;
                yield return new ReportFlowEvent(move.Time, FlowEventKind.Kept, move.Name.Length > 0 ? move.Name : null);
            }
        }
    }

    /// <summary>The moves; to be asked after the flows, because those say which they lived through.</summary>
    public IReadOnlyList<ReportMove> Moves() =>
        [.. _moves.Select(move => new ReportMove(move.Time, move.Kind, move.Name, move.Kept, move.WentOver, move.Stranded))];

    // The move that ended the prefix of an address, or opened the window that did.
    private int MoveOf(IpAddress address)
    {
        int best = -1;
        int length = -1;
        foreach ((IpPrefix prefix, int move) in _endedBy)
        {
            if (prefix.Length > length && prefix.Contains(address))
            {
                best = move;
                length = prefix.Length;
            }
        }

        return best;
    }

    private void AddState(in EngineEvent happened, string state, string? reason)
    {
        IpPrefix prefix = happened.Prefix;
        _prefixes.FindLast(life => life.Prefix == prefix)?.States.Add(new ReportPrefixState(happened.Time, state, reason));
    }

    // A move opens the windows of all older prefixes anew: that is the same window with another end.
    private void OpenWindow(in EngineEvent happened)
    {
        IpPrefix prefix = happened.Prefix;
        Timestamp now = happened.Time;
        int at = _windows.FindLastIndex(window => window.Prefix == prefix && window.To > now);
        if (at >= 0)
        {
            _windows[at] = _windows[at] with { To = happened.Until };
        }
        else
        {
            _windows.Add(new ReportWindow(now, happened.Until, prefix));
        }
    }

    private void End(in EngineEvent happened)
    {
        IpPrefix prefix = happened.Prefix;
        if (_prefixes.FindLast(life => life.Prefix == prefix) is { } life)
        {
            life.End = happened.Time;
        }
    }

    private void EndWindow(in EngineEvent happened)
    {
        IpPrefix prefix = happened.Prefix;
        Timestamp end = happened.Time;
        int at = _windows.FindLastIndex(window => window.Prefix == prefix);
        if (at >= 0 && _windows[at].To > end)
        {
            _windows[at] = _windows[at] with { To = end };
        }
    }

    private sealed class Move(Timestamp time, ReportMoveKind kind, string name)
    {
        public Timestamp Time { get; } = time;

        public ReportMoveKind Kind { get; } = kind;

        public string Name { get; } = name;

        public long Kept { get; set; }

        public long WentOver { get; set; }

        public long Stranded { get; set; }
    }

    private sealed class PrefixLife(IpPrefix prefix, AddressType type)
    {
        public IpPrefix Prefix { get; } = prefix;

        public AddressType Type { get; } = type;

        public List<ReportPrefixState> States { get; } = [];

        public Timestamp? End { get; set; }
    }
}
