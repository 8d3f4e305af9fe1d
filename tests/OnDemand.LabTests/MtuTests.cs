using System.Globalization;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>Links that change their longest packet under running transfers.</summary>
public sealed class MtuTests
{
    private const int Port = 7002;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Both ends of a cable have the same MTU: the router's end too, so that it says 'packet too big' to the correspondent.
    [Fact]
    public Task Nothing_is_lost_when_the_MTU_of_the_TAP_and_of_the_uplink_change() => DuringTransfersAsync(async (rig, transfers) =>
    {
        foreach (int mtu in new[] { 1280, 9000, 1400, 1500 })
        {
            await SetAsync(rig, LabNodes.Host, LabHostFile.Tap, mtu);
            await AssertSaidAsync(rig, $"The MTU of od0 is {mtu} now.");
            await transfers.AssertGoOnAsync();
        }

        foreach (int mtu in new[] { 1400, 1280, 1500 })
        {
            await SetAsync(rig, LabNodes.FirstRouter, "host", mtu);
            await SetAsync(rig, LabNodes.Host, "ar1", mtu);
            await AssertSaidAsync(rig, $"The MTU of the uplink ar1 is {mtu} now.");
            await transfers.AssertGoOnAsync();
        }
    });

    [Fact]
    public Task A_TAP_whose_MTU_is_too_small_for_IPv6_gets_its_own_back_and_transfers_go_on() => DuringTransfersAsync(
        async (rig, transfers) =>
        {
            await SetAsync(rig, LabNodes.Host, LabHostFile.Tap, 1200);
            await AssertSaidAsync(rig, "The MTU of od0 is 1200 now, less than IPv6 needs: it is set back to 1500.");
            await AssertSaidAsync(rig, "addresses, rules and routes are as they must be.");
            await AssertSaidAsync(rig, "The MTU of od0 is 1500 now.");
            await transfers.AssertGoOnAsync();
        });

    [Fact]
    public Task Transfers_wait_for_an_uplink_whose_MTU_is_too_small_for_IPv6() => DuringTransfersAsync(async (rig, transfers) =>
    {
        using var client = new ControlClient(rig.Lab.Directory.Control);
        Assert.True((await client.StatusAsync(Cancellation)).UplinkUp);
        await SetAsync(rig, LabNodes.Host, "ar1", 1200);
        await AssertSaidAsync(rig, "The MTU of the uplink ar1 is 1200 now, less than IPv6 needs: flows wait until it is raised");
        Assert.False((await client.StatusAsync(Cancellation)).UplinkUp);
        Assert.NotEqual(0, (await rig.TryAsync(LabNodes.Host, "ping", "-c", "1", "-W", "1", LabLinks.PeerAddress)).Status);

        await SetAsync(rig, LabNodes.Host, "ar1", 1500);
        await AssertSaidAsync(rig, "The uplink ar1 is up.");
        Assert.True((await client.StatusAsync(Cancellation)).UplinkUp);

        // The kernel has forgotten the link's address and routes, which a lab puts there when the host comes.
        await rig.MoveAsync(LabNodes.FirstRouter);
        await transfers.AssertGoOnAsync();
    });

    private static async Task DuringTransfersAsync(Func<LabRig, Transfers, Task> change)
    {
        LabRig.Need("tcpdump", "ping");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        using (Transfers transfers = await Transfers.BeginAsync(rig, Port))
        {
            await transfers.AssertGoOnAsync();
            await change(rig, transfers);
            await transfers.AssertWholeAsync();
        }

        await capture.StopAsync();
        await capture.AssertCleanAsync();
    }

    private static async Task SetAsync(LabRig rig, string node, string name, int mtu) => await rig.RunAsync(
        node, "ip", "link", "set", "dev", name, "mtu", mtu.ToString(CultureInfo.InvariantCulture));

    private static async Task AssertSaidAsync(LabRig rig, string what)
    {
        string said = string.Empty;
        Assert.True(
            await LabRig.BecomesAsync(
                async () => (said = await File.ReadAllTextAsync(rig.Lab.Directory.Log, Cancellation)).Contains(what, StringComparison.Ordinal),
                TimeSpan.FromSeconds(10)),
            $"It did not say '{what}' but:\n{said}");
    }
}
