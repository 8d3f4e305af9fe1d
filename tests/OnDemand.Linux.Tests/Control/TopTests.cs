using OnDemand.Cli;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>The live view, one frame at a time.</summary>
public sealed class TopTests
{
    [Fact]
    public async Task One_frame_shows_types_windows_drops_and_what_happened_between_two_samples()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync("ar1", network: 1);
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 40, 1000);
        Task<CommandRun> running = CommandRun.OnAsync(scene, "top", "--once", "--interval", "2s");
        await UntilAsked(scene, requests: 2);
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 40, 1000);
        await scene.AttachAsync("ar2", network: 2);

        CommandRun run = await running;

        Assert.Equal((ExitStatus.Done, ""), (run.Status, run.Error));
        Assert.DoesNotContain('\e', run.Output);
        Assert.StartsWith("test.yaml: attached to ar2 for ", run.Output, StringComparison.Ordinal);
        string[][] rows = [.. run.Output.Split('\n').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        string[] graceful = Assert.Single(rows, row => row is ["graceful-replacement", ..]);
        Assert.Equal(("40", "80"), (graceful[1], graceful[4]));
        Assert.NotEqual("0", graceful[2]);
        Assert.Contains(rows, row => row is ["2001:db8:61:1::/64", "graceful-replacement", "closing", _, "infinite", "40"]);
        Assert.Contains(rows, row => row is ["attached", "to", "ar2", _]);
        Assert.Contains(rows, row => row is ["2001:db8:61:1::/64", "(graceful-replacement)", "closes", "in", _, _]);
        Assert.Contains(rows, row => row is ["2001:db8:a1:1::/64", "(nonpersistent)", "has", "ended", _]);
        Assert.Contains(rows, row => row is ["2001:db8:a2:1::/64", "(nonpersistent)", "is", "new", _]);
    }

    [Fact]
    public async Task Drops_are_listed_by_reason()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 9, 1000);   // attached to nothing
        (scene.Dataplane.Shell.Loops, scene.Dataplane.Shell.NotIpv6) = (7, 5);

        CommandRun run = await CommandRun.OnAsync(scene, "top", "--once", "--interval", "100ms");

        string[][] rows = [.. run.Output.Split('\n').Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
        Assert.Contains(rows, row => row is ["detached", "0", "9"]);
        Assert.Contains(rows, row => row is ["tap:", "loop", "0", "7"]);
        Assert.DoesNotContain(rows, row => row is [.., "not-ipv6", _, _]);   // nobody's loss
    }

    [Theory]
    [InlineData("--interval 1")]
    [InlineData("--interval 1ms")]
    [InlineData("--interval infinite")]
    public async Task A_wrong_interval_is_named(string arguments)
    {
        CommandRun run = await CommandRun.OfAsync(["top", "--once", .. arguments.Split(' ')]);

        Assert.Equal(ExitStatus.Usage, run.Status);
        Assert.Contains("expected a duration from 100ms to 1h", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_nobody_answers_it_says_so()
    {
        CommandRun run = await CommandRun.OfAsync("top", "--once", "--control", "/nonexistent/od0.sock");

        Assert.Equal((ExitStatus.NoAnswer, ""), (run.Status, run.Output));
        Assert.Contains("No dataplane answers at '/nonexistent/od0.sock'", run.Error, StringComparison.Ordinal);
    }

    // The first sample has been taken when its commands have been carried out: one at the server's start, one to attach, one to send.
    private static async Task UntilAsked(ControlScene scene, int requests)
    {
        while (scene.Dataplane.Commands < 3 + requests)
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }
}
