using System.Globalization;
using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

public sealed class DataplaneHostTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Timed_events_of_the_configuration_move_the_host_and_routes_follow()
    {
        using var rig = new HostRig();
        Assert.Equal(["add 2001:db8:a1::/64"], rig.Network.Told);

        rig.Time.Pass(TimeSpan.FromSeconds(10));
        rig.Settle();

        Assert.Equal(["add 2001:db8:a1::/64", "remove 2001:db8:a1::/64", "add 2001:db8:a2::/64"], rig.Network.Told);
        Assert.Equal(("ar2", 1), rig.Command(context => (context.Network.Current, context.Network.Moves)));
    }

    [Fact]
    public void A_move_tells_the_programs_of_stranded_connections_at_once()
    {
        using var rig = new HostRig();
        rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Syn, 1, 0));
        IpAddress typed = TestFrames.SourceOf(rig.Last);
        rig.Put(TestFrames.Tcp(HostRig.Server, typed.ToString(), 80, 1000, TestFrames.Syn | TestFrames.Ack, 100, 2));
        rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Ack, 2, 101));

        rig.Time.Pass(TimeSpan.FromSeconds(10));
        rig.Settle();

        Assert.Equal(IpAddress.Parse(HostRig.Inside), TestFrames.DestinationOf(rig.Last));
        Assert.Equal(0x14, rig.Last[14 + 40 + 13]);  // RST and ACK
        Assert.True(TestFrames.HasRightChecksum(rig.Last));
    }

    [Fact]
    public async Task Commands_attach_withdraw_and_detach_and_are_answered_after_the_routes_have_followed()
    {
        using var rig = new HostRig("internal: [fd00:a::2]");
        PrefixAdvertisement[] prefixes = [new(IpPrefix.Parse("2001:db8:a9::/64"), AddressType.Fixed)];
        Task<long> attached = rig.Host.RunAsync(Attach, Cancellation);
        Task<bool> withdrawn = rig.Host.RunAsync(
            context => context.Network.Withdraw(prefixes[0].Prefix, Duration.Zero, context.Now), Cancellation);
        Task<string?> detached = rig.Host.RunAsync(Detach, Cancellation);
        Assert.False(attached.IsCompleted);

        rig.Settle();

        Assert.Equal(0, await attached);
        Assert.True(await withdrawn);
        Assert.Null(await detached);
        Assert.Equal(["add 2001:db8:a9::/64", "remove 2001:db8:a9::/64"], rig.Network.Told);

        long Attach(ControlContext context)
        {
            context.Network.Attach("ar9", prefixes, null, context.Now);
            return context.Network.Moves;
        }

        static string? Detach(ControlContext context)
        {
            context.Network.Detach(context.Now);
            return context.Network.Current;
        }
    }

    [Fact]
    public void A_reading_has_what_the_shell_counted_until_then()
    {
        using var rig = new HostRig();
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        rig.Tap.WriteResult = -Errno.Eio;
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));

        DataplaneReading first = rig.Command(DataplaneReading.Take);
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        DataplaneReading second = rig.Command(DataplaneReading.Take);

        Assert.Equal((2, 1, 1), (first.Shell.FramesRead, first.Shell.FramesWritten, first.Shell.WritesWhileDown));
        Assert.Equal((3, 1, 2), (second.Shell.FramesRead, second.Shell.FramesWritten, second.Shell.WritesWhileDown));
        Assert.Equal(first.Shell.Commands + 1, second.Shell.Commands);
    }

    [Fact]
    public async Task A_command_that_fails_fails_for_its_caller_only()
    {
        using var rig = new HostRig();
        Task<int> wrong = rig.Host.RunAsync<int>(_ => throw new ArgumentException("no"), Cancellation);
        rig.Settle();

        await Assert.ThrowsAsync<ArgumentException>(() => wrong);
        Assert.Equal(1, rig.Command(_ => 1));
    }

    [Fact]
    public async Task Too_many_commands_are_refused_and_none_is_carried_out_for_somebody_who_has_gone()
    {
        using var rig = new HostRig();
        using var gone = new CancellationTokenSource();
        int carriedOut = 0;
        List<Task<int>> tasks = [];
        for (int i = 0; i < ControlQueue.Capacity; i++)
        {
            tasks.Add(rig.Host.RunAsync(_ => ++carriedOut, gone.Token));
        }

        InvalidOperationException refusal = await Assert.ThrowsAsync<InvalidOperationException>(
            () => rig.Host.RunAsync(_ => 0, Cancellation));
        await gone.CancelAsync();
        rig.Settle();

        Assert.Contains("wait already", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(0, carriedOut);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => tasks[0]);
    }

    [Fact]
    public async Task A_command_that_is_given_up_just_before_its_turn_is_not_answered_as_if_it_were_done()
    {
        using var over = new CancellationTokenSource();
        var command = new ControlCommand<string>(_ => "done", over.Token);
        Task<string> task = command.Task;

        // What is registered last is told first: the engine's thread comes before whoever waits knows.
        await using CancellationTokenRegistration turn = over.Token.Register(() =>
        {
            command.Execute(default);
            command.Answer();
            ((IAsyncResult)task).AsyncWaitHandle.WaitOne();
        });
        await over.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);
    }

    [Fact]
    public async Task A_stopped_run_finishes_what_came_takes_everything_back_and_takes_no_more_commands()
    {
        using var rig = new HostRig();
        rig.Tap.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        rig.Host.Stop();

        await Task.Run(rig.Host.Run, Cancellation);

        Assert.Single(rig.Tap.Written);
        Assert.Equal(["add 2001:db8:a1::/64", "apply", "take back"], rig.Network.Told);
        await Assert.ThrowsAsync<InvalidOperationException>(() => rig.Host.RunAsync(_ => 0, Cancellation));
    }

    // The kernel tells of it only those who listen already, and udev changes the address of a TAP that it has just seen.
    [Fact]
    public async Task A_hardware_address_that_changed_before_the_run_began_is_noticed()
    {
        using var rig = new HostRig();
        rig.Tap.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        rig.Host.Stop();

        await Task.Run(rig.Host.Run, Cancellation);

        Assert.NotEqual(MemoryTap.Address, rig.Tap.HardwareAddress);
        Assert.Equal(rig.Tap.HardwareAddress, MacAddress.Read(rig.Last));
    }

    [Fact]
    public async Task A_waiting_run_wakes_up_for_commands_and_for_the_end()
    {
        using var rig = new HostRig("internal: [fd00:a::2]");
        Task run = Task.Factory.StartNew(rig.Host.Run, Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

        for (int i = 0; i < 50; i++)
        {
            Assert.Equal(i, await rig.Host.RunAsync(_ => i, Cancellation));
        }

        rig.Host.Stop();
        await run;
    }

    [Fact]
    public async Task A_tap_that_is_deleted_ends_the_run_with_a_sentence_after_everything_is_taken_back()
    {
        using var rig = new HostRig();
        rig.Tap.ReadResult = -Errno.Ebadfd;

        HostException problem = await Assert.ThrowsAsync<HostException>(() => Task.Run(rig.Host.Run, Cancellation));

        Assert.Contains("od0 was deleted", problem.Message, StringComparison.Ordinal);
        Assert.Equal("take back", rig.Network.Told[^1]);
    }

    [Fact]
    public void A_prefix_that_cannot_be_routed_is_said_and_the_run_goes_on()
    {
        using var rig = new HostRig(refusesRoutes: true);

        Assert.Equal(
            "2001:db8:a1::/64 has no route into od0, so nothing will come back to it: No route today.", Assert.Single(rig.Said));
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        Assert.Single(rig.Tap.Written);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_route_that_cannot_be_removed_is_told_and_the_run_goes_on(bool refused)
    {
        using var rig = new HostRig();
        rig.Network.RemovalProblem = refused ? new HostException("Not today.") : new LinuxException("Not today.");

        rig.Time.Pass(TimeSpan.FromSeconds(10));
        rig.Settle().Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));

        Assert.Equal("2001:db8:a1::/64 is over, but its route into od0 stays until the end: Not today.", Assert.Single(rig.Said));
        Assert.StartsWith("2001:db8:a2:", TestFrames.SourceOf(rig.Last).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Events_out_of_order_are_refused_at_the_start()
    {
        Assert.Throws<ScenarioException>(() => new HostRig("""
            internal: [fd00:a::2]
            network: [{at: 5s, attach: ar1}, {at: 1.5, attach: ar2}]
            """));
    }

    [Fact]
    public void The_clock_never_goes_back_whatever_somebody_does_to_the_machines_time()
    {
        var time = new ManualTime();
        var clock = new HostClock(time);
        Timestamp before = clock.Now;

        time.Begin = time.Begin.AddYears(-1);
        time.Pass(TimeSpan.FromMilliseconds(3));

        Assert.Equal(3_000_000, clock.Now.Since(before).Nanoseconds);
        Assert.Equal(1_700_000_000, before.Nanoseconds / Timestamp.NanosecondsPerSecond);
    }

    [Fact]
    public async Task The_policy_that_is_told_is_the_one_in_force()
    {
        using var rig = new HostRig();
        ScenarioPolicy policy = rig.Host.Scenario.Policy with { Default = AddressType.Fixed };

        Task set = rig.Host.SetPolicyAsync(policy);
        Assert.Equal(AddressType.Nonpersistent, rig.Host.Scenario.Policy.Default);
        rig.Settle();
        await set;

        Assert.Equal(AddressType.Fixed, rig.Host.Scenario.Policy.Default);
    }

    [Fact]
    public void The_clock_of_a_run_is_the_one_that_counts_suspended_time_too()
    {
        long passed = BootTime.Instance.GetTimestamp();
        string[] uptime = File.ReadAllText("/proc/uptime").Split(' ');    // by the same clock, see proc_uptime(5)

        Assert.InRange(passed / 1e9, double.Parse(uptime[0], CultureInfo.InvariantCulture) - 60, double.Parse(uptime[0], CultureInfo.InvariantCulture) + 0.02);
        Assert.InRange(BootTime.Instance.GetElapsedTime(passed), TimeSpan.Zero, TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task What_fell_due_while_the_machine_was_suspended_is_done_though_nothing_wakes_the_loop()
    {
        var time = new ManualTime();
        var network = new QuietNetwork();
        using var tap = new BellTap();
        var running = new TaskCompletionSource();
        string yaml = HostRig.Nonpersistent.Replace("at: 10s", "at: 3600s", StringComparison.Ordinal);
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(yaml));
        using var host = new DataplaneHost(
            config, EngineSeeds.BuildOptions(config), tap, network, _ => running.TrySetResult(), time: time);
        Task run = Task.Factory.StartNew(host.Run, Cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await running.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        await Task.Delay(100, Cancellation);         // the loop sleeps, by a clock that the test does not move, until the move in an hour

        time.Pass(TimeSpan.FromHours(2));

        bool isDone = SpinWait.SpinUntil(() => network.Told.Count >= 4, TimeSpan.FromSeconds(60));
        host.Stop();
        await run.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        Assert.True(isDone);
        Assert.Equal(["apply", "add 2001:db8:a1::/64", "remove 2001:db8:a1::/64", "add 2001:db8:a2::/64"], network.Told[..4]);
    }

    [Fact]
    public void What_an_observer_is_told_makes_the_same_run_again()
    {
        var recorder = new RunRecorder();
        using var rig = new HostRig(HostRig.Nonpersistent, recorder);
        rig.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Syn, 1, 0));
        IpAddress typed = TestFrames.SourceOf(rig.Last);
        rig.Put(TestFrames.Tcp(HostRig.Server, typed.ToString(), 80, 1000, TestFrames.Syn | TestFrames.Ack, 100, 2));
        rig.Tap.Put(TestFrames.Tcp(HostRig.Inside, HostRig.Server, 1000, 80, TestFrames.Ack, 2, 101));
        rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));
        rig.Time.Pass(TimeSpan.FromSeconds(10));
        rig.Settle().Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, 1000, 53, new byte[20]));

        List<byte[]> again = recorder.Replay();

        Assert.Equal(rig.Tap.Written.Count, again.Count);
        Assert.Contains(recorder.Events, happened => happened.Kind == EngineEventKind.FlowStranded);
        for (int i = 0; i < again.Count; i++)
        {
            // Only the link header is the shell's.
            Assert.Equal(rig.Tap.Written[i][(Linux.Tap.VirtioNetHeader.Length + 14)..], again[i]);
        }
    }
}
