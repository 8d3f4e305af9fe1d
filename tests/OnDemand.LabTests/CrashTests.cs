using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What a dataplane that is killed in the middle of its work leaves to the next one.</summary>
public sealed class CrashTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Nothing of a connection's is in the kernel's tables or in the network: only what the killed run left on disk tells the next one
    // which typed address the connection had. With another one the correspondent would answer with resets.
    [Theory]
    [InlineData(7001, false)]
    [InlineData(7002, false)]
    [InlineData(7001, true)]
    [InlineData(7002, true)]
    public async Task A_connection_that_lasts_goes_on_when_the_dataplane_is_killed_and_started_again(int port, bool movedBefore)
    {
        LabRig.Need("tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        using Transfers transfers = await Transfers.BeginAsync(rig, port);
        if (movedBefore)
        {
            await rig.MoveAsync(LabNodes.SecondRouter);
        }

        NetworkCapture capture = await rig.CaptureAsync();
        await transfers.AssertGoOnAsync();

        // The state is written twenty times a second.
        await Task.Delay(500, Cancellation);
        LabProcess killed = rig.Lab.State.Dataplane!;
        killed.Send(Libc.SignalKill);
        Assert.True(await killed.WaitAsync(TimeSpan.FromSeconds(20), Cancellation));
        await rig.Lab.StartDataplaneAsync(Cancellation);
        Assert.NotEqual(killed.Id, rig.Lab.State.Dataplane!.Id);
        Assert.Contains(
            "Going on where the last run stopped",
            await File.ReadAllTextAsync(rig.Lab.Directory.Log, Cancellation),
            StringComparison.Ordinal);
        await transfers.AssertGoOnAsync();

        // What was restored moves like what was opened.
        await rig.MoveAsync(movedBefore ? LabNodes.FirstRouter : LabNodes.SecondRouter);
        await transfers.AssertGoOnAsync();
        await transfers.AssertWholeAsync();
        await capture.StopAsync();
        Assert.NotEmpty(await capture.FindAsync($"tcp dst port {port} and src host {transfers.Source.Address}"));

        // Also while there was no dataplane: nothing leaves from the internal address.
        Assert.Empty(await capture.FindAsync($"tcp dst port {port} and not src host {transfers.Source.Address}"));
        Assert.Empty(await capture.FindAsync("tcp and ip6[53] & 4 != 0"));
    }
}
