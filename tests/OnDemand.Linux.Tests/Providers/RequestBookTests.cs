using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Providers;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

public sealed class RequestBookTests
{
    private static readonly Timestamp Begin = Timestamp.FromSeconds(1_700_000_000);

    [Fact]
    public void Whatever_the_schedule_the_book_does_what_its_model_does()
    {
        Prop.ForAll<int[]>(steps =>
        {
            var model = new BookModel();
            Array.ForEach(steps ?? [], model.Step);
            model.End();
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Long_schedules_end_with_an_empty_book()
    {
        long attempts = 0;
        long taken = 0;
        for (int seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var model = new BookModel();
            for (int step = 0; step < 500; step++)
            {
                model.Step(random.Next());
            }

            model.End();
            attempts += model.Attempts;
            taken += model.Taken;
        }

        Assert.True(attempts > 1000 && taken > 100, $"{attempts} attempts and {taken} answers show little.");
    }

    [Fact]
    public void Equal_questions_are_one_request_whose_answer_is_for_both()
    {
        var book = new RequestBook(RetryTimes.Usual, 1);
        book.Reach(Begin);
        book.Ask(new PrefixRequest(11, AddressType.Fixed, false), Begin.Add(Duration.FromSeconds(10)), Begin);
        book.Ask(new PrefixRequest(12, AddressType.Fixed, false), Begin.Add(Duration.FromSeconds(10)), Begin);
        book.Ask(new PrefixRequest(13, AddressType.Fixed, true), Begin.Add(Duration.FromSeconds(10)), Begin);

        Assert.True(book.TrySend(Begin, out RequestAttempt first));
        Assert.True(book.TrySend(Begin, out RequestAttempt second));
        Assert.False(book.TrySend(Begin, out _));

        Assert.Equal((false, true), (first.OnNet, second.OnNet));
        Assert.Equal(AnswerFate.Taken, book.Answer(first.Number, out IReadOnlyList<int>? questions));
        Assert.Equal([11, 12], questions!);
        Assert.Equal(AnswerFate.Late, book.Answer(first.Number, out _));
        Assert.Equal(AnswerFate.Unknown, book.Answer(second.Number + 1, out _));
        Assert.Equal(1, book.Late);
    }

    [Fact]
    public void A_silent_network_is_asked_again_ever_less_often_until_the_time_is_up()
    {
        var book = new RequestBook(RetryTimes.Usual, 1);
        book.Reach(Begin);
        book.Ask(new PrefixRequest(1, AddressType.Fixed, false), Begin.Add(Duration.FromSeconds(10)), Begin);
        List<double> times = [];
        int canceled = 0;
        for (int question = 0; canceled == 0;)
        {
            Timestamp now = book.Next;
            if (book.TrySend(now, out _))
            {
                times.Add(now.Since(Begin).Nanoseconds / 1e9);
            }
            else
            {
                Assert.True(book.TryGiveUp(now, out question, out canceled));
                Assert.Equal((1, Duration.FromSeconds(10)), (question, now.Since(Begin)));
            }
        }

        // After 0, 1, 3 and 7 seconds, each wait a tenth more or less.
        Assert.Equal(4, times.Count);
        Assert.Equal(0, times[0]);
        Assert.InRange(times[1], 0.9, 1.1);
        Assert.InRange(times[2] - times[1], 1.8, 2.2);
        Assert.InRange(times[3] - times[2], 3.6, 4.4);
        Assert.NotEqual(1.0, times[1]);
    }

    [Fact]
    public void The_same_seed_gives_the_same_times_and_another_seed_others()
    {
        Assert.Equal(FirstRetry(5), FirstRetry(5));
        Assert.NotEqual(FirstRetry(5), FirstRetry(6));

        static Timestamp FirstRetry(ulong seed)
        {
            var book = new RequestBook(RetryTimes.Usual, seed);
            book.Reach(Begin);
            book.Ask(new PrefixRequest(1, AddressType.Fixed, false), Begin.Add(Duration.FromSeconds(10)), Begin);
            Assert.True(book.TrySend(Begin, out _));
            return book.Next;
        }
    }

    [Fact]
    public void A_network_that_is_lost_and_found_is_asked_everything_again_at_once()
    {
        var book = new RequestBook(RetryTimes.Usual, 1);
        book.Ask(new PrefixRequest(1, AddressType.Fixed, false), Begin.Add(Duration.FromSeconds(10)), Begin);
        Assert.False(book.TrySend(Begin, out _));
        Assert.Equal(Begin.Add(Duration.FromSeconds(10)), book.Next);

        book.Reach(Begin);
        Assert.True(book.TrySend(Begin, out RequestAttempt first));
        book.Lose();
        Timestamp later = Begin.Add(Duration.FromMilliseconds(1500));
        Assert.False(book.TrySend(later, out _));
        book.Reach(later);

        Assert.True(book.TrySend(later, out RequestAttempt again));
        Assert.Equal((first.Number, 2, Duration.FromMilliseconds(8500)), (again.Number, again.Attempt, again.Left));
    }
}
