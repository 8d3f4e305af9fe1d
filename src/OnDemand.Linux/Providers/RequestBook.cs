using System.Diagnostics.CodeAnalysis;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Providers;

// Theory of operation. The engine has a question open for each need; the network gets one request for all questions that are alike:
//
//   Ask          a new question: a request of its own, due at once, or one more question of a request that is open
//   TrySend      the requests that are due; then each waits, first × 2 × 2 …, at most `most`, each time ± 10 %
//   Answer       closes a request, and answers all of its questions
//   Move         the network is another one: requests that were put to the old one get new numbers and are due again
//   TryGiveUp    questions whose time is up leave; a request without questions is canceled
//
// A request has a number that is never used again, so an answer to a number that was given out and is not open is late, or given twice.
// Nothing is kept of a closed request, and none lives longer than the questions of the engine, which are few.

/// <summary>What an answer was to the book.</summary>
internal enum AnswerFate
{
    /// <summary>It closes an open request.</summary>
    Taken,

    /// <summary>Its request is closed: it came late, or twice.</summary>
    Late,

    /// <summary>There never was such a request.</summary>
    Unknown,
}

/// <summary>One attempt at a request.</summary>
/// <param name="Number">The request's number; comes back in the answer.</param>
/// <param name="Type">The type that is asked for.</param>
/// <param name="OnNet">Whether a socket asked with ON_NET.</param>
/// <param name="Attempt">Which attempt, counted from 1.</param>
/// <param name="Left">How long an answer is still of use.</param>
internal readonly record struct RequestAttempt(int Number, AddressType Type, bool OnNet, int Attempt, Duration Left);

/// <summary>
/// The requests to a network that answers late, twice or never: equal ones are put once, silent ones again with back-off, and given up in
/// time. It does no input or output and reads no clock; same calls and seed, same results.
/// </summary>
/// <param name="retry">When a request is put again.</param>
/// <param name="seed">What the variation of the back-off is drawn from.</param>
internal sealed class RequestBook(RetryTimes retry, ulong seed)
{
    private readonly List<Request> _open = [];
    private ulong _random = seed;
    private int _lastNumber;

    /// <summary>Requests that are open.</summary>
    public int Open => _open.Count;

    /// <summary>Answers that came when nobody waited for them any more.</summary>
    public long Late { get; private set; }

    /// <summary>Whether requests can be put at all; while they cannot, only their time runs.</summary>
    public bool IsReachable { get; private set; }

    /// <summary>When <see cref="TrySend"/> or <see cref="TryGiveUp"/> has something next; <see cref="Timestamp.Never"/> if not.</summary>
    public Timestamp Next { get; private set; } = Timestamp.Never;

    /// <summary>Takes a question.</summary>
    /// <param name="question">The question.</param>
    /// <param name="deadline">When it is given up.</param>
    /// <param name="now">The time.</param>
    public void Ask(in PrefixRequest question, Timestamp deadline, Timestamp now)
    {
        (AddressType type, bool onNet) = (question.Type, question.OnNet);
        Request? request = _open.Find(open => open.Type == type && open.OnNet == onNet);
        if (request is null)
        {
            request = new Request(NextNumber(), type, onNet) { Due = now };
            _open.Add(request);
        }

        request.Questions.Add((question.Id, deadline));
        Look();
    }

    /// <summary>The network can be reached: perhaps again, knowing nothing of what it was asked before, so all of it is due.</summary>
    /// <param name="now">The time.</param>
    public void Reach(Timestamp now)
    {
        IsReachable = true;
        foreach (Request request in _open)
        {
            request.Due = now;
            request.Wait = Duration.Zero;
        }

        Look();
    }

    /// <summary>The network cannot be reached until <see cref="Reach"/>.</summary>
    public void Lose()
    {
        IsReachable = false;
        Look();
    }

    /// <summary>The network is another one, which was not asked yet: what the old one still answers comes too late.</summary>
    /// <param name="now">The time.</param>
    /// <returns>The numbers of the requests that were put to the old one.</returns>
    public IReadOnlyList<int> Move(Timestamp now)
    {
        List<int> canceled = [];
        foreach (Request request in _open.Where(request => request.Attempts > 0))
        {
            canceled.Add(request.Number);
            request.Number = NextNumber();
            request.Attempts = 0;
            request.Due = now;
            request.Wait = Duration.Zero;
        }

        Look();
        return canceled;
    }

    /// <summary>Takes the next attempt that is due.</summary>
    /// <param name="now">The time.</param>
    /// <param name="attempt">The attempt.</param>
    /// <returns>Whether one is due.</returns>
    public bool TrySend(Timestamp now, out RequestAttempt attempt)
    {
        Request? due = IsReachable ? _open.Find(request => request.Due <= now && request.Deadline > now) : null;
        if (due is null)
        {
            attempt = default;
            return false;
        }

        due.Attempts++;
        due.Wait = due.Wait == Duration.Zero ? retry.First
            : due.Wait.Nanoseconds >= retry.Most.Nanoseconds / 2 ? retry.Most : new Duration(due.Wait.Nanoseconds * 2);
        due.Due = now.Add(Vary(due.Wait));
        attempt = new RequestAttempt(due.Number, due.Type, due.OnNet, due.Attempts, due.Deadline.Since(now));
        Look();
        return true;
    }

    /// <summary>Gives up the next question, or request, whose time is up.</summary>
    /// <param name="now">The time.</param>
    /// <param name="question">The question that is given up.</param>
    /// <param name="canceled">The number of the request if that was its last question and the network was asked; else 0.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryGiveUp(Timestamp now, out int question, out int canceled)
    {
        (question, canceled) = (0, 0);
        Request? request = _open.Find(open => open.FirstDeadline <= now);
        if (request is null)
        {
            return false;
        }

        int at = request.Questions.FindIndex(waiting => waiting.Deadline <= now);
        question = request.Questions[at].Id;
        request.Questions.RemoveAt(at);
        if (request.Questions.Count == 0)
        {
            _open.Remove(request);
            canceled = request.Attempts > 0 ? request.Number : 0;
        }

        Look();
        return true;
    }

    /// <summary>Takes the network's answer to a request.</summary>
    /// <param name="number">The request's number.</param>
    /// <param name="questions">The engine's questions that it answers; null unless it is taken.</param>
    /// <returns>What it was.</returns>
    public AnswerFate Answer(int number, [MaybeNull] out IReadOnlyList<int> questions)
    {
        questions = null;
        Request? request = _open.Find(open => open.Number == number);
        if (request is not { Attempts: > 0 })
        {
            bool past = request is null && number > 0 && number <= _lastNumber;
            Late += past ? 1 : 0;
            return past ? AnswerFate.Late : AnswerFate.Unknown;
        }

        _open.Remove(request);
        questions = [.. request.Questions.Select(question => question.Id)];
        Look();
        return AnswerFate.Taken;
    }

    private int NextNumber() => _lastNumber = _lastNumber == int.MaxValue ? 1 : _lastNumber + 1;

    private void Look()
    {
        Timestamp next = Timestamp.Never;
        foreach (Request request in _open)
        {
            Timestamp first = request.FirstDeadline;
            first = IsReachable && request.Due < first ? request.Due : first;
            next = first < next ? first : next;
        }

        Next = next;
    }

    // 90 % to 110 %, so that hosts that lost the same network at the same time do not all come back at once; a generator of its own
    // (SplitMix64), since the same seed must give the same times everywhere.
    private Duration Vary(Duration wait)
    {
        _random += 0x9e37_79b9_7f4a_7c15;
        ulong bits = (_random ^ (_random >> 30)) * 0xbf58_476d_1ce4_e5b9;
        bits = (bits ^ (bits >> 27)) * 0x94d0_49bb_1331_11eb;
        long tenth = wait.Nanoseconds / 10;
        long change = (long)((bits ^ (bits >> 31)) % (ulong)((2 * tenth) + 1)) - tenth;
        return new Duration(Math.Max(1, wait.Nanoseconds + change));
    }

    private sealed class Request(int number, AddressType type, bool onNet)
    {
        public int Number { get; set; } = number;

        public AddressType Type { get; } = type;

        public bool OnNet { get; } = onNet;

        public List<(int Id, Timestamp Deadline)> Questions { get; } = [];

        public int Attempts { get; set; }

        public Timestamp Due { get; set; }

        public Duration Wait { get; set; }

        public Timestamp Deadline => Questions.Max(question => question.Deadline);

        public Timestamp FirstDeadline => Questions.Min(question => question.Deadline);
    }
}
