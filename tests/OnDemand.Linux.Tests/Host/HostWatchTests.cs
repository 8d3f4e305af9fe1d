using System.Diagnostics;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Host;
using OnDemand.Linux.Tests.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Host;

public sealed class HostWatchTests
{
    private static readonly HostPlan Plan = new()
    {
        Tap = "od0",
        Internal = [IpPrefix.Parse("fd00:a::2/128")],
        Forwarding = ForwardingMode.Set,
        Uplinks = ["up0"],
        TypedPrefixes = [IpPrefix.Parse("2001:db8:a::/64")],
    };

    [Fact]
    public void A_deleted_tap_is_gone_even_when_another_takes_its_name() => Watch((network, watch) =>
    {
        NetworkNamespace.ShellHere("ip link del dev od0; ip tuntap add dev od0 mode tap");

        Assert.Equal(new HostEvent(HostEventKind.TapGone, "od0", 0), Next(watch, HostEventKind.TapGone));
        Assert.DoesNotContain(Rest(watch), happened => happened.Kind is HostEventKind.TapGone or HostEventKind.TapUp);
    });

    [Fact]
    public void A_changed_mtu_is_told() => Watch((network, watch) =>
    {
        NetworkNamespace.ShellHere("ip link set dev od0 mtu 1300");

        Assert.Equal(new HostEvent(HostEventKind.TapMtuChanged, "od0", 1300), Next(watch, HostEventKind.TapMtuChanged));
    });

    [Fact]
    public void An_uplink_that_goes_down_is_told_and_again_when_it_comes_back() => Watch((network, watch) =>
    {
        Assert.True(watch.UplinkUp);
        NetworkNamespace.ShellHere("ip link set dev peer0 down");
        Assert.Equal("up0", Next(watch, HostEventKind.UplinkDown).Name);
        Assert.False(watch.UplinkUp);
        NetworkNamespace.ShellHere("ip link set dev peer0 up");
        Assert.Equal("up0", Next(watch, HostEventKind.UplinkUp).Name);
        Assert.True(watch.UplinkUp);

        NetworkNamespace.ShellHere("ip link del dev up0");
        Next(watch, HostEventKind.UplinkDown);
        NetworkNamespace.ShellHere("ip link add name up0 type veth peer name peer0; ip link set dev peer0 up; ip link set dev up0 up");
        Next(watch, HostEventKind.UplinkUp);
    });

    [Theory]
    [InlineData("ip -6 addr del fd00:a::2/128 dev od0", "the address fd00:a::2")]
    [InlineData("ip -6 route del 2001:db8:a::/64", "the route to 2001:db8:a::/64")]
    [InlineData("ip -6 rule del pref 100", "the rule 'from all iif lo lookup 8653'")]
    public void What_somebody_else_removes_is_told_and_applying_repairs_it(string command, string what) => Watch((network, watch) =>
    {
        NetworkNamespace.ShellHere(command);
        Assert.Equal(what, Next(watch, HostEventKind.Disturbed).Name);

        network.Apply();

        Assert.Contains("2001:db8:a::/64", NetworkNamespace.ShellHere("ip -6 route show dev od0"));
        Assert.Contains("fd00:a::2", NetworkNamespace.ShellHere("ip -6 addr show dev od0"));
        Assert.Contains("lookup 8653", NetworkNamespace.ShellHere("ip -6 rule"));
    });

    [Fact]
    public void A_tap_that_is_set_down_is_told_and_applying_repairs_it() => Watch((network, watch) =>
    {
        NetworkNamespace.ShellHere("ip link set dev od0 down");
        Next(watch, HostEventKind.TapDown);

        network.Apply();

        Next(watch, HostEventKind.TapUp);
        Assert.Contains("fd00:a::2", NetworkNamespace.ShellHere("ip -6 addr show dev od0"));
        Assert.Contains("default", NetworkNamespace.ShellHere("ip -6 route show table 8653"));
    });

    [Fact]
    public void What_the_dataplane_itself_does_is_no_disturbance() => Watch((network, watch) =>
    {
        network.AddPrefixRoute(IpPrefix.Parse("2001:db8:b::/64"));
        network.RemovePrefixRoute(IpPrefix.Parse("2001:db8:b::/64"));
        network.RemovePrefixRoute(IpPrefix.Parse("2001:db8:a::/64"));

        Assert.Empty(Rest(watch));
    });

    [Fact]
    public void After_more_notices_than_the_socket_holds_the_state_is_read_anew() => Watch((network, watch) =>
    {
        NetworkNamespace.ShellHere(
            "seq 10000 49999 | sed -E 's,(.)(.*),route add 2001:db8:c::\\1:\\2/128 dev up0,' | ip -6 -batch -");
        NetworkNamespace.ShellHere("ip link set dev peer0 down; ip -6 route del 2001:db8:a::/64");

        Assert.Equal("something that was not told", Next(watch, HostEventKind.Disturbed).Name);
        Assert.False(watch.UplinkUp);
    });

    private static void Watch(Action<HostNetwork, HostWatch> test)
    {
        using var space = new NetworkNamespace();
        space.Run(() =>
        {
            NetworkNamespace.ShellHere("ip link set dev lo up; ip tuntap add dev od0 mode tap; "
                + "ip link add name up0 type veth peer name peer0; "
                + "ip link set dev peer0 up; ip link set dev up0 up");
            using var network = new HostNetwork(Plan);
            network.Apply();
            using var watch = new HostWatch(network);
            test(network, watch);
        });
    }

    /// <summary>The next event of a kind. Most are there when the command has ended; a carrier's change takes the kernel up to a
    /// second.</summary>
    private static HostEvent Next(HostWatch watch, HostEventKind kind)
    {
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < TimeSpan.FromSeconds(20))
        {
            while (watch.TryTake(out HostEvent happened))
            {
                if (happened.Kind == kind)
                {
                    return happened;
                }
            }

            Thread.Sleep(10);
        }

        throw new TimeoutException($"No {kind}.");
    }

    private static List<HostEvent> Rest(HostWatch watch)
    {
        List<HostEvent> events = [];
        while (watch.TryTake(out HostEvent happened))
        {
            events.Add(happened);
        }

        return events;
    }
}
