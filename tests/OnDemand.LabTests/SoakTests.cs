using System.Diagnostics;
using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>
/// An hour in minutes: idle times, lingering and windows are a fraction of what they are by default, so that all that a dataplane lives
/// through in an hour happens many times. ONDEMAND_TEST_SCALE makes it longer.
/// </summary>
public sealed class SoakTests
{
    private const int FixedPort = 7011;
    private const string Graceful = "2001:db8:91:1::/64";
    private static readonly TimeSpan Never = TimeSpan.FromSeconds(30);

    // The warm-up ends when everything has been taken once that is taken at all (tables, the runtime's heap, its compiled code): when
    // in ten seconds less than a hundredth was added. It ends anyway; what still grows then fails.
    private static readonly TimeSpan LongestWarmUp = TimeSpan.FromSeconds(90);
    private const int Settled = 240;    // looks: a minute at least
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Burst = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(4);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static TimeSpan Length => TimeSpan.FromSeconds(60 * (int.TryParse(
        Environment.GetEnvironmentVariable("ONDEMAND_TEST_SCALE"), NumberStyles.None, CultureInfo.InvariantCulture, out int scale)
        && scale > 0 ? scale : 1));

    [Fact]
    public async Task Memory_stays_as_it_is_while_thousands_of_flows_come_and_go_and_the_host_moves_all_the_time()
    {
        LabRig.Need();
        string file = Path.Combine(Path.GetTempPath(), $"ondemand-{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(file, Scenario, Cancellation);
        try
        {
            await using LabRig rig = await LabRig.UpAsync(file);
            await SoakAsync(rig);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static async Task SoakAsync(LabRig rig)
    {
        using var churn = new Churn(rig);
        using (Transfers transfers = await Transfers.BeginAsync(rig, FixedPort))
        {
            using var stop = new CancellationTokenSource();
            Task[] all = [churn.RunAsync(Burst, Rest, stop.Token), MoveAsync(rig, stop.Token), AskAsync(rig, stop.Token)];
            ProcessSamples samples = await SampleAsync(rig, Task.WhenAny(all));
            await stop.CancelAsync();
            await Task.WhenAll(all).WaitAsync(Never, Cancellation);
            await transfers.AssertGoOnAsync();
            await transfers.AssertWholeAsync();

            AssertFlat(samples, $"{churn.Connections} connections, {churn.Exchanges} exchanges, {churn.Cut} cut, {rig.Lab.State.Moves} moves");
            Assert.True(churn.Connections > 2000 && churn.Exchanges > 2000, $"{churn.Connections} and {churn.Exchanges}");
            using var client = new ControlClient(rig.Lab.Directory.Control);
            Assert.True((await client.CountersAsync(Cancellation)).NetworkRequests > 5, "The network was hardly ever asked for a prefix.");
        }

        await AssertEmptiesAsync(rig);
    }

    // Until the time is over, or something has ended that should not have.
    private static async Task<ProcessSamples> SampleAsync(LabRig rig, Task ended)
    {
        int process = rig.Lab.State.Dataplane!.Id;
        var before = new ProcessSamples(process);
        await TakeAsync(before, LongestWarmUp, () => ended.IsCompleted || (before.Count >= Settled
            && before.Median(^20..).Resident - before.Median(^60..^40).Resident < before.Median(^20..).Resident / 100));
        var samples = new ProcessSamples(process);
        await TakeAsync(samples, Length, () => ended.IsCompleted);
        return samples;
    }

    private static async Task TakeAsync(ProcessSamples samples, TimeSpan length, Func<bool> enough)
    {
        long began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < length && !enough())
        {
            samples.Take();
            await Task.Delay(Look, Cancellation);
        }
    }

    private static void AssertFlat(ProcessSamples samples, string what)
    {
        int few = samples.Count / 8;
        (long Resident, long Threads, long Files) first = samples.Median(..few);
        (long Resident, long Threads, long Files) last = samples.Median(^few..);
        string numbers = $"{first} at first and {last} at last, after {what}";
        TestContext.Current.TestOutputHelper?.WriteLine(numbers);
        Assert.True(Math.Abs(last.Resident - first.Resident) * 20 <= first.Resident, numbers);
        Assert.True(last.Threads <= first.Threads + 1, numbers);
        Assert.True(last.Files <= first.Files + 2, numbers);
    }

    private static async Task MoveAsync(LabRig rig, CancellationToken stop)
    {
        for (int move = 0; !stop.IsCancellationRequested; move++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), Cancellation);
            await rig.MoveAsync(move % 2 == 0 ? LabNodes.SecondRouter : LabNodes.FirstRouter, windowSeconds: 1);
            if (move % 4 == 3)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(300), Cancellation);
                await rig.Lab.WithdrawAsync(IpPrefix.Parse(Graceful), Duration.FromMilliseconds(300), Cancellation);
            }
        }
    }

    // Half of it over a connection that stays, half over new ones, as commands do.
    private static async Task AskAsync(LabRig rig, CancellationToken stop)
    {
        using var staying = new ControlClient(rig.Lab.Directory.Control);
        while (!stop.IsCancellationRequested)
        {
            using var passing = new ControlClient(rig.Lab.Directory.Control);
            foreach (ControlClient client in new[] { staying, passing })
            {
                Assert.True((await client.StatusAsync(Cancellation)).Flows > 0);
                Assert.NotEmpty((await client.FlowsAsync(null, null, 1000, Cancellation)).Flows);
                Assert.NotEmpty((await client.CountersAsync(Cancellation)).Verdicts);
                await Task.Delay(TimeSpan.FromMilliseconds(25), Cancellation);
            }
        }
    }

    // What asked for a prefix has gone: Session-Lasting is released, and of the addresses that were made few are left.
    private static async Task AssertEmptiesAsync(LabRig rig)
    {
        using var client = new ControlClient(rig.Lab.Directory.Control);
        StatusResource status = await client.StatusAsync(Cancellation);
        bool empties = await LabRig.BecomesAsync(
            async () => (status = await client.StatusAsync(Cancellation)) is { Flows: 0, Prefixes.Count: <= 3, Addresses: <= 3 }, Never);
        FlowsResource left = await client.FlowsAsync(null, null, 10, Cancellation);
        Assert.True(
            empties,
            $"{status.Flows} flows ({string.Join(", ", left.Flows)}), {status.Addresses} addresses, " +
            string.Join(", ", status.Prefixes.Select(one => one.Prefix)));
    }

    private const string Scenario =
        """
        seed: 42
        internal: [fd00:db8::1]
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:a1:1::/64, type: nonpersistent, preferred: 20s, valid: 40s}
              - {prefix: 2001:db8:91:1::/64, type: graceful-replacement}
          - at: 1h
            attach: ar2
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:a2:1::/64, type: nonpersistent, preferred: 20s, valid: 40s}
              - {prefix: 2001:db8:92:1::/64, type: graceful-replacement}
        on-demand:
          session-lasting: {answer: grant, prefix: 2001:db8:51:1::/64, delay: 5ms}
        policy:
          default: legacy
          rules:
            - {remote-port: 7001, type: fixed}
            - {remote-port: 7002, type: session-lasting}
            - {remote-port: 7003, type: nonpersistent}
            - {remote-port: 7004, type: graceful-replacement}
            - {remote-port: 7011, type: fixed}
            - {remote-port: 9001, type: fixed}
            - {remote-port: 9002, type: session-lasting}
            - {remote-port: 9003, type: nonpersistent}
            - {remote-port: 9004, type: graceful-replacement}
        linger: 1s
        timers: {tcp-established: 10s, tcp-opening: 2s, tcp-closing: 500ms, udp: 1s, icmp: 1s, other: 1s}
        """;
}
