using System.Text;
using OnDemand.Linux;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>Labs come and go, and leave nothing.</summary>
public sealed class LifeTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_dataplane_that_is_asked_to_end_takes_back_all_it_made()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        Assert.Contains("proto 86", await rig.RunAsync(LabNodes.Host, "ip", "-6", "route"), StringComparison.Ordinal);
        Assert.Contains("lookup 8653", await rig.RunAsync(LabNodes.Host, "ip", "-6", "rule"), StringComparison.Ordinal);
        Assert.Contains(LabHostFile.Tap, await rig.RunAsync(LabNodes.Host, "ip", "link"), StringComparison.Ordinal);

        Assert.True(await rig.Lab.EndDataplaneAsync(Cancellation), "It did not end by itself.");

        string left = await HostAsync(rig);
        Assert.DoesNotContain("proto 86", left, StringComparison.Ordinal);
        Assert.DoesNotContain("lookup 8653", left, StringComparison.Ordinal);
        Assert.DoesNotContain(LabHostFile.Tap, left, StringComparison.Ordinal);
        Assert.DoesNotContain("fd00:db8::1", left, StringComparison.Ordinal);
        Assert.False(File.Exists(rig.Lab.Directory.Control));
    }

    [Fact]
    public async Task A_killed_dataplane_is_followed_by_one_that_works()
    {
        LabRig.Need("ping");
        await using LabRig rig = await LabRig.UpAsync();
        LabProcess process = rig.Lab.State.Dataplane!;
        process.Send(Libc.SignalKill);
        Assert.True(await process.WaitAsync(TimeSpan.FromSeconds(20), Cancellation));
        await rig.Lab.StartDataplaneAsync(Cancellation);
        await rig.RunAsync(LabNodes.Host, "ping", "-c", "2", "-i", "0.2", "-W", "5", LabLinks.PeerAddress);
    }

    [Fact]
    public async Task Two_labs_stand_side_by_side_and_one_goes_without_the_other()
    {
        LabRig.Need("ping");
        await using LabRig one = await LabRig.UpAsync();
        LabRig other = await LabRig.UpAsync();
        LabProcess otherDataplane = other.Lab.State.Dataplane!;
        await other.DisposeAsync();
        Assert.False(otherDataplane.IsAlive);
        Assert.DoesNotContain($"od-{other.Name}-", await NamespacesAsync(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(other.Lab.Directory.Place));
        Assert.True(one.Lab.State.Dataplane!.IsAlive);
        await one.RunAsync(LabNodes.Host, "ping", "-c", "1", "-W", "5", LabLinks.PeerAddress);
    }

    [Fact]
    public async Task What_is_left_of_a_lab_without_its_files_is_removed_with_everything_that_runs_in_it()
    {
        LabRig.Need("sleep");
        await using LabRig rig = await LabRig.UpAsync();
        var stray = LabProcess.Find(rig.Start(LabNodes.Peer, "sleep", "1000").Id);
        LabProcess dataplane = rig.Lab.State.Dataplane!;
        dataplane.Send(Libc.SignalKill);
        Directory.Delete(rig.Lab.Directory.Place, recursive: true);

        Assert.True(await Lab.DownAsync(rig.Name, Cancellation));

        Assert.DoesNotContain($"od-{rig.Name}-", await NamespacesAsync(), StringComparison.Ordinal);
        Assert.False(stray!.IsAlive);
        Assert.False(await Lab.DownAsync(rig.Name, Cancellation));
    }

    [Fact]
    public async Task A_second_lab_of_the_same_name_is_refused_with_a_sentence()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        var options = new LabOptions { Name = rig.Name };
        HostException refused = await Assert.ThrowsAsync<HostException>(() => Lab.UpAsync(options, Cancellation));
        Assert.StartsWith($"The lab '{rig.Name}' is there already;", refused.Message, StringComparison.Ordinal);
        Assert.True(rig.Lab.State.Dataplane!.IsAlive);
    }

    [Fact]
    public async Task The_network_itself_works_without_a_dataplane()
    {
        LabRig.Need("ping");
        await using LabRig rig = await LabRig.UpAsync(plain: true);
        await rig.RunAsync(LabNodes.Peer, "ping", "-c", "1", "-W", "5", "2001:db8:91:1::100");
        await rig.MoveAsync(LabNodes.SecondRouter, windowSeconds: 1);
        await rig.RunAsync(LabNodes.Peer, "ping", "-c", "1", "-W", "5", "2001:db8:f1::7");
        await rig.RunAsync(LabNodes.Peer, "ping", "-c", "1", "-W", "5", "2001:db8:91:1::100");
        Assert.NotEqual(0, (await rig.TryAsync(LabNodes.Peer, "ping", "-c", "1", "-W", "1", "2001:db8:a1:1::100")).Status);
        Assert.True(await LabRig.BecomesAsync(
            async () => (await rig.TryAsync(LabNodes.Peer, "ping", "-c", "1", "-W", "1", "2001:db8:91:1::100")).Status != 0,
            TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task The_drawing_shows_where_the_host_is()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        await rig.MoveAsync(LabNodes.SecondRouter);
        var text = new StringBuilder();
        using (var writer = new StringWriter(text))
        {
            LabDrawing.Write(writer, rig.Lab.State, "a dataplane", DateTimeOffset.UtcNow);
        }

        string drawing = text.ToString();
        Assert.Contains("the host is at ar2", drawing, StringComparison.Ordinal);
        Assert.Contains("2001:db8:f1::7/128     fixed → ar2", drawing, StringComparison.Ordinal);
        Assert.Contains("2001:db8:a1:1::/64 nonpersistent, ended", drawing, StringComparison.Ordinal);
        string[] lines = drawing.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Single(lines.Skip(1).Where(line => line[0] is '┌' or '│' or '└').Select(line => line.TrimEnd().Length).Distinct());
    }

    private static Task<string> NamespacesAsync() => CommandRunner.MustAsync("ip", ["netns", "list"], null, Cancellation);

    private static async Task<string> HostAsync(LabRig rig) => string.Join('\n', await Task.WhenAll(
        rig.RunAsync(LabNodes.Host, "ip", "link"),
        rig.RunAsync(LabNodes.Host, "ip", "addr"),
        rig.RunAsync(LabNodes.Host, "ip", "-6", "rule"),
        rig.RunAsync(LabNodes.Host, "ip", "-6", "route", "show", "table", "all")));
}
