using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane;

/// <content>
/// Questions to the network (RFC 8653 §3.1 steps 3 and 4), and the frames that wait for the answers. One question for a type at a time;
/// everybody who needs the type waits for it. A socket that asked with ON_NET has a question of its own.
/// </content>
public sealed partial class DataplaneEngine
{
    private const int LastBit = 63;     // of the hosts that wait for an answer
    private const int LongPrefix = 113; // from here on it has so few addresses that all may be taken

    private readonly Question[] _questions;
    private readonly Ring<PrefixRequest> _prefixRequests;
    private readonly bool[] _unsupported = new bool[AddressTypes.Count];
    private readonly Timestamp[] _refusedUntil = new Timestamp[AddressTypes.Count];
    private int _lastQuestion;

    /// <summary>Takes the next question to the network.</summary>
    /// <param name="request">The question.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTakePrefixRequest(out PrefixRequest request) => _prefixRequests.TryTake(out request);

    /// <summary>
    /// The network answers. A prefix of another type than asked for, or one that cannot be used, counts as a refusal: a request is fulfilled
    /// exactly or fails (RFC 8653 §3.4). Waiting frames become outputs, in the order in which they came.
    /// </summary>
    /// <param name="answer">The answer.</param>
    /// <param name="now">The time.</param>
    public void Answer(in PrefixAnswer answer, Timestamp now)
    {
        BeginCall(now);
        int at = FindQuestion(answer.Id);
        if (at < 0)
        {
            return;
        }

        ref Question question = ref _questions[at];
        bool granted = answer.Kind == PrefixAnswerKind.Granted && _attached && answer.Prefix.Type == question.Type
            && answer.Prefix.PreferredLifetime > Duration.Zero;
        int prefix = granted ? Learn(answer.Prefix, authenticated: true, given: true, question.Asker, now) : -1;
        if (prefix >= 0 && Fulfills(_prefixes[prefix], question) && HasRoom(prefix, question.Asker, now))
        {
            _prefixes[prefix].Attachment = _attachment;
            if (question.Request >= 0)
            {
                _requests[question.Request].Granted = _prefixes[prefix].Order;
            }

            ReportAnswer(EngineEventKind.NetworkGranted, question, answer.Prefix, now);
        }
        else
        {
            bool unsupported = answer.Kind == PrefixAnswerKind.Unsupported;
            Refuse(question.Type, unsupported, now);
            ReportAnswer(unsupported ? EngineEventKind.NetworkUnsupported : EngineEventKind.NetworkRefused, question, default, now);
        }

        Settle(at, now);
        SetDeadline();
    }

    private static bool IsOpen(in Question question) => question.Id != 0;

    private int FindQuestion(int id)
    {
        for (int at = 0; at < _questions.Length && id != 0; at++)
        {
            if (_questions[at].Id == id)
            {
                return at;
            }
        }

        return -1;
    }

    // The open question that was asked first after another, or -1.
    private int NextQuestion(int after)
    {
        int next = -1;
        for (int at = 0; at < _questions.Length; at++)
        {
            bool later = IsOpen(_questions[at]) && _questions[at].Id > after;
            next = later && (next < 0 || _questions[at].Id < _questions[next].Id) ? at : next;
        }

        return next;
    }

    // Returns the question's place, or -1 if the network is remembered to say no, or too much is being asked.
    private int Ask(AddressType type, bool onNet, int request, int host, Timestamp now)
    {
        int free = -1;
        for (int at = 0; at < _questions.Length; at++)
        {
            ref Question question = ref _questions[at];
            if (IsOpen(question) && question.Type == type && question.OnNet == onNet && question.Request == request)
            {
                question.Hosts |= BitOf(host);
                return at;
            }

            free = free < 0 && !IsOpen(question) ? at : free;
        }

        if (free < 0 || IsUnsupported(type) || now < _refusedUntil[(int)type])
        {
            return -1;
        }

        _lastQuestion = _lastQuestion == int.MaxValue ? 1 : _lastQuestion + 1;
        if (!_prefixRequests.TryAdd(new PrefixRequest(_lastQuestion, type, onNet)))
        {
            return -1;
        }

        _questions[free] = new Question
        {
            Id = _lastQuestion,
            Type = type,
            OnNet = onNet,
            Request = request,
            Deadline = now.Add(_options.NetworkAnswerTimeout),
            Queue = HeldQueue.Empty,
            Hosts = BitOf(host),
            Asker = host,
            FirstWaiting = -1,
            LastWaiting = -1,
        };
        Counters.NetworkRequests++;
        ReportAnswer(EngineEventKind.NetworkAsked, _questions[free], default, now);
        SetDeadline();
        return free;
    }

    private bool IsUnsupported(AddressType type) => _unsupported[(int)type];

    private void Refuse(AddressType type, bool unsupported, Timestamp now)
    {
        _unsupported[(int)type] |= unsupported;
        _refusedUntil[(int)type] = now.Add(_options.RefusalMemory);
    }

    private void ForgetRefusals()
    {
        _unsupported.AsSpan().Clear();
        _refusedUntil.AsSpan().Clear();
    }

    // Whatever the answer was: the sockets that waited are served in the order in which they asked, and the frames go through the engine
    // once more, as outputs.
    private void Settle(int at, Timestamp now)
    {
        _hold.Move(ref _questions[at].Queue, ref _released);
        int id = _questions[at].FirstWaiting;
        _questions[at] = default;
        while (id >= 0)
        {
            int next = _requests[id].NextWaiting;
            Serve(id, now);
            id = next;
        }
    }

    private void Wait(int id, int at)
    {
        ref Question question = ref _questions[at];
        _requests[id].Question = question.Id;
        _requests[id].NextWaiting = -1;
        if (question.LastWaiting < 0)
        {
            question.FirstWaiting = id;
        }
        else
        {
            _requests[question.LastWaiting].NextWaiting = id;
        }

        question.LastWaiting = id;
    }

    private void StopWaiting(int id)
    {
        ref Question question = ref _questions[FindQuestion(_requests[id].Question)];
        int before = -1;
        for (int other = question.FirstWaiting; other != id; other = _requests[other].NextWaiting)
        {
            before = other;
        }

        int next = _requests[id].NextWaiting;
        question.LastWaiting = question.LastWaiting == id ? before : question.LastWaiting;
        if (before < 0)
        {
            question.FirstWaiting = next;
        }
        else
        {
            _requests[before].NextWaiting = next;
        }
    }

    // The network gave unasked what it was asked for: nobody need wait for the answer, which will find no question.
    private void SettleFulfilled(Timestamp now)
    {
        for (int at = NextQuestion(0); at >= 0;)
        {
            int id = _questions[at].Id;
            if (!_questions[at].OnNet && IsFulfilled(_questions[at]))
            {
                Settle(at, now);
            }

            at = NextQuestion(id);
        }
    }

    private bool IsFulfilled(in Question question)
    {
        foreach (int id in _prefixes.InOrder)
        {
            if (Fulfills(_prefixes[id], question))
            {
                return true;
            }
        }

        return false;
    }

    // A single address serves only the host that has it; taken for an answer to others it would be asked for again at once, for ever.
    private bool Fulfills(in PrefixEntry prefix, in Question question) =>
        prefix.Type == question.Type && prefix.State is PrefixState.Preferred or PrefixState.Deprecated
        && (prefix.OnlyAddress < 0 || Needs(question, _addresses.Typed(prefix.OnlyAddress).Host));

    // A prefix whose few addresses are all taken is no answer either: it would be asked for again at once, for ever.
    private bool HasRoom(int prefix, int host, Timestamp now)
    {
        bool full = false;
        return _prefixes[prefix].Prefix.Length < LongPrefix || AddressIn(prefix, host, now, ref full) >= 0 || full;
    }

    private static bool Needs(in Question question, int host) =>
        host == question.Asker || (host < LastBit && (question.Hosts & BitOf(host)) != 0);

    // Hosts past the last bit share it: at worst a question among so many is asked once more.
    private static ulong BitOf(int host) => 1UL << Math.Min(host, LastBit);

    private bool IsAskedFor(int request)
    {
        foreach (ref readonly Question question in _questions.AsSpan())
        {
            if (IsOpen(question) && question.Request == request)
            {
                return true;
            }
        }

        return false;
    }

    private void RunQuestions(Timestamp now)
    {
        for (int at = NextQuestion(0); at >= 0;)
        {
            ref Question question = ref _questions[at];
            int id = question.Id;
            if (question.Deadline <= now)
            {
                Refuse(question.Type, unsupported: false, now);
                ReportAnswer(EngineEventKind.NetworkSilent, question, default, now);
                Settle(at, now);
            }

            at = NextQuestion(id);
        }
    }

    private Verdict HoldFor(int at, ReadOnlySpan<byte> frame, in FrameInfo info, Timestamp now) =>
        frame.Length <= _options.MaximumHeldFrameLength && _hold.TryAdd(ref _questions[at].Queue, frame, info, outbound: true, now)
            ? Verdict.Held(HoldReason.Network) : Verdict.Dropped(DropReason.HoldFull);

    private struct Question
    {
        public int Id;               // 0: free
        public AddressType Type;
        public bool OnNet;
        public int Request;          // the socket request it is for alone, or -1
        public Timestamp Deadline;
        public HeldQueue Queue;
        public ulong Hosts;          // internal addresses that need the answer
        public int Asker;            // the first of them
        public int FirstWaiting;     // socket requests, in the order in which they asked
        public int LastWaiting;
    }
}
