using System.Buffers.Binary;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// Which socket a flow belongs to, as the kernel knows it: asked once for each new flow of TCP, UDP and perhaps ICMPv6 echoes, whose packets wait meanwhile. What
/// a socket asks for then holds for that very socket, whatever ports others share with it, and ends when the socket does.
/// </content>
public sealed partial class DataplaneEngine
{
    private const ulong SocketKey = 0xffUL << 56;        // no protocol: these keys stand for sockets, not for ports
    private const int EndingSlice = 1024;

    private readonly PendingFlows<SocketAnswer>? _pendingSockets;
    private readonly SocketTable? _sockets;
    private readonly Ring<SocketQuestion>? _socketQuestions;

    /// <summary>Sockets that have flows, as the kernel said.</summary>
    public int SocketCount => _sockets?.Count ?? 0;

    /// <summary>Takes the next question for a flow's socket.</summary>
    /// <param name="question">The question.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTakeSocketQuestion(out SocketQuestion question)
    {
        question = default;
        return _socketQuestions is not null && _socketQuestions.TryTake(out question);
    }

    /// <summary>
    /// Says which socket a flow belongs to. The flow's packets, which have waited, become outputs in the order in which they came.
    /// </summary>
    /// <param name="answer">The answer; a type that does not exist counts as none.</param>
    /// <param name="now">The time.</param>
    public void Answer(in SocketAnswer answer, Timestamp now)
    {
        BeginCall(now);
        int at = _pendingSockets?.FindQuestion(answer.Id) ?? -1;
        if (at >= 0)
        {
            Learn(_pendingSockets!, at, answer, now);
            SetDeadline();
        }
    }

    /// <summary>
    /// A socket is no more: its request and bindings are forgotten, its connections count as closed, and so do its other flows to which answers
    /// could come in unasked; the rest leaves the table. So a prefix it was the last user of is released, and a socket that takes the same
    /// port begins afresh.
    /// </summary>
    /// <param name="cookie">The socket's cookie.</param>
    /// <param name="now">The time.</param>
    public void EndSocket(ulong cookie, Timestamp now)
    {
        BeginCall(now);
        RetireRequest(SocketTail(cookie), now);
        EndAnswers(cookie);
        if (_sockets?.Find(cookie) is >= 0 and int id)
        {
            _sockets.End(id);
            EndFlows(_sockets, now);
        }
    }

    /// <summary>Forgets what a socket asked for; the socket goes on, and its flows are untouched.</summary>
    /// <param name="cookie">The socket's cookie.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether it had asked for something.</returns>
    public bool ReleaseRequest(ulong cookie, Timestamp now)
    {
        BeginCall(now);
        ulong key = SocketTail(cookie);
        bool known = HasRequest(key);
        ForgetRequest(key, now);
        return known;
    }

    /// <summary>Whether a socket has flows here, or has asked for something.</summary>
    /// <param name="cookie">The socket's cookie.</param>
    /// <returns>Whether it is known.</returns>
    public bool KnowsSocket(ulong cookie) => _sockets?.Find(cookie) >= 0 || HasRequest(SocketTail(cookie));

    /// <summary>What a socket has got that asked by its cookie.</summary>
    /// <param name="cookie">The socket's cookie.</param>
    /// <param name="granted">Its address and the address's prefix as they are now.</param>
    /// <returns>Whether it has asked and got something.</returns>
    public bool TryGetGrant(ulong cookie, out AddressGrant granted)
    {
        granted = default;
        int id = FindRequestByKey(SocketTail(cookie));
        if (id < 0 || !_requests[id].Holds)
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(_bindings[_requests[id].Binding].Address);
        ref PrefixEntry prefix = ref _prefixes[address.Prefix];
        granted = new AddressGrant(
            address.External, address.Type, prefix.Prefix, prefix.State, prefix.PreferredUntil,
            prefix.State == PrefixState.Closing && prefix.ClosesAt < prefix.ValidUntil ? prefix.ClosesAt : prefix.ValidUntil);
        return true;
    }

    /// <summary>Says whose a flow is that was there before it could be asked for: after a restart.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="cookie">Its socket's cookie.</param>
    /// <returns>False if there is no such flow, it has a socket already, or there is no room.</returns>
    public bool NameSocket(in FlowIdentity flow, ulong cookie)
    {
        AddressName name = _addresses.Find(flow.Internal);
        if (_sockets is null || !name.IsKnown || cookie == 0)
        {
            return false;
        }

        int id = _flows.Find(new FlowKey(flow.Remote, flow.Protocol, HostOf(name), flow.LocalPort, flow.RemotePort));
        return id >= 0 && _sockets.TryLink(id, cookie);
    }

    /// <summary>Copies the next cookies of sockets that have flows; see <see cref="CopyFlows"/>.</summary>
    /// <param name="cursor">Where to go on: 0 at the start; negative when all have been seen.</param>
    /// <param name="destination">Where they are written. A call looks at no more than 4096 places of the table.</param>
    /// <returns>How many were written; it may be none although there are more.</returns>
    public int CopySockets(ref int cursor, Span<ulong> destination)
    {
        int written = 0;
        int end = _sockets is null || cursor < 0 ? cursor : (int)Math.Min(_sockets.HighWater, (long)cursor + SnapshotSlice);
        for (; cursor < end && written < destination.Length; cursor++)
        {
            if (_sockets![cursor].Cookie != 0 && !_sockets[cursor].Ended)
            {
                destination[written++] = _sockets[cursor].Cookie;
            }
        }

        cursor = _sockets is null || cursor >= _sockets.HighWater ? -1 : cursor;
        return written;
    }

    private bool HasRequest(ulong key) => FindRequestByKey(key) is >= 0 and int id && !_requests[id].Over;

    // Cookies are counted up from 1 and would need centuries to pass 2^40.
    private static ulong SocketTail(ulong cookie) => SocketKey | ((cookie << 16) & 0x00ff_ffff_ffff_0000);

    // Echo replies are the kernel's own.
    private bool HasSocket(in FrameLayout layout) => layout.Protocol is IpProtocol.Tcp or IpProtocol.Udp
        || (_options.AskEchoSockets && layout.Has(FrameMarks.Icmpv6EchoRequest));

    // The place of what is known of a new flow's socket; -1 if the frame has to wait for it, and the verdict says so.
    private int SocketOf(ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, Timestamp now, out Verdict verdict)
    {
        var flow = new FlowIdentity(
            prepared.Layout.Protocol, prepared.Source, prepared.Layout.SourcePort, prepared.Key.Remote, prepared.Layout.DestinationPort);
        return SocketOf(frame, prepared.Key, prepared.Hash, flow, SocketQuestionKind.Sender, info, now, out verdict);
    }

    private int SocketOf(
        ReadOnlySpan<byte> frame, in FlowKey key, uint hash, in FlowIdentity flow, SocketQuestionKind kind, in FrameInfo info, Timestamp now,
        out Verdict verdict)
    {
        verdict = default;
        int at = _pendingSockets!.Find(key, hash);
        if (at >= 0 && IsUsedUp(_pendingSockets[at], kind, now))
        {
            _pendingSockets.Remove(at);
            at = -1;
        }

        if (at >= 0 && _pendingSockets[at].Answered)
        {
            return at;
        }

        verdict = Verdict.Dropped(DropReason.HoldFull);
        bool outbound = kind == SocketQuestionKind.Sender;
        if (frame.Length > _options.MaximumHeldFrameLength || (!outbound && _hold.Count >= _options.MaximumHeldFrames / 2))
        {
            return -1;
        }

        if (at < 0)
        {
            at = AskSocket(key, hash, flow, kind, now);
            if (at < 0)
            {
                return -1;
            }
        }

        if (_hold.TryAdd(ref _pendingSockets[at].Queue, frame, info, outbound, now))
        {
            verdict = Verdict.Held(HoldReason.Socket);
        }

        return -1;
    }

    // Whether an entry says nothing of a flow that begins now. Nothing waits for the receiver of a flow that has gone.
    private bool IsUsedUp(in PendingFlow<SocketAnswer> pending, SocketQuestionKind kind, Timestamp now) => pending.Answered
        ? KindOf(pending) != kind || now >= pending.Deadline || (pending.IsOver && !_isReleasing)
        : KindOf(pending) == SocketQuestionKind.Receiver;

    private static SocketQuestionKind KindOf(in PendingFlow<SocketAnswer> pending) => (SocketQuestionKind)pending.Kind;

    // Remotes do not take the room that the host's own flows need.
    private int AskSocket(in FlowKey key, uint hash, in FlowIdentity flow, SocketQuestionKind kind, Timestamp now)
    {
        bool ofRemote = kind != SocketQuestionKind.Sender;
        if (_socketQuestions!.IsFull || (ofRemote && _pendingSockets!.OfRemotes >= _options.MaximumSocketQuestions / 4))
        {
            return -1;
        }

        int at = _pendingSockets!.Add(key, hash, now.Add(_options.SocketAnswerTimeout), (byte)kind);
        if (at >= 0)
        {
            _ = _socketQuestions.TryAdd(new SocketQuestion(_pendingSockets[at].Id, flow, kind));
            Counters.SocketQuestions++;
            _nextDeadline = _pendingSockets[at].Deadline < _nextDeadline ? _pendingSockets[at].Deadline : _nextDeadline;
        }

        return at;
    }

    private void Learn(PendingFlows<SocketAnswer> pending, int at, in SocketAnswer answer, Timestamp now)
    {
        if (KindOf(pending[at]) == SocketQuestionKind.Receiver)
        {
            int flow = _flows.Find(pending[at].Key, (uint)pending[at].Hash);
            _ = flow >= 0 && answer.Cookie != 0 && _sockets!.TryLink(flow, answer.Cookie);
            pending.Remove(at);
            return;
        }

        _hold.Move(ref pending[at].Queue, ref _released);
        pending.SetAnswer(at, answer, now.Add(_options.NetworkAnswerTimeout).Add(_options.SocketAnswerTimeout));
    }

    // What a socket sent before it ended still goes by its type; another that takes its port meanwhile is asked for itself.
    private void EndAnswers(ulong cookie)
    {
        for (int at = _pendingSockets?.OldestAnswered ?? -1; at >= 0; at = _pendingSockets![at].Next)
        {
            ref PendingFlow<SocketAnswer> pending = ref _pendingSockets![at];
            if (pending.Answer.Cookie == cookie)
            {
                pending.Answer = pending.Answer with { Cookie = 0 };
                pending.IsOver = true;
            }
        }
    }

    // A flow has opened, or will not: what was said of its socket is used up.
    private void ForgetAnswer(int at)
    {
        if (at >= 0)
        {
            _pendingSockets!.Remove(at);
        }
    }

    // Nobody said anything in time: the flow is nobody's, and goes by its port and by policy.
    private void RunSocketQuestions(PendingFlows<SocketAnswer> pending, Timestamp now)
    {
        while (pending.OldestAsked >= 0 && pending[pending.OldestAsked].Deadline <= now)
        {
            Counters.SocketsUnanswered++;
            Learn(pending, pending.OldestAsked, default, now);
        }

        while (pending.OldestAnswered >= 0 && pending[pending.OldestAnswered].Deadline <= now)
        {
            pending.Remove(pending.OldestAnswered);
        }
    }

    // A slice of the flows whose sockets have ended.
    private void EndFlows(SocketTable sockets, Timestamp now)
    {
        for (int i = 0; i < EndingSlice && sockets.FirstEnded >= 0; i++)
        {
            int flow = sockets[sockets.FirstEnded].FirstFlow;
            if (flow < 0)
            {
                sockets.RemoveFirstEnded();
                continue;
            }

            ref FlowEntry entry = ref _flows.Entry(flow);
            bool isConnection = entry.Protocol == IpProtocol.Tcp;
            if (!isConnection && !MayBeOpenedByAnswer(entry))
            {
                RemoveFlow(flow, now);
                continue;
            }

            // The kernel still answers for a while on behalf of a connection that is gone (TIME-WAIT), so the flow stays for that.
            sockets.Unlink(flow, gone: true);
            if (entry.State is not (FlowState.Closed or FlowState.Reset or FlowState.Stranded))
            {
                entry.State = FlowState.Closed;
                entry.IdleShift = isConnection ? (byte)0 : LateAnswers;
                entry.LastSeen = Ticks.At(now, _origin);
                TcpChanged(flow, ref entry, now);
            }
        }
    }

    // A SYN with another sequence number than the flow's own: its socket has taken the port of one of which the kernel has yet to tell that it
    // has ended.
    private bool IsOfAnotherSocket(ReadOnlySpan<byte> frame, in FrameLayout layout, in FlowEntry entry)
    {
        const uint far = 1 << 16;    // a SYN sent again may be without the data that came with the first
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(frame[(layout.UpperOffset + 4)..]);
        return _sockets is not null && (entry.Marks & FlowMarks.SendKnown) != 0 && entry.SendNext - (sequence + 1) > far;
    }

    // Whether a late answer to the socket would open the flow anew as the remote's, and so keep the next socket of that port on the address
    // of this one. Then the flow stays for a moment: the answer passes, and what the host sends begins afresh. Not where that would take the
    // room that new flows need. What the remote itself began it may begin again, with the next socket that serves it.
    private bool MayBeOpenedByAnswer(in FlowEntry entry)
    {
        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        return (entry.Marks & FlowMarks.Inbound) == 0 && _flows.Count < _options.MaximumFlows / 2 && _prefixes[address.Prefix].State != PrefixState.Ended
            && _policy.AllowsInbound(
                address.Type,
                new FlowFacts(entry.Protocol, address.Internal, entry.LocalPort, entry.Remote, entry.RemotePort, 0),
                out _);
    }
}
