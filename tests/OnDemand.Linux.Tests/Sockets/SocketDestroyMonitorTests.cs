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
    public void The_end_of_a_connection_closed_here_alone_is_told_before_its_peer_closes() => InScene((scene, diag) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        (Socket client, _) = scene.Connect(scene.Listener(Server, 80), 5000);
        ulong cookie = CookieOf(client);
        client.Close();

        Assert.Equal(cookie, Take(monitor).Cookie);
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord rest));
        Assert.Equal((SocketState.FinWait2, false), (rest.State, rest.HasProgram));
    });

    [Fact]
    public void A_socket_that_two_processes_have_ends_with_the_second() => InScene((scene, diag) =>
    {
        SocketDestroyMonitor monitor = scene.Keep(SocketDestroyMonitor.Open());
        Process parent = scene.ForeignProgram(4242, after: "{ sleep 100 & echo $!; }");
        using var child = Process.GetProcessById(int.Parse(parent.StandardOutput.ReadLine()!));
        SocketRecord shared = default;
        diag.Dump(SocketProtocol.Udp, SocketStates.All, (in SocketRecord record) => shared = record);
        Assert.Equal(9, shared.RemotePort);
        parent.Kill();
        parent.WaitForExit();
        Socket other = scene.Udp("::", 4000);
        ulong cookie = CookieOf(other);
        other.Close();

        Assert.Equal(cookie, Take(monitor).Cookie);    // the kernel tells in order: nothing came of the first one's end
        child.Kill();
        Assert.Equal(shared.Cookie, Take(monitor).Cookie);
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
        SocketDestroyMonitor witness = scene.Keep(SocketDestroyMonitor.Open());
        Socket[] sockets = [.. Enumerable.Range(4000, 300).Select(port => scene.Udp("::", port))];
        foreach (Socket socket in sockets)
        {
            socket.Close();
        }

        // The kernel tells on a worker of its own: who reads meanwhile may keep pace with it and lose nothing.
        for (int i = 0; i < sockets.Length; i++)
        {
            Take(witness);
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

        // What is still under way may be lost too; then there is room again.
        Assert.True(SpinWait.SpinUntil(() => IsToldOfAnEnd(scene, monitor), TimeSpan.FromSeconds(30)));
        monitor.TakeOverflow();
        Assert.False(monitor.TakeOverflow());
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

    private static bool IsToldOfAnEnd(SocketScene scene, SocketDestroyMonitor monitor)
    {
        using Socket socket = scene.Udp("::", 0);
        ulong cookie = CookieOf(socket);
        socket.Close();
        return SpinWait.SpinUntil(() => monitor.TryTake(out SocketRecord ended) && ended.Cookie == cookie, TimeSpan.FromMilliseconds(200));
    }

    private static SocketRecord Take(SocketDestroyMonitor monitor)
    {
        SocketRecord ended = default;
        Assert.True(SpinWait.SpinUntil(() => monitor.TryTake(out ended), TimeSpan.FromSeconds(30)));
        return ended;
    }
}
