using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Host;
using OnDemand.Linux.Tests.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Host;

/// <summary>What stands in the way is told in one sentence, and nothing is left half done.</summary>
public sealed class HostFailureTests
{
    private const string BadName = "cannot name an interface: take 1 to 15 letters, digits, dots, hyphens and underscores.";

    private static readonly HostPlan Plan = new()
    {
        Tap = "od0",
        Internal = [IpPrefix.Parse("fd00:a::2/128")],
        Forwarding = ForwardingMode.Set,
    };

    [Fact]
    public void No_tap() => Fails(
        "ip link del dev od0",
        Plan,
        "There is no interface 'od0': it was deleted, or the dataplane that made it has ended.");

    [Theory]
    [InlineData("ip link add name od0 type veth peer name other", "of kind veth")]
    [InlineData("ip tuntap add dev od0 mode tun", "a TUN interface")]
    public void The_tap_name_is_taken_by_another_kind_of_device(string command, string kind) => Fails(
        $"ip link del dev od0; {command}",
        Plan,
        $"The interface 'od0' is {kind}, not a TAP: choose another name for the dataplane's TAP.");

    [Fact]
    public void Forwarding_is_off() => Fails(
        "true",
        Plan with { Forwarding = ForwardingMode.Check },
        "IPv6 forwarding is off: turn it on with 'sysctl -w net.ipv6.conf.all.forwarding=1', "
        + "or write 'forwarding: set' in the configuration.");

    [Fact]
    public void The_internal_address_is_on_another_link() => Fails(
        "ip -6 addr add fd00:a::2/64 dev lo",
        Plan,
        "The internal address fd00:a::2 is already on 'lo': remove it there ('ip addr del fd00:a::2 dev lo') or choose another.");

    [Fact]
    public void A_typed_address_is_on_another_link() => Fails(
        "ip -6 addr add 2001:db8:f1::7/128 dev lo",
        Plan with { TypedPrefixes = [IpPrefix.Parse("2001:db8:f1::7/128")] },
        "The typed address 2001:db8:f1::7 is already on 'lo': remove it there ('ip addr del 2001:db8:f1::7 dev lo') or choose another.");

    [Fact]
    public void The_tap_has_the_address_with_another_length() => Fails(
        "ip link set dev od0 up; ip -6 addr add fd00:a::2/64 dev od0 nodad",
        Plan,
        "Cannot give 'od0' the address fd00:a::2/128: it has it as /64; remove that one.");

    [Fact]
    public void The_table_is_in_use() => Fails(
        "ip -6 route add 2001:db8:77::/64 dev lo table 8653",
        Plan,
        "Routing table 8653 is in use: it has a route to 2001:db8:77::/64 that is not ours; choose another table.");

    [Fact]
    public void A_running_dataplane_has_the_table_and_keeps_it_even_when_all_of_ours_is_taken_back()
    {
        // A veth interface is up as the TAP of a running dataplane is: with a carrier, which the kernel notices a moment later.
        using NetworkNamespace space = Space(
            "ip link add od9 type veth peer name od8; ip link set od9 addrgenmode none up; ip link set od8 addrgenmode none up; "
            + "ip -6 route add default dev od9 proto 86 table 8653 metric 7; "
            + "ip -6 rule add pref 100 iif lo lookup 8653 protocol 86; "
            + "while ip link show up | grep -q NO-CARRIER; do sleep 0.02; done");
        string before = IpState.Of(space);
        using HostNetwork network = space.Run(() => new HostNetwork(Plan));

        HostException exception = Assert.Throws<HostException>(() => space.Run(network.Apply));
        space.Run(network.TakeBack);

        Assert.Equal("Routing table 8653 is in use by another dataplane: choose another table.", exception.Message);
        Assert.Equal(before, IpState.Of(space));
    }

    [Fact]
    public void The_rule_preference_is_in_use() => Fails(
        "ip -6 rule add pref 100 from 2001:db8:77::/64 lookup 7",
        Plan,
        "Rule preference 100 is in use by 'from 2001:db8:77::/64 lookup 7': choose another rule preference for the dataplane.");

    [Fact]
    public void A_rule_of_others_with_more_conditions_is_not_taken_for_the_wanted_one() => Fails(
        "ip -6 rule add pref 100 iif lo fwmark 5 lookup 8653",
        Plan,
        "Rule preference 100 is in use by 'from all iif lo ... lookup 8653': choose another rule preference for the dataplane.");

    [Fact]
    public void Another_dataplane_has_the_rule_preference() => Fails(
        "ip link set dev lo up; ip -6 route add default dev lo proto 86 table 9; ip -6 rule add pref 100 iif lo lookup 9 protocol 86",
        Plan,
        "Rule preference 100 is in use by 'from all iif lo lookup 9': choose another rule preference for the dataplane.");

    [Fact]
    public void A_typed_prefix_has_another_route_of_the_same_metric() => Fails(
        "ip link set dev lo up; ip -6 route add 2001:db8:a::/64 dev lo metric 64",
        Plan with { TypedPrefixes = [IpPrefix.Parse("2001:db8:a::/64")] },
        "Cannot route 2001:db8:a::/64 to 'od0' in table 254: there is another route to it with metric 64; "
        + "remove it ('ip -6 route del 2001:db8:a::/64 metric 64').");

    [Fact]
    public void The_kernels_own_sentence_is_handed_on()
    {
        using NetworkNamespace space = Space("sysctl -qw net.ipv6.conf.od0.disable_ipv6=1");
        using HostNetwork network = space.Run(() => new HostNetwork(Plan));

        HostException exception = Assert.Throws<HostException>(() => space.Run(network.Apply));

        // The sentence is younger than the refusal (Linux 6.6); before, it is errno's.
        Assert.StartsWith("Cannot give 'od0' the address fd00:a::2/128: ", exception.Message);
        Assert.True(exception.Message.Contains("IPv6 is disabled on this device") || exception.Message.Contains("Permission denied"));
    }

    [Fact]
    public void Without_the_capability_it_is_named()
    {
        using NetworkNamespace space = Space("ip link set dev od0 up");

        HostException exception = Assert.Throws<HostException>(() => space.Run(() =>
        {
            Capabilities.DropNetworkAdministration();
            using var network = new HostNetwork(Plan with { Forwarding = ForwardingMode.Check, Mtu = 1400 });
            File.WriteAllText("/proc/sys/net/ipv6/conf/all/forwarding", "1");    // writable by its owner even so
            network.Apply();
        }));

        Assert.Equal("Cannot set the MTU of 'od0' to 1400: this needs the capability CAP_NET_ADMIN; run as root.", exception.Message);
    }

    [Fact]
    public void A_prefix_that_becomes_free_again_can_be_routed_after_a_refusal()
    {
        using NetworkNamespace space = Space("ip -6 addr add 2001:db8:f1::7/128 dev lo");
        using HostNetwork network = space.Run(() => new HostNetwork(Plan));
        space.Run(network.Apply);
        var prefix = IpPrefix.Parse("2001:db8:f1::7/128");

        Assert.Throws<HostException>(() => space.Run(() => network.AddPrefixRoute(prefix)));
        Assert.DoesNotContain(prefix, network.TypedPrefixes);
        space.Shell("ip -6 addr del 2001:db8:f1::7/128 dev lo");
        space.Run(() => network.AddPrefixRoute(prefix));

        Assert.Contains("dev od0", space.Shell("ip -6 route show 2001:db8:f1::7"));
    }

    [Fact]
    public void When_the_tap_has_gone_prefixes_are_refused_and_everything_else_is_taken_back()
    {
        using NetworkNamespace space = Space("true");
        using HostNetwork network = space.Run(() => new HostNetwork(Plan));
        space.Shell("ip link del dev od0");
        string before = IpState.Of(space);
        space.Shell("ip tuntap add dev od0 mode tap");
        space.Run(network.Apply);
        space.Shell("ip link del dev od0");

        Assert.Contains("There is no interface 'od0'", Assert.Throws<HostException>(
            () => space.Run(() => network.AddPrefixRoute(IpPrefix.Parse("2001:db8:a::/64")))).Message);
        space.Run(network.TakeBack);

        Assert.Equal(before, IpState.Of(space));
    }

    [Theory]
    [InlineData("", 1500, 8653u, 100u, "fd00::1", "'' " + BadName)]
    [InlineData("od0;reboot", 1500, 8653u, 100u, "fd00::1", "'od0;reboot' " + BadName)]
    [InlineData("od0", 1279, 8653u, 100u, "fd00::1",
        "The TAP's MTU 1279 is out of range: IPv6 needs 1280, and a TAP carries at most 65521.")]
    [InlineData("od0", 1500, 254u, 100u, "fd00::1", "Routing table 254 or the next one belongs to the kernel: choose another, as 8653.")]
    [InlineData("od0", 1500, 8653u, 32766u, "fd00::1", "Rule preference 32766 is out of range: choose one from 3 to 32764.")]
    [InlineData("od0", 1500, 8653u, 100u, "::/0",
        "::/0 cannot be routed to the TAP: it must be a unicast prefix that is neither link-local nor everything.")]
    public void A_plan_out_of_range_is_refused_before_anything_is_opened(
        string tap, int mtu, uint table, uint preference, string prefix, string sentence)
    {
        var plan = new HostPlan { Tap = tap, Mtu = mtu, Table = table, RulePreference = preference, Internal = [IpPrefix.Parse(prefix)] };

        Assert.Equal(sentence, Assert.Throws<HostException>(() => new HostNetwork(plan)).Message);
        Assert.Equal(sentence, Assert.Throws<HostException>(() => plan.ToIpCommands()).Message);
    }

    private static void Fails(string preparation, HostPlan plan, string sentence)
    {
        using NetworkNamespace space = Space(preparation);
        string before = IpState.Of(space);
        using HostNetwork network = space.Run(() => new HostNetwork(plan));

        HostException exception = Assert.Throws<HostException>(() => space.Run(network.Apply));

        Assert.Equal(sentence, exception.Message);
        Assert.Equal(before, IpState.Of(space));
    }

    private static NetworkNamespace Space(string preparation)
    {
        var space = new NetworkNamespace();
        space.Shell("ip link set dev lo up; ip tuntap add dev od0 mode tap vnet_hdr; " + preparation);
        return space;
    }
}
