using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Captures.Replay;

/// <summary>What happens at a time; exactly one of the three is there.</summary>
/// <param name="Network">Something that the network does.</param>
/// <param name="Socket">A program's request, or the closing of its socket.</param>
/// <param name="Answer">The network's answer to a question.</param>
/// <param name="Closes">Whether the socket is closed.</param>
internal readonly record struct ScheduledAction(NetworkEvent? Network, SocketRequest? Socket, PrefixAnswer? Answer, bool Closes = false);

/// <summary>
/// Everything that the scenario makes happen, by time. What falls on the same time happens in the order of the file: the network before
/// the programs.
/// </summary>
internal sealed class ReplaySchedule
{
    private readonly PriorityQueue<ScheduledAction, (long Time, long Order)> _queue = new();
    private readonly NetworkAnswers _answers;
    private long _order;

    public ReplaySchedule(Scenario scenario, Timestamp firstPacket)
    {
        _answers = new NetworkAnswers(scenario);
        foreach (NetworkEvent happens in scenario.Network)
        {
            Add(happens.At.Resolve(firstPacket), new ScheduledAction(happens, null, null));
        }

        foreach (SocketRequest request in scenario.Sockets)
        {
            Add(request.At.Resolve(firstPacket), new ScheduledAction(null, request, null));
            if (request.Close is { } close)
            {
                Add(close.Resolve(firstPacket), new ScheduledAction(null, request, null, Closes: true));
            }
        }
    }

    /// <summary>When the next action is; <see cref="Timestamp.Never"/> if there is none.</summary>
    public Timestamp Next { get; private set; } = Timestamp.Never;

    public ScheduledAction Take()
    {
        ScheduledAction action = _queue.Dequeue();
        if (action.Answer is { Kind: PrefixAnswerKind.Granted } answer)
        {
            _answers.Deliver(answer.Prefix.Prefix);
        }

        Look();
        return action;
    }

    /// <summary>Forgets what the scenario would do after the capture's end; answers under way still come.</summary>
    public void KeepAnswers()
    {
        while (_queue.TryPeek(out ScheduledAction next, out _) && next.Answer is null)
        {
            _queue.Dequeue();
        }

        Look();
    }

    /// <summary>The network will answer a question as the scenario says; silence is no answer at all.</summary>
    public void Ask(in PrefixRequest request, Timestamp now)
    {
        NetworkAnswer answer = _answers.Next(request.Type);
        if (answer.Kind == NetworkAnswerKind.Silence)
        {
            return;
        }

        PrefixAnswerKind kind = answer.Kind switch
        {
            NetworkAnswerKind.Grant => PrefixAnswerKind.Granted,
            NetworkAnswerKind.Refuse => PrefixAnswerKind.Refused,
            _ => PrefixAnswerKind.Unsupported,
        };
        Add(now.Add(answer.Delay), new ScheduledAction(null, null, new PrefixAnswer(request.Id, kind, answer.Prefix.GetValueOrDefault())));
    }

    /// <summary>Takes notice of which prefixes are in use.</summary>
    /// <param name="happened">What happened in the engine.</param>
    public void Follow(in EngineEvent happened) => _answers.Follow(happened);

    private void Add(Timestamp time, ScheduledAction action)
    {
        _queue.Enqueue(action, (time.Nanoseconds, _order++));
        Look();
    }

    // Every packet asks when the next action is, so the answer is kept.
    private void Look() => Next = _queue.TryPeek(out _, out (long Time, long Order) due) ? new Timestamp(due.Time) : Timestamp.Never;
}
