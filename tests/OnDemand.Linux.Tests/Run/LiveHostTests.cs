using System.Text.RegularExpressions;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>What a run does to its host, and what the host does to a run.</summary>
public sealed class LiveHostTests
{
    internal const string Config = """
        internal: [fd00:a::2]
        seed: 5
        network: [{at: 0s, attach: ar1, prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}]}]
        policy: {default: nonpersistent}

        """;

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public void A_signal_leaves_no_rule_route_address_or_interface_behind(string signal)
    {
        using var lab = new RoutedLab();
        string before = lab.State();
        LabProgram run = lab.Run(Config + lab.HostMap());
        Assert.NotEqual(before, lab.State());

        Assert.Equal(0, run.End(signal));

        Assert.Equal(before, lab.State());
    }

    [Fact]
    public void A_killed_run_is_cleaned_up_after_by_the_next_one()
    {
        using var lab = new RoutedLab();
        string before = lab.State();
        lab.Run(Config + lab.HostMap()).End("KILL");

        LabProgram next = lab.Run(Config + lab.HostMap());
        lab.Host($"ping -c 1 {RoutedLab.Server}");
        Assert.Equal(0, next.End());

        Assert.Equal(before, lab.State());
    }

    [Fact]
    public void A_second_instance_is_refused_and_the_first_goes_on()
    {
        using var lab = new RoutedLab();
        LabProgram first = lab.Run(Config + lab.HostMap());

        LabProgram sameSocket = lab.StartRun(Config + lab.HostMap());
        LabProgram sameTap = lab.StartRun(Config + lab.HostMap().Replace("od0.sock", "other.sock", StringComparison.Ordinal));

        Assert.Equal((4, 4), (sameSocket.Wait(), sameTap.Wait()));
        Assert.Contains($"Another ondemand (process {first.Process.Id}) runs already for od0", sameSocket.Said, StringComparison.Ordinal);
        Assert.Equal(
            "ondemand: The TAP od0 is in use by another program: stop that one, or choose another name under 'host: tap'.", sameTap.Said);
        lab.Host($"ping -c 1 {RoutedLab.Server}");
    }

    [Fact]
    public void A_tap_that_is_deleted_ends_the_run_with_status_4_and_nothing_left()
    {
        using var lab = new RoutedLab();
        string before = lab.State();
        LabProgram run = lab.Run(Config + lab.HostMap());

        lab.Host("ip link del od0");

        Assert.Equal(4, run.Wait());
        Assert.Contains(
            "ondemand: The TAP od0 was deleted while it was in use; start ondemand again to have it back.", run.Said,
            StringComparison.Ordinal);
        Assert.Equal(before, lab.State());
    }

    [Fact]
    public void Changes_under_a_run_are_said_and_survived()
    {
        using var lab = new RoutedLab();
        LabProgram run = lab.Run(Config + lab.HostMap());

        lab.Host("ip link set dev od0 mtu 1400");
        run.WaitFor("The MTU of od0 is 1400 now.");
        lab.Host("ip link set dev od0 address 02:00:00:00:00:77");
        lab.Host("ip link set dev od0 down");
        run.WaitFor("The TAP od0 is down");
        lab.Host("ip link set dev od0 up");
        run.WaitFor("The TAP od0 is up again");
        lab.Host($"ping -c 1 {RoutedLab.Server}");
        lab.Host("ip -6 rule del pref 100");
        run.WaitFor("Somebody removed the rule").WaitFor("are as they must be");
        lab.Host("ip link set dev wire down");
        run.WaitFor("The uplink wire is gone or down");
        lab.Host("ip link set dev wire up; ip -6 addr add 2001:db8:5::1/64 dev wire nodad; ip -6 route add default via 2001:db8:5::2");
        run.WaitFor("The uplink wire is up.");
        lab.Host($"ping -c 1 {RoutedLab.Server}");

        Assert.Equal(0, run.End());
    }

    [Fact]
    public void What_this_host_lacks_is_one_sentence()
    {
        using var lab = new RoutedLab();
        string before = lab.State();
        LabProgram noDevice = lab.StartRun(
            Config + lab.HostMap(), "unshare", "-m", "sh", "-c", "mount -t tmpfs none /dev/net && exec \"$@\"", "sh");
        Assert.Equal(4, noDevice.Wait());
        Assert.Equal(
            "ondemand: There is no /dev/net/tun: load the kernel module with 'modprobe tun', or give the container this device.",
            noDevice.Said);

        LabProgram noForwarding = lab.StartRun(
            Config + lab.HostMap().Replace("forwarding: set", "forwarding: check", StringComparison.Ordinal));
        Assert.Equal(4, noForwarding.Wait());
        Assert.Contains("forwarding", Assert.Single(noForwarding.Said.Split('\n')), StringComparison.Ordinal);
        string dry = lab.Host($"dotnet {Path.Combine(AppContext.BaseDirectory, "ondemand.dll")} run --config {lab.Configuration} --dry-run 2>&1 >/dev/null");
        Assert.Contains("ondemand: Now the start would fail, for IPv6 forwarding is off", dry, StringComparison.Ordinal);

        lab.Host("ip link add od0 type veth peer name od1");
        LabProgram noTap = lab.StartRun(Config + lab.HostMap());
        Assert.Equal(4, noTap.Wait());
        Assert.Contains(
            "The interface od0 is there and is no TAP with one queue", Assert.Single(noTap.Said.Split('\n')), StringComparison.Ordinal);

        lab.Host("ip link del od0; ip addr add fd00:a::2/128 dev wire nodad");
        LabProgram taken = lab.StartRun(Config + lab.HostMap());
        Assert.Equal(4, taken.Wait());
        Assert.Contains("fd00:a::2", Assert.Single(taken.Said.Split('\n')), StringComparison.Ordinal);

        lab.Host("ip addr del fd00:a::2/128 dev wire");
        Assert.Equal(before, lab.State());
    }

    [Fact]
    public void Without_the_capability_it_says_so()
    {
        using var lab = new RoutedLab();
        lab.Host($"chmod 777 {lab.Directory}");

        LabProgram run = lab.StartRun(
            Config + lab.HostMap(), "setpriv", "--inh-caps", "-net_admin", "--bounding-set", "-net_admin");

        Assert.Equal(4, run.Wait());
        Assert.Equal("ondemand: The TAP od0 may not be opened: start ondemand as root or with CAP_NET_ADMIN.", run.Said);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData(", queues: 2", 1)]
    public void A_dry_run_prints_commands_that_give_the_same_network(string more, int several)
    {
        using var lab = new RoutedLab();
        string config = Path.Combine(lab.Directory, "host.yaml");
        File.WriteAllText(config, Config + lab.HostMap(more));
        string before = lab.State();

        string commands = lab.Host($"dotnet {Path.Combine(AppContext.BaseDirectory, "ondemand.dll")} run --config {config} --dry-run");

        Assert.Equal(before, lab.State());
        lab.Host(commands);
        Assert.Equal(several, Regex.Count(lab.Host("ip tuntap show"), "od0: tap .*multi_queue"));
        Assert.Contains("fd00:a::2", lab.Host("ip -6 addr show dev od0"), StringComparison.Ordinal);
        Assert.Contains("2001:db8:a1::/64 dev od0 proto 86", lab.Host("ip -6 route"), StringComparison.Ordinal);
        Assert.Matches("dev od0 .*src fd00:a::2", lab.Host($"ip -6 route get {RoutedLab.Server}"));
    }
}
