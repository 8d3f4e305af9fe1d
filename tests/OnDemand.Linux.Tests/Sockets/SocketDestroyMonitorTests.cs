using System.Diagnostics;
using System.Net.Sockets;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Host;
using Xunit;
using static OnDemand.Linux.Tests.Sockets.SocketDiagTests;
using static OnDemand.Linux.Tests.Sockets.SocketScene;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class SocketDestroyMonitorTests
{
    [Fact]
    public void The_end_of_a_UDP_socket_is_told_with_cookie_and_ports_and_without_user_and_inode() => InScene((scene, _) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        Socket socket = scene.Udp(Inside, 4000);
        socket.Connect(End(Server, 53));
        ulong cookie = CookieOf(socket);
        Assert.False(monitor.TryTake(out SocketRecord _));
        socket.Close();

        SocketRecord ended = Take(monitor);

        SocketRecord expected = new()
        {
            Protocol = SocketProtocol.Udp,
            State = SocketState.Established,
            Local = IpAddress.Parse(Inside),
            LocalPort = 4000,
            Remote = IpAddress.Parse(Server),
            RemotePort = 53,
            Cookie = cookie,
        };
        Assert.Equal(expected, ended);
        Assert.False(monitor.TakeOverflow());
    });

    [Fact]
    public void The_end_of_a_connection_closed_here_first_is_told_when_it_goes_into_TIME_WAIT() => InScene((scene, diag) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        (Socket client, Socket accepted) = scene.Connect(scene.Listener(Server, 80), 5000);
        ulong first = CookieOf(client);
        ulong second = CookieOf(accepted);
        client.Close();
        accepted.Close();

        SocketRecord[] ended = [Take(monitor), Take(monitor)];

        Assert.Equal(new HashSet<ulong> { first, second }, [.. ended.Select(static end => end.Cookie)]);
        Assert.All(ended, static end => Assert.Equal((SocketProtocol.Tcp, 0u, 0u), (end.Protocol, end.Uid, end.Inode)));
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord rest));
        Assert.Equal((SocketState.TimeWait, false), (rest.State, rest.HasProgram));
    });

    [Fact]
    public void A_connection_with_two_holders_ends_with_the_second() => InScene((scene, _) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        using Process holder = scene.ForeignProgram(4242, "exec 4<>/dev/udp/2001:db8::2/7");    // sleep(1) has descriptors 3 and 4
        Assert.False(monitor.TryTake(out SocketRecord _));
        holder.Kill();

        Assert.Equal(new HashSet<ushort> { 7, 9 }, [Take(monitor).RemotePort, Take(monitor).RemotePort]);
    });

    [Fact]
    public void An_aborted_connection_ends_when_its_program_closes_it() => InScene((scene, diag) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        (Socket client, Socket accepted) = scene.Connect(scene.Listener(Server, 80), 5000);
        ulong cookie = CookieOf(client);
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord record));
        Assert.Equal(DestroyResult.Destroyed, diag.Destroy(record));
        accepted.Close();
        Assert.NotEqual(cookie, Take(monitor).Cookie);
        Assert.False(monitor.TryTake(out SocketRecord _));
        client.Close();

        Assert.Equal(cookie, Take(monitor).Cookie);
    });

    [Fact]
    public void Lost_notices_are_told_once_and_later_ones_come_again() => InScene((scene, _) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open(receiveBuffer: 4096));
        Socket[] sockets = [.. Enumerable.Range(4000, 300).Select(port => scene.Udp("::", port))];
        foreach (Socket socket in sockets)
        {
            socket.Close();
        }

        HashSet<ulong> ended = [];
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                while (monitor.TryTake(out SocketRecord end))
                {
                    ended.Add(end.Cookie);
                }

                return monitor.TakeOverflow();
            },
            TimeSpan.FromSeconds(30)));
        Assert.True(ended.Count < sockets.Length);

        // The kernel tells of ends one after the other: when the last one's is there, nothing is under way.
        Socket last = scene.Udp("::", 5000);
        ulong cookie = CookieOf(last);
        last.Close();
        SocketRecord notice;
        do
        {
            notice = Take(monitor);
            Assert.False(ended.Contains(notice.Cookie) && notice.Cookie != cookie);
        }
        while (notice.Cookie != cookie);
    });

    [Fact]
    public void Whoever_has_no_privileges_is_told_too() => InScene((scene, _) =>
    {
        Capabilities.DropNetworkAdministration();
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        Socket socket = scene.Udp(Inside, 4000);
        ulong cookie = CookieOf(socket);
        socket.Close();

        Assert.Equal(cookie, Take(monitor).Cookie);
    });

    private static SocketRecord Take(SocketDestroyMonitor monitor)
    {
        SocketRecord ended = default;
        Assert.True(SpinWait.SpinUntil(() => monitor.TryTake(out ended), TimeSpan.FromSeconds(30)));
        return ended;
    }
}
