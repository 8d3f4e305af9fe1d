using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Providers;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

/// <summary>
/// Drives a <see cref="RequestBook"/> by a random schedule and holds it against what a book must do, written down the slow way.
/// </summary>
internal sealed class BookModel
{
    public static readonly RetryTimes Retry = new(Duration.FromMilliseconds(100), Duration.FromMilliseconds(450));

    private readonly Dictionary<int, (AddressType Type, bool OnNet, Timestamp Deadline)> _questions = [];
    private readonly Dictionary<int, Put> _put = [];
    private readonly RequestBook _book = new(Retry, 7);
    private Timestamp _now = Timestamp.FromSeconds(1_700_000_000);
    private bool _reachable;
    private int _lastQuestion;
    private int _lastNumber;
    private int _asked;

    private sealed class Put
    {
        public AddressType Type { get; init; }

        public bool OnNet { get; init; }

        public int Attempts { get; set; }

        public Timestamp Last { get; set; }

        public Duration Wait { get; set; }
    }

    public long Attempts { get; private set; }

    public long Taken { get; private set; }

    public void Step(int choice)
    {
        int value = (choice & int.MaxValue) >> 4;
        switch (choice & 15)
        {
            case 0 or 1 or 2 or 3:
                Ask((AddressType)(1 + (value % 4)), (value & 4) != 0, Duration.FromMilliseconds(1 + (value % 2000)));
                break;
            case 4 or 5 or 6:
                Answer(1 + (value % (_lastNumber + 2)));
                break;
            case 7:
                _reachable = true;
                _book.Reach(_now);
                foreach (Put put in _put.Values)
                {
                    put.Wait = Duration.Zero;
                }

                break;
            case 8:
                _reachable = false;
                _book.Lose();
                break;
            case 9:
                Move();
                break;
            default:
                Pass(Duration.FromMilliseconds(value % 300));
                break;
        }

        Drain();
    }

    /// <summary>When every deadline is past nothing may be left.</summary>
    public void End()
    {
        Pass(Duration.FromSeconds(3));
        Drain();
        Assert.Empty(_questions);
        Assert.Equal(0, _book.Open);
        Assert.Equal(Timestamp.Never, _book.Next);
    }

    private void Ask(AddressType type, bool onNet, Duration patience)
    {
        _questions.Add(++_lastQuestion, (type, onNet, _now.Add(patience)));
        bool isOpen = _questions.Values.Count(question => question.Type == type && question.OnNet == onNet) > 1;
        _asked += isOpen ? 0 : 1;
        _lastNumber = _asked;
        _book.Ask(new PrefixRequest(_lastQuestion, type, onNet), _now.Add(patience), _now);
    }

    private void Answer(int number)
    {
        AnswerFate fate = _book.Answer(number, out IReadOnlyList<int>? answered);
        if (_put.Remove(number, out Put? put))
        {
            Assert.Equal(AnswerFate.Taken, fate);
            int[] open = [.. _questions.Where(question => question.Value.Type == put.Type && question.Value.OnNet == put.OnNet)
                .Select(question => question.Key).Order()];
            Assert.Equal(open, answered!.Order());
            Array.ForEach(open, id => _questions.Remove(id));
            Taken++;
        }
        else
        {
            // Numbers are given out with the question; one that has not been sent yet nobody can know.
            Assert.NotEqual(AnswerFate.Taken, fate);
            Assert.Null(answered);
            Assert.True(fate == AnswerFate.Unknown || number <= _lastNumber);
        }
    }

    // Everything that was put is put again, under numbers that nobody has seen.
    private void Move()
    {
        Assert.Equal(_put.Keys.Order(), _book.Move(_now).Order());
        _asked += _put.Count;
        _lastNumber = _asked;
        _put.Clear();
    }

    private void Pass(Duration time)
    {
        // Nothing may fall due between here and what the book says.
        Timestamp until = _now.Add(time);
        while (_book.Next <= until)
        {
            Assert.True(_book.Next >= _now);
            _now = _book.Next;
            Drain();
        }

        _now = until;
        Assert.False(_book.TrySend(_now, out _));
        Assert.False(_book.TryGiveUp(_now, out _, out _));
    }

    private void Drain()
    {
        while (_book.TryGiveUp(_now, out int question, out int canceled))
        {
            Assert.True(_questions.Remove(question, out (AddressType Type, bool OnNet, Timestamp Deadline) given));
            Assert.Equal(_now, given.Deadline);
            bool isLast = !_questions.Values.Any(other => other.Type == given.Type && other.OnNet == given.OnNet);
            KeyValuePair<int, Put> put = _put.SingleOrDefault(item => item.Value.Type == given.Type && item.Value.OnNet == given.OnNet);
            Assert.Equal(isLast ? put.Key : 0, canceled);
            if (isLast)
            {
                _put.Remove(put.Key);
            }
        }

        while (_book.TrySend(_now, out RequestAttempt attempt))
        {
            Check(attempt);
        }

        Assert.DoesNotContain(_questions.Values, question => question.Deadline <= _now);
        Assert.Equal(_questions.Values.Select(question => (question.Type, question.OnNet)).Distinct().Count(), _book.Open);
        Assert.True(_book.Next > _now);
    }

    private void Check(RequestAttempt attempt)
    {
        Assert.True(_reachable);
        Attempts++;
        Timestamp[] deadlines = [.. _questions.Values
            .Where(question => question.Type == attempt.Type && question.OnNet == attempt.OnNet).Select(question => question.Deadline)];
        Assert.Equal(deadlines.Max().Since(_now), attempt.Left);
        if (!_put.TryGetValue(attempt.Number, out Put? put))
        {
            Assert.DoesNotContain(_put.Values, other => other.Type == attempt.Type && other.OnNet == attempt.OnNet);
            put = new Put { Type = attempt.Type, OnNet = attempt.OnNet };
            _put.Add(attempt.Number, put);
        }
        else if (put.Wait > Duration.Zero)
        {
            long passed = _now.Since(put.Last).Nanoseconds;
            Assert.InRange(passed, put.Wait.Nanoseconds * 9 / 10, put.Wait.Nanoseconds * 11 / 10);
        }

        Assert.Equal(put.Attempts + 1, attempt.Attempt);
        put.Attempts++;
        put.Last = _now;
        put.Wait = put.Wait == Duration.Zero ? Retry.First : new Duration(Math.Min(put.Wait.Nanoseconds * 2, Retry.Most.Nanoseconds));
    }
}
