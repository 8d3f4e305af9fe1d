using System.Text.Json.Nodes;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Host;
using OnDemand.Linux.Tests.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Host;

public sealed class HostNetworkTests
{
    private static readonly IpPrefix Typed = IpPrefix.Parse("2001:db8:a::/64");
    private static readonly IpPrefix Fixed = IpPrefix.Parse("2001:db8:f1::7/128");

    private static readonly HostPlan Plan = new()
    {
        Tap = "od0",
        Mtu = 1400,
        Internal = [IpPrefix.Parse("fd00:a::2/128"), IpPrefix.Parse("fd00:a::3/128"), IpPrefix.Parse("fd00:b::/64")],
        Forwarding = ForwardingMode.Set,
        Uplinks = ["up0.1", "absent0"],
        TypedPrefixes = [Typed],
    };

    [Fact]
    public void Apply_gives_the_tap_its_addresses_routes_and_rules()
    {
        using NetworkNamespace space = Space();
        using HostNetwork network = Applied(space);

        JsonNode tap = Json(space, "ip -j addr show dev od0")[0]!;
        Assert.Equal(1400, (int)tap["mtu"]!);
        Assert.Contains("NOARP", tap["flags"]!.AsArray().Select(flag => $"{flag}"));
        Assert.Contains("UP", tap["flags"]!.AsArray().Select(flag => $"{flag}"));
        Assert.Equal(["fd00:a::2/128", "fd00:a::3/128"], tap["addr_info"]!.AsArray()
            .Where(address => $"{address!["scope"]}" == "global").Select(address => $"{address!["local"]}/{address["prefixlen"]}").Order());
        Assert.Equal("default dev od0 proto 86 src fd00:a::2 metric 1024", Line(space, "ip -6 route show table 8653"));
        Assert.Equal("2001:db8:a::/64 dev od0 metric 64", Line(space, "ip -6 route show proto 86 table main 2001:db8:a::/64"));
        Assert.Equal("local 2001:db8:a::/64 dev lo proto 86 metric 1024", Line(space, "ip -6 route show table 8654"));
        Assert.Equal("fd00:b::/64 dev od0 metric 4096", Line(space, "ip -6 route show proto 86 table main fd00:b::/64"));
        Assert.Equal(
            [
                "98: from all iif od0 lookup 8654 proto 86",
                "99: from all iif od0 lookup main proto 86",
                "100: from all iif lo lookup 8653 proto 86",
                "100: from fd00:b::/64 lookup 8653 proto 86",
                "101: from fd00:a::2 iif lo lookup 8653 unreachable proto 86",
                "101: from fd00:a::3 iif lo lookup 8653 unreachable proto 86",
            ],
            space.Shell("ip -6 rule").Split('\n').Where(line => line.Contains("proto 86")).Select(line => line.Trim().Replace('\t', ' ')));
        Assert.Equal("1", space.Shell("sysctl -n net.ipv6.conf.all.forwarding").Trim());
        Assert.Equal("2", space.Shell("sysctl -n net/ipv6/conf/up0.1/accept_ra").Trim());
    }

    [Fact]
    public void What_a_local_program_sends_goes_into_the_tap_and_what_comes_out_of_the_tap_to_the_uplink()
    {
        using NetworkNamespace space = Space();
        space.Shell("ip -6 route add default via 2001:db8:5::2 dev up0.1");
        using HostNetwork network = Applied(space);

        Assert.Contains("dev od0 table 8653 proto 86 src fd00:a::2", space.Shell("ip -6 route get 2001:db8:9::9"));
        Assert.Contains("dev up0.1", space.Shell("ip -6 route get 2001:db8:9::9 from 2001:db8:a::1 iif od0"));
        Assert.Contains("dev od0", space.Shell("ip -6 route get 2001:db8:a::1 from 2001:db8:9::9 iif up0.1"));
        Assert.Contains("dev od0", space.Shell("ip -6 route get 2001:db8:9::9 from fd00:b::5 iif up0.1"));
        Assert.Contains("dev up0.1", space.Shell("ip -6 route get 2001:db8:9::9 from fd00:b::5 iif od0"));
    }

    [Fact]
    public void Take_back_leaves_everything_as_it_was()
    {
        using NetworkNamespace space = Space();
        string before = IpState.Of(space);
        using HostNetwork network = Applied(space);
        space.Run(() => network.AddPrefixRoute(Fixed));
        Assert.NotEqual(before, IpState.Of(space));
        space.Run(network.TakeBack);

        Assert.Equal(before, IpState.Of(space));
    }

    [Fact]
    public void Applying_twice_changes_nothing()
    {
        using NetworkNamespace space = Space();
        using HostNetwork network = Applied(space);
        string once = IpState.Of(space);

        // Whatever changed the tables, even back and forth, would be told here.
        string told = space.Run(() =>
        {
            string log = Path.GetTempFileName();
            NetworkNamespace.ShellHere($"ip -6 monitor link address route rule > {log} 2>&1 & echo $! > {log}.pid; sleep 0.2");
            network.Apply();
            NetworkNamespace.ShellHere("ip -6 route add 2001:db8:ffff::/64 dev lo");
            NetworkNamespace.ShellHere($"until grep -q ffff {log}; do sleep 0.05; done; kill $(cat {log}.pid); rm {log}.pid");
            string text = File.ReadAllText(log);
            File.Delete(log);
            return text;
        });

        Assert.Equal("2001:db8:ffff::/64 dev lo metric 1024 pref medium", told.Trim());
        space.Shell("ip -6 route del 2001:db8:ffff::/64 dev lo");
        Assert.Equal(once, IpState.Of(space));
    }

    [Fact]
    public void Applying_again_repairs_what_was_lost()
    {
        using NetworkNamespace space = Space();
        using HostNetwork network = Applied(space);
        string wanted = IpState.Of(space);

        space.Shell("ip link set dev od0 down; ip link set dev od0 mtu 1300; ip -6 rule del pref 100 iif lo");
        Assert.NotEqual(wanted, IpState.Of(space));
        space.Run(network.Apply);

        Assert.Equal(Sorted(wanted), Sorted(IpState.Of(space)));
    }

    [Fact]
    public void The_commands_of_a_plan_give_the_same_state_as_applying_it()
    {
        using NetworkNamespace applied = Space();
        using HostNetwork network = Applied(applied);
        using NetworkNamespace commanded = Space(withTap: false);

        foreach (string command in Plan.ToIpCommands())
        {
            commanded.Shell(command);
        }

        Assert.Equal(IpState.Of(applied), IpState.Of(commanded));
    }

    [Fact]
    public void A_state_made_by_commands_is_accepted_and_taken_back_except_the_unmarked_addresses()
    {
        using NetworkNamespace space = Space();
        foreach (string command in Plan.ToIpCommands(createTap: false))
        {
            space.Shell(command);
        }

        string commanded = IpState.Of(space);
        using HostNetwork network = Applied(space);
        Assert.Equal(commanded, IpState.Of(space));
        space.Run(network.TakeBack);

        Assert.Empty(space.Shell("ip -6 route show proto 86 table all"));
        Assert.DoesNotContain("86", space.Shell("ip -6 rule"));
        Assert.Equal(2, Json(space, "ip -j -6 addr show dev od0 scope global")[0]!["addr_info"]!.AsArray().Count);
    }

    [Fact]
    public void What_a_crashed_run_left_is_taken_back_at_the_next_start()
    {
        using NetworkNamespace space = Space();
        string before = IpState.Of(space);
        string notes = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using (HostNetwork crashed = space.Run(() => new HostNetwork(Plan, notes)))
        {
            space.Run(crashed.Apply);
            space.Run(() => crashed.AddPrefixRoute(Fixed));
        }

        using HostNetwork next = space.Run(() => new HostNetwork(Plan with { TypedPrefixes = [] }, notes));
        space.Run(next.Apply);
        Assert.Empty(space.Shell("ip -6 route show 2001:db8:a::/64"));
        Assert.Empty(space.Shell("ip -6 route show 2001:db8:f1::7/128"));
        space.Run(next.TakeBack);

        Assert.Equal(before, IpState.Of(space));
        Assert.False(File.Exists(notes));
    }

    [Fact]
    public void Rules_of_a_crashed_run_with_another_configuration_are_taken_back_and_those_of_a_living_one_stay()
    {
        using NetworkNamespace space = Space();
        space.Shell("ip tuntap add dev od1 mode tap");
        using HostNetwork living = space.Run(() => new HostNetwork(new HostPlan
        {
            Tap = "od1",
            Table = 8660,
            RulePreference = 200,
            Internal = [IpPrefix.Parse("fd00:c::/64")],
            Forwarding = ForwardingMode.Set,
        }));
        space.Run(living.Apply);
        string before = IpState.Of(space);
        space.Shell("ip tuntap add dev od2 mode tap");
        using HostNetwork crashed = space.Run(() => new HostNetwork(new HostPlan
        {
            Tap = "od2",
            Table = 8655,
            RulePreference = 300,
            Internal = [IpPrefix.Parse("fd00:d::/64")],
        }));
        space.Run(crashed.Apply);
        space.Shell("ip link del dev od2");

        using HostNetwork network = Applied(space);
        space.Run(network.TakeBack);

        Assert.Equal(before, IpState.Of(space));
    }

    [Fact]
    public void Typed_prefixes_come_and_go_while_running_and_twice_is_once()
    {
        using NetworkNamespace space = Space();
        using HostNetwork network = Applied(space);
        string before = IpState.Of(space);

        space.Run(() => network.AddPrefixRoute(Fixed));
        space.Run(() => network.AddPrefixRoute(Fixed));
        Assert.Equal("2001:db8:f1::7 dev od0 proto 86 metric 64", Line(space, "ip -6 route show 2001:db8:f1::7"));
        Assert.Contains(Fixed, network.TypedPrefixes);
        space.Run(() => network.RemovePrefixRoute(Fixed));
        space.Run(() => network.RemovePrefixRoute(Fixed));

        Assert.Equal(before, IpState.Of(space));
    }

    [Fact]
    public void Objects_of_others_that_are_as_wanted_stay_when_ours_are_taken_back()
    {
        using NetworkNamespace space = Space();
        space.Shell("ip link set dev od0 up; ip -6 addr add fd00:a::2/128 dev od0 nodad; "
            + "ip -6 route add 2001:db8:a::/64 dev od0 metric 64; "
            + "ip -6 rule add pref 100 iif lo lookup 8653");
        using HostNetwork network = Applied(space);
        Assert.Single(space.Shell("ip -6 rule").Split('\n'), line => line.Contains("from all iif lo"));
        space.Run(network.TakeBack);
        space.Run(() => network.RemovePrefixRoute(Typed));

        Assert.Contains("fd00:a::2/128", space.Shell("ip -6 addr show dev od0"));
        Assert.DoesNotContain("fd00:a::3/128", space.Shell("ip -6 addr show dev od0"));
        Assert.Contains("dev od0", space.Shell("ip -6 route show 2001:db8:a::/64"));
        Assert.Contains("iif lo lookup 8653", space.Shell("ip -6 rule"));
    }

    [Fact]
    public void Forwarding_goes_back_to_what_it_was_on_each_interface_but_not_over_what_others_set_since()
    {
        using NetworkNamespace space = Space();
        space.Shell("ip link add one type veth peer name two; sysctl -qw net.ipv6.conf.one.forwarding=1");
        string before = IpState.Of(space);
        using HostNetwork network = Applied(space);
        space.Run(network.TakeBack);
        Assert.Equal(before, IpState.Of(space));

        space.Run(network.Apply);
        space.Shell("sysctl -qw net/ipv6/conf/up0.1/accept_ra=0");
        space.Run(network.TakeBack);
        Assert.Equal("0", space.Shell("sysctl -n net/ipv6/conf/up0.1/accept_ra").Trim());
    }

    [Fact]
    public void On_kernels_without_marks_on_addresses_the_notes_say_which_are_ours()
    {
        // As an older kernel would leave it: the address is there without its mark, and the notes tell of it.
        using NetworkNamespace space = Space();
        string before = IpState.Of(space);
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        space.Run(() =>
        {
            var notes = new HostNotes(path);
            notes.Addresses.Add(IpAddress.Parse("fd00:a::2"));
            notes.Save();
        });
        space.Shell("ip -6 addr add fd00:a::2/128 dev od0 nodad");

        using HostNetwork network = space.Run(() => new HostNetwork(Plan, path));
        space.Run(network.TakeBack);

        Assert.Equal(before, IpState.Of(space));
    }

    /// <summary>A namespace with loopback up, an uplink with an address and a carrier, and a TAP that stays.</summary>
    private static NetworkNamespace Space(bool withTap = true)
    {
        var space = new NetworkNamespace();

        // The kernel tells of a carrier up to a second later; what comes with it must not come between two looks.
        space.Shell("ip link set dev lo up; ip link add name up0.1 type veth peer name peer0; "
            + "ip link set dev peer0 up; ip link set dev up0.1 up; "
            + "until [ $(ip -o link | grep -c 'state UP') = 2 ]; do sleep 0.05; done; "
            + "ip -6 addr add 2001:db8:5::1/64 dev up0.1 nodad");
        if (withTap)
        {
            space.Shell("ip tuntap add dev od0 mode tap vnet_hdr");
        }

        return space;
    }

    private static HostNetwork Open(NetworkNamespace space) => space.Run(() => new HostNetwork(Plan));

    private static HostNetwork Applied(NetworkNamespace space)
    {
        HostNetwork network = Open(space);
        space.Run(network.Apply);
        return network;
    }

    private static JsonArray Json(NetworkNamespace space, string command) => JsonNode.Parse(space.Shell(command))!.AsArray();

    private static string Line(NetworkNamespace space, string command) =>
        space.Shell(command).Replace(" linkdown", string.Empty).Replace(" pref medium", string.Empty).Trim();

    private static string Sorted(string text) => string.Join('\n', text.Split('\n').Order(StringComparer.Ordinal));
}
