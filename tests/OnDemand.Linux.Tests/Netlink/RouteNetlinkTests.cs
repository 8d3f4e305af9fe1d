using System.Diagnostics;
using System.Net.NetworkInformation;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Netlink;
using Xunit;

namespace OnDemand.Linux.Tests.Netlink;

public sealed class RouteNetlinkTests
{
    [Fact]
    public void A_link_is_found_by_name_with_what_ip_says_of_it() => InNamespace(netlink =>
    {
        Link link = netlink.FindLink("od0")!;

        Assert.StartsWith($"{link.Index}: od0:", NetworkNamespace.ShellHere("ip -o link show dev od0"));
        Assert.True(link is { Name: "od0", Mtu: 1500, Kind: "tun", IsTap: true, IsUp: false, IsWithoutNeighborDiscovery: false });
        Assert.True(netlink.FindLink("tun0") is { Kind: "tun", IsTap: false });
        Assert.True(netlink.FindLink("up0") is { Kind: "veth", IsTap: false });
        Assert.True(netlink.FindLink("lo") is { Kind: null, IsTap: false, IsUp: true });
        Assert.Null(netlink.FindLink("absent0"));
        Assert.Equal(["lo", "od0", "peer0", "tun0", "up0"], netlink.Links().Select(other => other.Name).Order());
    });

    [Fact]
    public void Links_are_changed() => InNamespace(netlink =>
    {
        Link link = netlink.FindLink("od0")!;

        Assert.True(netlink.SetLinkMtu(link.Index, 1300).IsNone);
        Assert.True(netlink.SetLinkAddress(link.Index, PhysicalAddress.Parse("02-00-00-00-86-53")).IsNone);
        Assert.True(netlink.SetLinkFlags(link.Index, Link.NoArpFlag, Link.NoArpFlag).IsNone);
        Assert.True(netlink.SetLinkUp(link.Index).IsNone);

        string told = NetworkNamespace.ShellHere("ip link show dev od0");
        Assert.Contains("mtu 1300", told);
        Assert.Contains("link/ether 02:00:00:00:86:53", told);
        Assert.Contains("NOARP", told);
        Assert.Contains("UP", told);
        Assert.Equal(Errno.Einval, netlink.SetLinkMtu(link.Index, 1).Error);
        Assert.Equal(Errno.Enodev, netlink.SetLinkMtu(9999, 1500).Error);
    });

    [Fact]
    public void Addresses_are_added_listed_and_deleted() => InNamespace(netlink =>
    {
        int index = netlink.FindLink("up0")!.Index;
        var address = new InterfaceAddress(index, IpAddress.Parse("2001:db8::5"), 64)
        {
            Flags = InterfaceAddress.NoDuplicateDetectionFlag,
            Protocol = 86,
        };

        Assert.True(netlink.AddAddress(address).IsNone);
        Assert.Equal(Errno.Eexist, netlink.AddAddress(address).Error);
        Assert.Contains("2001:db8::5/64 scope global nodad", NetworkNamespace.ShellHere("ip -6 addr show dev up0"));
        InterfaceAddress listed = Assert.Single(netlink.Addresses(), other => other.Address == address.Address);
        Assert.Equal((index, (byte)64), (listed.LinkIndex, listed.PrefixLength));
        Assert.True(listed.Protocol is 86 or 0);    // 0 before Linux 5.18
        Assert.True(netlink.DeleteAddress(address).IsNone);
        Assert.Equal(Errno.Eaddrnotavail, netlink.DeleteAddress(address).Error);
        Assert.DoesNotContain("2001:db8::5", NetworkNamespace.ShellHere("ip -6 addr"));
    });

    [Fact]
    public void Routes_are_added_listed_by_maker_and_table_and_deleted() => InNamespace(netlink =>
    {
        int index = netlink.FindLink("up0")!.Index;
        NetworkNamespace.ShellHere("ip -6 addr add 2001:db8::5/64 dev up0 nodad; ip -6 route add 2001:db8:1::/64 dev up0 table 77");
        var route = new Route(77, IpPrefix.Parse("2001:db8:2::/48"), index)
        {
            Protocol = 86,
            Metric = 5,
            PreferredSource = IpAddress.Parse("2001:db8::5"),
            Gateway = IpAddress.Parse("fe80::1"),
        };

        Assert.True(netlink.AddRoute(route).IsNone);
        Assert.Equal(Errno.Eexist, netlink.AddRoute(route).Error);
        Assert.Contains(
            "2001:db8:2::/48 via fe80::1 dev up0 proto 86 src 2001:db8::5 metric 5",
            NetworkNamespace.ShellHere("ip -6 route show table 77"));
        Assert.Equal([route], netlink.Routes(86));
        Assert.Equal(2, netlink.RoutesOf(77).Count);
        Assert.Empty(netlink.RoutesOf(78));
        Assert.Contains(netlink.Routes(), other => other.Table == Route.LocalTable && other.Type == Route.LocalType);
        Assert.Equal(Errno.Esrch, netlink.DeleteRoute(route with { Protocol = 87 }).Error);
        Assert.True(netlink.DeleteRoute(route).IsNone);
        Assert.Equal(Errno.Esrch, netlink.DeleteRoute(route).Error);
    });

    [Fact]
    public void Rules_are_added_listed_and_deleted() => InNamespace(netlink =>
    {
        List<RoutingRule> before = netlink.Rules();
        RoutingRule[] rules =
        [
            new(50, 8653) { IncomingInterface = "lo", Protocol = 86 },
            new(51, 8653) { From = IpPrefix.Parse("2001:db8::/32"), To = IpPrefix.Parse("2001:db8:1::/48"), Protocol = 86 },
            new(52, 7),
        ];

        foreach (RoutingRule rule in rules)
        {
            Assert.True(netlink.AddRule(rule).IsNone);
            Assert.Equal(Errno.Eexist, netlink.AddRule(rule).Error);
        }

        string told = NetworkNamespace.ShellHere("ip -6 rule").Replace('\t', ' ');
        Assert.Contains("50: from all iif lo lookup 8653 proto 86", told);
        Assert.Contains("51: from 2001:db8::/32 to 2001:db8:1::/48 lookup 8653 proto 86", told);
        Assert.Contains("52: from all lookup 7", told);
        Assert.Equal(rules, netlink.Rules().Except(before));
        foreach (RoutingRule rule in rules)
        {
            Assert.True(netlink.DeleteRule(rule).IsNone);
            Assert.Equal(Errno.Enoent, netlink.DeleteRule(rule).Error);
        }

        Assert.Equal(before, netlink.Rules());
    });

    [Theory]
    [InlineData("fwmark 1")]
    [InlineData("oif lo")]
    [InlineData("uidrange 0-5")]
    [InlineData("ipproto tcp")]
    [InlineData("dport 80")]
    [InlineData("tos 0x10")]
    [InlineData("suppress_prefixlength 0")]
    public void A_condition_that_is_not_known_here_is_not_overlooked(string condition) => InNamespace(netlink =>
    {
        NetworkNamespace.ShellHere($"ip -6 rule add pref 60 lookup 9 {condition}");

        Assert.True(Assert.Single(netlink.Rules(), rule => rule.Preference == 60).HasOtherConditions);
    });

    [Fact]
    public void An_inverted_rule_is_not_taken_for_its_opposite() => InNamespace(netlink =>
    {
        NetworkNamespace.ShellHere("ip -6 rule add not from 2001:db8::/32 pref 60 lookup 9");

        Assert.True(Assert.Single(netlink.Rules(), rule => rule.Preference == 60).HasOtherConditions);
    });

    [Fact]
    public void The_kernels_sentence_comes_with_its_error() => InNamespace(netlink =>
    {
        NetlinkError error = netlink.SetLinkMtu(netlink.FindLink("od0")!.Index, 1);

        Assert.Equal(Errno.Einval, error.Error);
        Assert.Equal("mtu less than device minimum", error.Sentence);
    });

    [Fact]
    public void A_long_dump_is_whole() => InNamespace(netlink =>
    {
        NetworkNamespace.ShellHere("seq 3000 | sed 's,.*,route add 2001:db8::&/128 dev lo table 5,' | ip -6 -batch -");

        Assert.Equal(3000, netlink.RoutesOf(5).Select(route => route.Destination).Distinct().Count());
    });

    [Fact]
    public void A_dump_while_addresses_come_and_go_has_all_that_were_there_throughout() => InNamespace(netlink =>
    {
        NetworkNamespace.ShellHere("seq 300 | sed 's,.*,addr add 2001:db8::1:&/128 dev od0 nodad,' | ip -6 -batch -");
        using Process churn = Process.Start("sh", [
            "-c",
            "for i in $(seq 9); do echo addr add 2001:db8::2:1/128 dev up0 nodad; echo addr del 2001:db8::2:1/128 dev up0; sleep .1; done "
            + "| ip -6 -batch -",
        ]);
        int dumps = 0;
        do
        {
            Assert.Equal(300, netlink.Addresses().Count(address => (address.Address.Low & 0xffff_0000) == 0x1_0000));
            dumps++;
        }
        while (!churn.HasExited);

        Assert.True(dumps > 0);
        churn.WaitForExit();
        Assert.Equal(0, churn.ExitCode);
    });

    [Fact]
    public void A_monitor_tells_of_links_addresses_routes_and_rules_in_order() => InNamespace(netlink =>
    {
        using var monitor = new RouteMonitor();
        int index = netlink.FindLink("up0")!.Index;
        NetworkNamespace.ShellHere("ip link set dev up0 mtu 1400; ip -6 rule add pref 70 lookup 9; "
            + "ip -6 route add 2001:db8:9::/64 dev up0; ip -6 route del 2001:db8:9::/64; ip -6 rule del pref 70");
        using var enough = new CancellationTokenSource(TimeSpan.FromSeconds(20));

        // Other notices come in between: the kernel tells late of the carrier and of what comes with it.
        var prefix = IpPrefix.Parse("2001:db8:9::/64");
        Await(monitor, told => told.Kind == RouteNoticeKind.LinkChanged && told.Link is { Mtu: 1400 } link && link.Index == index, enough.Token);
        Await(monitor, told => told.Kind == RouteNoticeKind.RuleAdded && told.Rule.Preference == 70, enough.Token);
        Await(monitor, told => told.Kind == RouteNoticeKind.RouteChanged && told.Route.Destination == prefix, enough.Token);
        Await(monitor, told => told.Kind == RouteNoticeKind.RouteRemoved && told.Route.Destination == prefix, enough.Token);
        Await(monitor, told => told.Kind == RouteNoticeKind.RuleRemoved && told.Rule.Preference == 70, enough.Token);
    });

    [Fact]
    public void A_wait_for_notices_can_be_ended() => InNamespace(netlink =>
    {
        using var monitor = new RouteMonitor();
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));

        void TakeForEver()
        {
            while (true)
            {
                monitor.Take(soon.Token);
            }
        }

        Assert.Throws<OperationCanceledException>(TakeForEver);
    });

    [Fact]
    public void What_another_program_sends_does_not_count() => InNamespace(netlink =>
    {
        using NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.Route);
        using FileDescriptor descriptor = Libc.Socket(16, 3, 0);
        Assert.Equal(0, Libc.Bind(descriptor, SocketAddress(0), 12));
        var forged = new NetlinkRequest(new byte[NetlinkRequest.UsualLength], 16, NetlinkFlags.None, 16);
        MemoryMarshal.Write(forged.Header[4..], 5);
        forged.Add(3, "forged0");
        ReadOnlySpan<byte> message = forged.Finish(0);
        Assert.Equal(message.Length, Libc.SendTo(descriptor, message, (nuint)message.Length, 0, SocketAddress(socket.Port), 12));

        Assert.Equal(NetlinkReceipt.Nothing, socket.TryReceive(out ReadOnlySpan<byte> received));
        Assert.True(received.IsEmpty);
    });

    [Fact]
    public void Another_family_is_asked_with_the_same_socket_class()
    {
        // SOCK_DIAG_BY_FAMILY for IPv6 TCP sockets in any state: struct inet_diag_req_v2 of 56 octets.
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.IPv6Loopback, 0);
        listener.Start();
        int port = ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        using NetlinkSocket socket = NetlinkSocket.Open(NetlinkFamily.SocketDiagnostics);
        var request = new NetlinkRequest(new byte[NetlinkRequest.UsualLength], 20, NetlinkFlags.Dump, 56);
        request.Header[0] = 10;
        request.Header[1] = 6;
        MemoryMarshal.Write(request.Header[4..], uint.MaxValue);
        List<int> ports = [];

        NetlinkError error = socket.Ask(ref request, SourcePort, ports);

        Assert.True(error.IsNone, error.ToString());
        Assert.Contains(port, ports);
    }

    private static bool SourcePort(NetlinkMessage message, out int port)
    {
        port = message.Payload.Length < 6 ? 0 : (message.Payload[4] << 8) | message.Payload[5];
        return message.Type == 20;
    }

    private static byte[] SocketAddress(uint port)
    {
        byte[] address = new byte[12];
        MemoryMarshal.Write(address, (ushort)16);
        MemoryMarshal.Write(address.AsSpan(4), port);
        return address;
    }

    /// <summary>Takes notices up to the one that is looked for, or fails by being ended.</summary>
    private static void Await(RouteMonitor monitor, Predicate<RouteNotice> isIt, CancellationToken enough)
    {
        while (!isIt(monitor.Take(enough)))
        {
        }
    }

    private static void InNamespace(Action<RouteNetlink> test)
    {
        using var space = new NetworkNamespace();
        space.Run(() =>
        {
            NetworkNamespace.ShellHere("ip link set dev lo up; ip tuntap add dev od0 mode tap; ip tuntap add dev tun0 mode tun; "
                + "ip link add name up0 type veth peer name peer0; ip link set dev peer0 up; ip link set dev up0 up");
            using var netlink = new RouteNetlink();
            test(netlink);
        });
    }
}
