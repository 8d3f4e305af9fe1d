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
        int prefix = granted ? Learn(answer.Prefix, authenticated: true, given: true, onDemand: true, now) : -1;
        if (prefix >= 0 && _prefixes[prefix].Type == question.Type && _prefixes[prefix].State is PrefixState.Preferred or PrefixState.Deprecated)
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

    // Returns the question's place, or -1 if the network is remembered to say no, or too much is being asked.
    private int Ask(AddressType type, bool onNet, int request, Timestamp now)
    {
        int free = -1;
        for (int at = 0; at < _questions.Length; at++)
        {
            ref Question question = ref _questions[at];
            if (IsOpen(question) && question.Type == type && question.OnNet == onNet && question.Request == request)
            {
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

    // Whatever the answer was: the sockets that waited are served, and the frames go through the engine once more, as outputs.
    private void Settle(int at, Timestamp now)
    {
        int question = _questions[at].Id;
        _hold.Move(ref _questions[at].Queue, ref _released);
        _questions[at] = default;
        for (int id = 0; id < _requests.Length && _requestIndex.Count > 0; id++)
        {
            if (_requests[id].InUse && _requests[id].Waiting && _requests[id].Question == question)
            {
                Serve(id, now);
            }
        }
    }

    // The network gave unasked what it was asked for: nobody need wait for the answer, which will find no question.
    private void SettleFulfilled(Timestamp now)
    {
        for (int at = 0; at < _questions.Length; at++)
        {
            if (!IsOpen(_questions[at]) || _questions[at].OnNet)
            {
                continue;
            }

            foreach (int id in _prefixes.InOrder)
            {
                ref PrefixEntry prefix = ref _prefixes[id];
                if (prefix.Type == _questions[at].Type && prefix.State is PrefixState.Preferred or PrefixState.Deprecated)
                {
                    Settle(at, now);
                    break;
                }
            }
        }
    }

    private void RunQuestions(Timestamp now)
    {
        for (int at = 0; at < _questions.Length; at++)
        {
            ref Question question = ref _questions[at];
            if (IsOpen(question) && question.Deadline <= now)
            {
                Refuse(question.Type, unsupported: false, now);
                ReportAnswer(EngineEventKind.NetworkSilent, question, default, now);
                Settle(at, now);
            }
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
    }
}
