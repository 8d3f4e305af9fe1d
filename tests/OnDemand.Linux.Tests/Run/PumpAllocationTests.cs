using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class PumpAllocationTests
{
    [Fact]
    public void Steady_traffic_in_both_directions_allocates_nothing()
    {
        using var rig = new HostRig();
        rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Syn, 1, 0));
        IpAddress typed = TestFrames.SourceOf(rig.Last);
        rig.Put(TestFrames.Tcp(HostRig.Server, typed.ToString(), 80, 1000, TestFrames.Syn | TestFrames.Ack, 100, 2));
        rig.Tap.Keeps = false;
        byte[] there = Whole(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Ack, 2, 101, 1000));
        byte[] back = Whole(TestFrames.Tcp(HostRig.Server, typed.ToString(), 80, 1000, TestFrames.Ack, 101, 1002, 1000));
        byte[] odd = Whole(TestFrames.Udp(HostRig.Server, HostRig.Prefix + "dead", 53, 1000, new byte[20]));

        Assert.Equal(0, LeastAllocated(() => Traffic(rig, there, back, odd, 1500)));
        Assert.Equal(4 * 2 * 1500 * 16, rig.Tap.Writes - 2);
    }

    [Fact]
    public void New_flows_and_what_the_engine_answers_allocate_nothing()
    {
        using var rig = new HostRig();
        rig.Tap.Keeps = false;
        byte[] question = Whole(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        byte[] segment = Whole(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Ack, 2, 101, 10));
        int port = 0;

        Assert.Equal(0, LeastAllocated(() => NewFlows(rig, question, segment, port, port += 1000)));
        Assert.Equal(8000, rig.Tap.Writes);
    }

    [Fact]
    public void Queues_that_take_turns_allocate_nothing()
    {
        using var rig = new HostRig(queues: 2);
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        IpAddress typed = TestFrames.SourceOf(rig.Last);
        byte[] question = Whole(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        byte[] answer = Whole(TestFrames.Udp(HostRig.Server, typed.ToString(), 53, 1000, new byte[20]));
        FramePump[] pumps = rig.Host.Pumps;
        foreach (MemoryTap tap in rig.Taps)
        {
            tap.Keeps = false;
        }

        Assert.Equal(0, LeastAllocated(() =>
        {
            for (int i = 0; i < 3000; i++)
            {
                rig.Tap.PutWhole(question);
                rig.Taps[1].PutWhole(answer);
                rig.Taps[1].PutWhole(question);
                while (rig.Host.Turn() | pumps[1].Turn(out _))
                {
                    // Until both are empty.
                }
            }
        }));
        Assert.Equal((4 * 3000) + 1, rig.Tap.Writes);
        Assert.Equal(4 * 2 * 3000, rig.Taps[1].Writes);
    }

    // After a first walk of the same path. What the runtime takes once, whenever it compiles a method anew, is in none or one of three.
    private static long LeastAllocated(Action walk)
    {
        walk();
        long least = long.MaxValue;
        for (int i = 0; i < 3; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            walk();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }

    private static void Traffic(HostRig rig, byte[] there, byte[] back, byte[] odd, int rounds)
    {
        for (int round = 0; round < rounds; round++)
        {
            for (int i = 0; i < 16; i++)
            {
                rig.Tap.PutWhole(there);
                rig.Tap.PutWhole(back);
            }

            rig.Tap.PutWhole(odd);
            rig.Time.Pass(TimeSpan.FromMilliseconds(1));
            rig.Settle();
        }
    }

    private static void NewFlows(HostRig rig, byte[] question, byte[] segment, int first, int end)
    {
        const int port = VirtioNetHeader.Length + 14 + 40;
        for (int i = first; i < end; i++)
        {
            question[port] = segment[port] = (byte)(i >> 8);
            question[port + 1] = segment[port + 1] = (byte)i;
            rig.Tap.PutWhole(question);
            rig.Tap.PutWhole(segment);
            rig.Settle();
        }
    }

    private static byte[] Whole(byte[] frame) => [.. new byte[VirtioNetHeader.Length], .. frame];
}
