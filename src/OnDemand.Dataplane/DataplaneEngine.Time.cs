using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane;

/// <content>
/// What falls due: lifetimes, windows, answers, fragments, idle flows; and the sweep that tells programs of stranded flows. Work is done
/// in bounded slices: what is left is due at once.
/// </content>
public sealed partial class DataplaneEngine
{
    private const int ExpirySlice = 256;
    private const int SweepSlice = 4096;
    private static readonly Duration WheelPeriod = Duration.FromSeconds(1);

    private readonly int[] _walk = new int[4096];
    private Timestamp _wheelDue;
    private int _sweepCursor = -1;      // next flow to look at; -1 when nothing is to be swept
    private int _addressCursor;
    private bool _sweepsRemotes;        // flows whose remote has become one of our addresses are to be found, too

    // Whoever waited for a prefix takes it at the very time at which it is granted; released before, it would be asked for again, for ever.
    private Duration Linger => _options.Linger > Duration.Zero ? _options.Linger : new Duration(1);

    /// <summary>When <see cref="Advance"/> is to be called at the latest; <see cref="Timestamp.Never"/> if nothing is due by itself.</summary>
    public Timestamp NextDeadline =>
        (_sweepCursor >= 0 && !_replies.IsFull) || _sockets is { FirstEnded: >= 0 } ? default : _nextDeadline;

    /// <summary>
    /// Whether something has fallen due, which the next call does before anything else. What it gives out comes after that call's own frames,
    /// unless <see cref="Advance"/> is called and drained first.
    /// </summary>
    /// <param name="now">The time.</param>
    /// <returns>Whether it has.</returns>
    public bool IsDue(Timestamp now) => now >= _nextDeadline;

    /// <summary>Does what has fallen due, and a slice of the sweep; call it again while <see cref="NextDeadline"/> is not later than now.</summary>
    /// <param name="now">The time.</param>
    public void Advance(Timestamp now)
    {
        BeginCall(now);
        if (_sockets is { FirstEnded: >= 0 })
        {
            EndFlows(_sockets, now);
        }

        if (_sweepCursor >= 0)
        {
            Sweep(now);
        }
    }

    private void RunDeadlines(Timestamp now)
    {
        bool more = ExpireFlows(now);
        RunPrefixes(now);
        RunQuestions(now);
        ExpireFragments(now);
        if (_pendingSockets is { Count: > 0 })
        {
            RunSocketQuestions(_pendingSockets, now);
        }

        while (_firstOver >= 0 && _requests[_firstOver].OverUntil <= now)
        {
            ForgetFirstOver();
        }

        _wheelDue = more ? now : now.Add(WheelPeriod);
        SetDeadline();
    }

    private void SetDeadline()
    {
        Timestamp next = _prefixes.NextDeadline(Linger, _attachment, _attached);
        for (int at = 0; at < _questions.Length; at++)
        {
            if (IsOpen(_questions[at]) && _questions[at].Deadline < next)
            {
                next = _questions[at].Deadline;
            }
        }

        if (_fragments.Oldest >= 0 && _fragments[_fragments.Oldest].Expires < next)
        {
            next = _fragments[_fragments.Oldest].Expires;
        }

        if (_pendingSockets is { OldestAsked: >= 0 } && _pendingSockets[_pendingSockets.OldestAsked].Deadline < next)
        {
            next = _pendingSockets[_pendingSockets.OldestAsked].Deadline;
        }

        if (_firstOver >= 0 && _requests[_firstOver].OverUntil < next)
        {
            next = _requests[_firstOver].OverUntil;
        }

        _nextDeadline = _flows.Count > 0 && _wheelDue < next ? _wheelDue : next;
    }

    // Returns whether a slice was not enough.
    private bool ExpireFlows(Timestamp now)
    {
        uint tick = Ticks.At(now, _origin);
        for (int i = 0; i < ExpirySlice; i++)
        {
            int id = _wheel.Take(tick);
            if (id < 0)
            {
                return false;
            }

            ref FlowEntry entry = ref _flows.Entry(id);
            uint deadline = entry.LastSeen + _idle[((int)entry.State + entry.IdleShift) & 15];
            if (!IsIdle(entry, tick))
            {
                _wheel.Schedule(id, deadline);
                continue;
            }

            // It ended when its idle time did, not when it was found.
            _flows.Cold(id).WheelNext = -1;
            _flows.Cold(id).WheelPrevious = -1;
            RemoveFlow(id, Ticks.Time(deadline, _origin, now));
        }

        return true;
    }

    private void RunPrefixes(Timestamp now)
    {
        foreach (int id in OrderedPrefixes())
        {
            ref PrefixEntry entry = ref _prefixes[id];
            Timestamp closes = entry.State == PrefixState.Closing ? entry.ClosesAt : Timestamp.Never;
            Timestamp released = _prefixes.IsReleasable(id, _attachment, _attached) ? entry.UnusedSince.Add(Linger) : Timestamp.Never;

            // Of what has fallen due by now the first has ended it: nobody may have looked for hours, while the machine was suspended.
            if (closes <= now && closes <= entry.ValidUntil)
            {
                EndPrefix(id, PrefixEnd.WindowClosed, closes);
            }
            else if (released <= now && released <= entry.ValidUntil)
            {
                EndPrefix(id, PrefixEnd.Released, released);
            }
            else if (entry.ValidUntil <= now)
            {
                EndPrefix(id, PrefixEnd.LifetimePassed, entry.ValidUntil);
            }
            else if (entry.State == PrefixState.Preferred && entry.PreferredUntil <= now)
            {
                entry.State = PrefixState.Deprecated;
                ReportPrefix(Control.EngineEventKind.PrefixDeprecated, id, entry.PreferredUntil);
            }
        }
    }

    private void StartSweep()
    {
        _sweepCursor = 0;
        _addressCursor = 0;
    }

    // Flows first, then the addresses that nothing holds any more.
    private void Sweep(Timestamp now)
    {
        int end = Math.Min(_flows.HighWater, _sweepCursor + SweepSlice);
        for (; _sweepCursor < end; _sweepCursor++)
        {
            ref FlowEntry entry = ref _flows.Entry(_sweepCursor);
            if (_sweepsRemotes && entry.State != FlowState.Free)
            {
                entry.Marks |= HairpinMark(entry.Remote);
            }

            if (entry.State is not (FlowState.Established or FlowState.HostFin or FlowState.RemoteFin or FlowState.OpeningIn)
                || _prefixes[_addresses.Typed(entry.Address).Prefix].State != PrefixState.Ended
                || IsIdle(entry, Ticks.At(now, _origin)))
            {
                continue;
            }

            if (_replies.IsFull)
            {
                return;   // the caller takes what is there, and comes again
            }

            int id = _sweepCursor;
            Strand(id, ref entry, now);
            if ((entry.Marks & FlowMarks.ReceiveKnown) != 0 || entry.ReceiveGuessed)
            {
                ResetStranded(id, entry);   // else nobody knows what the host expects; its next packet says it
            }
        }

        if (_sweepCursor < _flows.HighWater)
        {
            return;
        }

        _sweepsRemotes = false;
        int last = Math.Min(_addresses.TypedHighWater, _addressCursor + SweepSlice);
        for (; _addressCursor < last; _addressCursor++)
        {
            if (_addresses.Typed(_addressCursor).Prefix >= 0)
            {
                FreeAddressIfDone(_addressCursor);
            }
        }

        _sweepCursor = _addressCursor < _addresses.TypedHighWater ? _sweepCursor : -1;
    }
}
