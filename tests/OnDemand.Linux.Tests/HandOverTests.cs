using Xunit;

namespace OnDemand.Linux.Tests;

/// <summary>The queue between two threads.</summary>
public sealed class HandOverTests
{
    [Fact]
    public void What_is_given_is_taken_in_order_and_what_finds_no_room_is_refused()
    {
        var queue = new HandOver<int>(3);
        Assert.True(queue.IsEmpty);
        for (int round = 0; round < 10; round++)
        {
            Assert.True(queue.TryGive(round));
            Assert.True(queue.TryGive(round + 1));
            Assert.True(queue.TryGive(round + 2));
            Assert.False(queue.TryGive(99));
            Assert.False(queue.IsEmpty);
            for (int i = 0; i < 3; i++)
            {
                Assert.True(queue.TryTake(out int taken));
                Assert.Equal(round + i, taken);
            }

            Assert.False(queue.TryTake(out _));
        }
    }

    [Fact]
    public void Two_threads_lose_nothing_and_keep_the_order()
    {
        const long many = 2_000_000;
        var queue = new HandOver<(long Number, long Check)>(64);
        var giver = new Thread(() =>
        {
            for (long i = 0; i < many;)
            {
                i += queue.TryGive((i, ~i)) ? 1 : 0;
            }
        });
        giver.Start();

        long expected = 0;
        while (expected < many)
        {
            if (queue.TryTake(out (long Number, long Check) taken))
            {
                Assert.True(taken.Number == expected && taken.Check == ~expected, $"{taken} instead of {expected}");
                expected++;
            }
        }

        giver.Join();
        Assert.True(queue.IsEmpty);
    }
}
