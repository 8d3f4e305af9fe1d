using System.Globalization;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>The processor of the packet path's thread, as the kernel tells it in /proc (proc_pid_status(5)).</summary>
public sealed class EnginePlaceTests
{
    [Theory]
    [InlineData("", 1)]
    [InlineData(", cpu: stay", 1)]
    [InlineData(", cpu: any", 0)]
    [InlineData(", cpu: last", 1)]
    [InlineData(", queues: 2", 2)]
    [InlineData(", queues: 2, cpu: any", 0)]
    public void Each_thread_of_the_packet_path_stays_where_it_shall_and_the_others_go_anywhere(string choice, int kept)
    {
        string own = Allowed("self");
        Assert.SkipUnless(ProcessorSet.OfThread().Count > 1, "There is one processor only, on which everything runs anyway.");
        using var lab = new RoutedLab();
        string last = own.Split(',', '-')[^1];
        LabProgram run = lab.Run(LiveHostTests.Config + lab.HostMap(choice.Replace("last", last, StringComparison.Ordinal)));
        lab.Host($"ping -c 1 {RoutedLab.Server}");

        string[] places = [.. Directory.GetDirectories($"/proc/{run.Process.Id}/task").Select(thread => Allowed(thread["/proc/".Length..]))];
        string[] single = [.. places.Where(place => place != own)];

        Assert.Equal((kept, kept), (single.Length, single.Distinct().Count()));
        Assert.True(places.Length > 5);
        Assert.All(single, place => Assert.True(ProcessorSet.OfThread().Contains(int.Parse(place, CultureInfo.InvariantCulture))));
        Assert.True(!choice.EndsWith("last", StringComparison.Ordinal) || single[0] == last);
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void A_processor_that_is_not_there_is_named_before_anything_is_set_up()
    {
        using var lab = new RoutedLab();
        string before = lab.State();

        LabProgram run = lab.StartRun(LiveHostTests.Config + lab.HostMap(", cpu: 8191"));

        Assert.Equal(4, run.Wait());
        Assert.Equal(
            $"ondemand: The packet path cannot run on processor 8191: 'host: cpu' must name one of {Allowed("self")}, on which this program may run, "
                + "or be 'stay' or 'any'.",
            run.Said);
        Assert.Equal(before, lab.State());
    }

    [Fact]
    public void A_set_is_written_as_the_kernel_writes_it() => Assert.Equal(Allowed("thread-self"), ProcessorSet.OfThread().ToString());

    // As a thread of its own: the others of the test run shall stay free. What the engine's thread makes the runtime start is not bound to it.
    [Fact]
    public void A_thread_that_stays_does_not_keep_the_threads_that_it_starts()
    {
        string own = Allowed("self");
        (string Before, string Kept, string Young) seen = default;
        var thread = new Thread(() =>
        {
            seen.Before = Allowed("thread-self");
            EnginePlace.Take(new ProcessorChoice(ProcessorRule.Stay, 0));
            seen.Kept = Allowed("thread-self");
            var young = new Thread(() => seen.Young = Allowed("thread-self"));
            young.Start();
            young.Join();
        });
        thread.Start();
        thread.Join();

        Assert.Equal(own, seen.Before);
        Assert.True(int.TryParse(seen.Kept, NumberStyles.None, CultureInfo.InvariantCulture, out int number), seen.Kept);
        Assert.True(ProcessorSet.OfThread().Contains(number));
        Assert.Equal(own, seen.Young);
    }

    private static string Allowed(string task) =>
        File.ReadLines($"/proc/{task}/status").First(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)).Split('\t')[1];
}
