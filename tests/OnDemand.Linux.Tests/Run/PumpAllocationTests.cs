using OnDemand.Dataplane.Wire;
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
        Traffic(rig, there, back, odd, 200);

        long before = GC.GetAllocatedBytesForCurrentThread();
        Traffic(rig, there, back, odd, 2000);
        long after = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal(0, after - before);
        Assert.Equal(2 * 2200 * 16, rig.Tap.Writes - 2);
    }

    [Fact]
    public void New_flows_and_what_the_engine_answers_allocate_nothing()
    {
        using var rig = new HostRig();
        rig.Tap.Keeps = false;
        byte[] question = Whole(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        byte[] segment = Whole(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Ack, 2, 101, 10));
        NewFlows(rig, question, segment, 0, 2000);

        long before = GC.GetAllocatedBytesForCurrentThread();
        NewFlows(rig, question, segment, 2000, 4000);
        long after = GC.GetAllocatedBytesForCurrentThread();

        Assert.Equal(0, after - before);
        Assert.Equal(8000, rig.Tap.Writes);
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
