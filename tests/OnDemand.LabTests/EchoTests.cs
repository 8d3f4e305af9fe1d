using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>ping(8) has a type too: by the command it runs under, and by policy.</summary>
public sealed class EchoTests
{
    private const string Fixed = "src host 2001:db8:f1::7";
    private const string Requests = "icmp6 and ip6[40] = 128 and dst host " + LabLinks.PeerAddress;

    [Fact]
    public async Task An_echo_has_the_type_of_the_command_that_it_is_sent_under()
    {
        LabRig.Need("ping", "tcpdump");
        Assert.SkipUnless(Linux.Policy.CgroupMount.Find() is not null, "There is no cgroup hierarchy of version 2.");
        await using LabRig rig = await LabRig.UpAsync();
        await rig.RunAsync(LabNodes.Host, "sh", "-c", "echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range");
        NetworkCapture capture = await rig.CaptureAsync();
        string[] ping = ["ping", "-6", "-c", "1", "-W", "10", LabLinks.PeerAddress];

        await rig.RunAsync(LabNodes.Host, ping);
        await rig.RunAsync(LabNodes.Host, LabProgram.Self.Line(["exec", "--tap", LabHostFile.Tap, "--type", "fixed", "--", .. ping]));

        await capture.StopAsync();
        Assert.Single(await capture.FindAsync($"{Requests} and {Fixed}"));
        Assert.Single(await capture.FindAsync($"{Requests} and not {Fixed}"));
    }
}
