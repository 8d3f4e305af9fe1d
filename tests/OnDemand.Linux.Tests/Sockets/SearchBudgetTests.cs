using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class SearchBudgetTests
{
    private static readonly SocketRecord Socket = new() { Uid = 7, CgroupId = 8 };

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void So_many_searches_may_follow_one_another_and_then_a_sixteenth_of_the_time(int burst)
    {
        var clock = new Clock();
        var budget = new SearchBudget(clock, burst);
        for (int i = 0; i < burst; i++)
        {
            Assert.True(Search(budget, clock, SearchBudget.Most));
        }

        Assert.False(Search(budget, clock, default));
        clock.Pass(SearchBudget.Most * 15);
        Assert.False(Search(budget, clock, default));
        clock.Pass(SearchBudget.Most);
        Assert.True(Search(budget, clock, SearchBudget.Most));
        Assert.False(Search(budget, clock, default));

        clock.Pass(TimeSpan.FromHours(1));
        for (int i = 0; i < burst; i++)
        {
            Assert.True(Search(budget, clock, SearchBudget.Most));
        }

        Assert.False(Search(budget, clock, default));
    }

    [Fact]
    public void A_search_in_vain_is_not_made_again_for_the_same_user_and_cgroup_within_a_second()
    {
        var clock = new Clock();
        var budget = new SearchBudget(clock, 8);
        Assert.True(Search(budget, clock, default, isUseless: true));
        Assert.False(Search(budget, clock, default));
        Assert.True(budget.TryBegin(Socket with { Uid = 9 }));
        budget.End(Socket with { Uid = 9 }, isUseless: false);

        clock.Pass(TimeSpan.FromSeconds(1));
        Assert.True(Search(budget, clock, default));
    }

    private static bool Search(SearchBudget budget, Clock clock, TimeSpan takes, bool isUseless = false)
    {
        if (!budget.TryBegin(Socket))
        {
            return false;
        }

        clock.Pass(takes);
        budget.End(Socket, isUseless);
        return true;
    }

    private sealed class Clock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now;

        public void Pass(TimeSpan time) => _now += time.Ticks;
    }
}
