using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class TimerWheelTests
{
    private const uint Slot = 16;             // ticks, about a second
    private const uint Round = 16384 * Slot;  // about five hours

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_flow_is_never_given_out_before_its_deadline_and_at_the_latest_two_slots_after_it(int seed)
    {
        var random = new Random(seed);
        (TimerWheel wheel, FlowTable flows) = Make(4000);
        var deadlines = new Dictionary<int, uint>();
        uint now = 0;
        for (int step = 0; step < 20_000; step++)
        {
            if (deadlines.Count < 4000 && random.Next(3) > 0)
            {
                int id = Add(flows, step);
                deadlines[id] = now + (uint)random.Next(0, 5000);
                wheel.Schedule(id, deadlines[id]);
            }
            else if (deadlines.Count > 0 && random.Next(4) == 0)
            {
                int id = deadlines.Keys.ElementAt(random.Next(Math.Min(deadlines.Count, 50)));
                wheel.Unschedule(id);
                deadlines.Remove(id);
                flows.Remove(id);
            }

            now += (uint)random.Next(0, 6);
            for (int id = wheel.Take(now); id >= 0; id = wheel.Take(now))
            {
                Assert.True(deadlines.Remove(id, out uint deadline));
                Assert.True(deadline <= now, "too early");
                flows.Remove(id);
            }

            Assert.DoesNotContain(deadlines.Values, deadline => deadline + (2 * Slot) < now);
        }
    }

    [Fact]
    public void Deadlines_are_kept_where_ticks_begin_anew()
    {
        var random = new Random(1);
        (TimerWheel wheel, FlowTable flows) = Make(4000);
        var deadlines = new Dictionary<int, long>();
        long now = uint.MaxValue - 3_000L;
        Assert.Equal(-1, wheel.Take((uint)now));
        for (int step = 0; step < 6_000; step++)
        {
            if (deadlines.Count < 4000)
            {
                int id = Add(flows, step);
                deadlines[id] = now + random.Next(0, 5000);
                wheel.Schedule(id, (uint)deadlines[id]);
            }

            now += random.Next(0, 6);
            for (int id = wheel.Take((uint)now); id >= 0; id = wheel.Take((uint)now))
            {
                Assert.True(deadlines.Remove(id, out long deadline));
                Assert.True(deadline <= now, "too early");
                flows.Remove(id);
            }

            Assert.DoesNotContain(deadlines.Values, deadline => deadline + (2 * Slot) < now);
        }

        Assert.True(now > uint.MaxValue + 5_000L);
    }

    [Theory]
    [InlineData(3u)]
    [InlineData(17u)]
    [InlineData(1000u)]
    [InlineData(Round)]
    [InlineData(5 * Round)]
    [InlineData(uint.MaxValue / 2)]
    public void After_a_silence_of_any_length_everything_that_is_due_comes_out(uint jump)
    {
        (TimerWheel wheel, FlowTable flows) = Make(300);
        HashSet<int> waiting = [];
        for (int i = 0; i < 300; i++)
        {
            int id = Add(flows, i);
            wheel.Schedule(id, (uint)i * 700);
            waiting.Add(id);
        }

        for (int id = wheel.Take(jump); id >= 0; id = wheel.Take(jump))
        {
            Assert.True(waiting.Remove(id));
        }

        Assert.DoesNotContain(waiting, id => ((uint)id * 700) + (2 * Slot) < jump);
    }

    [Fact]
    public void A_deadline_further_away_than_the_wheel_reaches_comes_up_once_a_round_and_is_put_back()
    {
        (TimerWheel wheel, FlowTable flows) = Make(1);
        int id = Add(flows, 1);
        uint deadline = 3 * Round;
        wheel.Schedule(id, deadline);

        int visits = 0;
        for (uint now = 0; now <= deadline + (2 * Slot); now += Slot)
        {
            if (wheel.Take(now) >= 0)
            {
                visits++;
                if (deadline > now)
                {
                    wheel.Schedule(id, deadline);
                }
            }
        }

        Assert.InRange(visits, 3, 5);
        Assert.Equal(-1, wheel.Take(deadline + Round));
    }

    [Fact]
    public void A_deadline_that_has_passed_comes_up_with_the_next_slot()
    {
        (TimerWheel wheel, FlowTable flows) = Make(1);
        int id = Add(flows, 1);
        Assert.Equal(-1, wheel.Take(1000 * Slot));
        wheel.Schedule(id, 5);

        Assert.Equal(id, wheel.Take(1002 * Slot));
    }

    private static (TimerWheel Wheel, FlowTable Flows) Make(int capacity)
    {
        var flows = new FlowTable(capacity, new FlowHash(1));
        return (new TimerWheel(flows), flows);
    }

    private static int Add(FlowTable flows, int number)
    {
        var key = new FlowKey(Frames.Server, 17, number >> 16, (ushort)number, 1);
        return flows.Add(key, flows.Hash(key));
    }
}
