using System.Reflection;
using System.Text;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Several queues of one TAP, which share one engine.</summary>
public sealed class QueueTests
{
    private const string SessionLasting = """
        internal: [fd00:a::2]
        seed: 1
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:51::/64", type: session-lasting}]}
        policy: {default: session-lasting}
        """;

    private const string Asking = """
        internal: [fd00:a::2]
        seed: 1
        network: [{at: 0s, attach: ar1}]
        on-demand: {session-lasting: {answer: grant, prefix: "2001:db8:51::/64", delay: 200ms}}
        policy: {default: session-lasting}
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void A_flow_has_one_address_whichever_queue_its_frames_come_through()
    {
        using var rig = new HostRig(queues: 3);
        for (int queue = 0; queue < 3; queue++)
        {
            rig.Put(queue, Question(1000));
        }

        IpAddress[] typed = [.. rig.Taps.Select(tap => TestFrames.SourceOf(Frame(Assert.Single(tap.Written))))];
        Assert.True(IpPrefix.Parse("2001:db8:a1::/64").Contains(typed[0]));
        Assert.Equal([typed[0], typed[0], typed[0]], typed);
        Assert.Equal(1, rig.Command(context => context.Engine.FlowCount));

        rig.Put(2, TestFrames.Udp(HostRig.Server, typed[0].ToString(), 53, 1000, new byte[20]));
        byte[] answer = Frame(rig.Taps[2].Written[^1]);
        Assert.Equal(IpAddress.Parse(HostRig.Inside), TestFrames.DestinationOf(answer));
        Assert.True(TestFrames.HasRightChecksum(answer));
    }

    [Fact]
    public void What_the_engine_says_goes_out_of_the_queue_whose_frame_made_it_say_so()
    {
        using var rig = new HostRig("""
            internal: [fd00:a::2]
            seed: 1
            network: [{at: 0s, attach: ar1}]
            on-demand: {fixed: {answer: unsupported}}
            policy: {default: fixed}
            """, queues: 2);

        rig.Put(1, Question(1000));

        Assert.Empty(rig.Tap.Written);
        byte[] refusal = Frame(Assert.Single(rig.Taps[1].Written));
        Assert.Equal((58, 1), (refusal[14 + 6], refusal[14 + 40]));      // ICMPv6, destination unreachable
        Assert.Equal(IpAddress.Parse(HostRig.Inside), TestFrames.DestinationOf(refusal));
    }

    [Fact]
    public void Each_queue_counts_its_own_frames_and_the_whole_is_their_sum()
    {
        using var rig = new HostRig(queues: 3);
        rig.Put(0, Question(1000)).Put(2, Question(1001)).Put(2, Question(1002)).Put(2, [1, 2, 3]);

        ShellCounters counters = rig.Command(context => context.Shell);

        Assert.Equal([(1, 1), (0, 0), (3, 2)], counters.Queues);
        Assert.Equal((4, 3, 3, 1), (counters.FramesRead, counters.FramesWritten, counters.Batches, counters.ShortFrames));
        Assert.Equal((3 * 82) + 3, counters.OctetsRead);
        Assert.Equal(1, rig.Command(context => context.Shell).Commands);
    }

    [Fact]
    public void A_sum_leaves_no_counter_out()
    {
        PropertyInfo[] counts = [.. typeof(ShellCounters).GetProperties().Where(count => count.PropertyType == typeof(long))];
        ShellCounters[] queues = [new(), new()];
        for (int i = 0; i < counts.Length; i++)
        {
            counts[i].SetValue(queues[0], 1000L + i);
            counts[i].SetValue(queues[1], 5L * i);
        }

        var sum = ShellCounters.Sum(queues);

        Assert.True(counts.Length > 15);
        Assert.Equal(counts.Select((count, i) => (count.Name, 1000L + (6 * i))), counts.Select(count => (count.Name, (long)count.GetValue(sum)!)));
    }

    // What is written is judged frame by frame: every one with its flow's one address and a right checksum, none twice, none lost.
    [Fact]
    public async Task Threads_of_several_queues_share_the_engine_and_every_frame_arrives_once()
    {
        const int queues = 4;
        const int flows = 300;
        const int rounds = 40;
        using var rig = new HostRig(SessionLasting, queues: queues);
        for (int round = 0; round < rounds; round++)
        {
            for (int flow = 0; flow < flows; flow++)
            {
                rig.Taps[(flow + round) % queues].Put(Question(1000 + flow, round));
            }
        }

        using var begin = new Barrier(queues);
        bool done = false;
        Task[] others = [.. Enumerable.Range(1, queues - 1).Select(queue => Task.Factory.StartNew(
            () =>
            {
                FramePump pump = rig.Host.Pumps[queue];
                begin.SignalAndWait(Cancellation);
                while (pump.Turn(out _))
                {
                    // Until there is nothing left in it.
                }
            },
            Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        begin.SignalAndWait(Cancellation);
        Task all = Task.WhenAll(others);
        long looks = 0;
        while (!done)
        {
            done = all.IsCompleted;                  // before the turn: what they left is done in it
            Task<int> look = rig.Host.RunAsync(context => context.Engine.FlowCount, Cancellation);
            while (rig.Host.Turn())
            {
                // Commands, and the first queue's frames.
            }

            Assert.InRange(await look, 0, flows);
            looks++;
        }

        await all;
        Assert.True(looks > 0);
        Dictionary<int, IpAddress> sources = [];
        HashSet<(int Port, int Round)> seen = [];
        foreach (byte[] whole in rig.Taps.SelectMany(tap => tap.Written))
        {
            byte[] frame = Frame(whole);
            int port = (frame[14 + 40] << 8) | frame[14 + 41];
            Assert.True(TestFrames.HasRightChecksum(frame));
            Assert.True(seen.Add((port, frame[14 + 48])));
            sources.TryAdd(port, TestFrames.SourceOf(frame));
            Assert.Equal(sources[port], TestFrames.SourceOf(frame));
        }

        Assert.Equal((flows * rounds, flows), (seen.Count, sources.Count));
        Assert.All(sources.Values, source => Assert.True(IpPrefix.Parse("2001:db8:51::/64").Contains(source)));
        Assert.Equal(flows * rounds, rig.Command(context => context.Engine.Counters.Of(ForwardReason.Rewritten)));
    }

    [Fact]
    public async Task An_answer_of_the_network_to_a_question_of_another_queue_is_taken_in_time()
    {
        using var first = new BellTap();
        using var second = new BellTap();
        using DataplaneHost host = Make(first, second);
        Task run = Start(host.Run);

        second.Put(Question(1000));                  // while the first queue's thread sleeps, with nothing to wake it

        byte[] frame = first.Await(1)[0];            // the network's answer is the first queue's business
        Assert.True(IpPrefix.Parse("2001:db8:51::/64").Contains(TestFrames.SourceOf(frame)));
        second.Put(Question(1000));
        Assert.Equal(TestFrames.SourceOf(frame), TestFrames.SourceOf(second.Await(1)[0]));
        host.Stop();
        await run.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
    }

    [Fact]
    public void The_first_queues_thread_is_woken_for_what_falls_due_earlier_than_it_sleeps_and_for_nothing_else()
    {
        using var rig = new HostRig(Asking, queues: 2);
        Assert.Equal(Timestamp.Never, rig.Host.FallAsleep());

        rig.Put(1, Question(1000));                  // the network is asked, and answers in 200 ms

        Assert.True(IsRung(rig.Host));
        Assert.Equal(rig.Host.Now.Add(Duration.FromMilliseconds(200)), rig.Host.FallAsleep());
        Assert.Empty(rig.Tap.Written);
        rig.Time.Pass(TimeSpan.FromMilliseconds(200));
        rig.Settle();
        Assert.Single(rig.Tap.Written);

        using var quiet = new HostRig(SessionLasting, queues: 2);
        quiet.Put(0, Question(1000));
        Assert.NotEqual(Timestamp.Never, quiet.Host.FallAsleep());
        quiet.Put(1, Question(1000));
        Assert.False(IsRung(quiet.Host));
    }

    private static bool IsRung(DataplaneHost host)
    {
        PollEntry[] waits = [new PollEntry { Descriptor = host.WakeUpDescriptor, Wanted = Libc.PollIn }];
        TimeSpec now = default;
        unsafe
        {
            return Libc.Poll(waits, 1, &now, 0) > 0;
        }
    }

    [Fact]
    public async Task At_the_end_what_is_in_every_queue_goes_where_it_was_sent_to()
    {
        using var first = new BellTap();
        using var second = new BellTap();
        using DataplaneHost host = Make(first, second, SessionLasting);
        Task run = Start(host.Run);
        second.Put(Question(1000));
        second.Await(1);
        await Task.Delay(100, Cancellation);         // its thread sleeps
        second.Put(Question(1000), silently: true);

        host.Stop();
        await run.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);

        Assert.Equal(2, second.Await(2).Length);
    }

    [Fact]
    public async Task What_fails_in_another_queue_ends_the_run_with_its_reason_and_the_host_gets_its_network_back()
    {
        using var first = new BellTap();
        using var second = new BellTap();
        var network = new QuietNetwork();
        using DataplaneHost host = Make(first, second, SessionLasting, network);
        Task run = Start(host.Run);

        second.Fails = new InvalidOperationException("broken on purpose");
        second.Ring();

        InvalidOperationException reason = await Assert.ThrowsAsync<InvalidOperationException>(() => run.WaitAsync(TimeSpan.FromSeconds(30), Cancellation));
        Assert.Equal("broken on purpose", reason.Message);
        Assert.Equal("take back", network.Told[^1]);
    }

    [Fact]
    public async Task A_TAP_that_another_queue_finds_gone_ends_the_run()
    {
        using var first = new BellTap();
        using var second = new BellTap();
        using DataplaneHost host = Make(first, second, SessionLasting);
        Task run = Start(host.Run);

        second.ReadResult = -Errno.Ebadfd;
        second.Ring();

        HostException reason = await Assert.ThrowsAsync<HostException>(() => run.WaitAsync(TimeSpan.FromSeconds(30), Cancellation));
        Assert.StartsWith("The TAP od0 was deleted", reason.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_recorded_of_several_queues_has_one_order_and_happens_again()
    {
        var recorder = new RunRecorder();
        using var rig = new HostRig(observer: recorder, queues: 2);
        rig.Put(1, Question(1000)).Put(0, Question(1001)).Put(1, Question(1001));
        rig.Time.Pass(TimeSpan.FromSeconds(11));     // the host moves
        rig.Settle().Put(1, Question(1000)).Put(0, Question(1000));
        byte[][] written = [.. rig.Taps.SelectMany(tap => tap.Written).Select(whole => Frame(whole)[14..])];

        List<byte[]> again = recorder.Replay();

        Assert.Equal(5, written.Length);
        Assert.Equal(written.Select(Convert.ToHexString).Order(), again.Select(Convert.ToHexString).Order());
    }

    private static DataplaneHost Make(BellTap first, BellTap second, string yaml = Asking, QuietNetwork? network = null)
    {
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(yaml));
        return new DataplaneHost(config, EngineSeeds.BuildOptions(config), first, network ?? new QuietNetwork(), _ => { }, otherQueues: [second]);
    }

    private static Task Start(Action run) =>
        Task.Factory.StartNew(run, Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static byte[] Question(int port, int number = 0)
    {
        byte[] payload = new byte[20];
        payload[0] = (byte)number;
        return TestFrames.Udp(HostRig.Inside, HostRig.Server, (ushort)port, 53, payload);
    }

    private static byte[] Frame(byte[] whole) => whole[VirtioNetHeader.Length..];
}
