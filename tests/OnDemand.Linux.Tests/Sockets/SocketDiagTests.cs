using System.Net.Sockets;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Host;
using Xunit;
using static OnDemand.Linux.Tests.Sockets.SocketScene;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class SocketDiagTests
{
    [Fact]
    public void Both_ends_of_a_connection_are_found_each_as_itself() => InScene((scene, diag) =>
    {
        (Socket client, Socket accepted) = scene.Connect(scene.Listener(Server, 80), 5000);

        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord one));
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Server, 80, Inside, 5000), out SocketRecord other));

        Assert.Equal(CookieOf(client), one.Cookie);
        Assert.Equal(CookieOf(accepted), other.Cookie);
        Assert.Equal((SocketState.Established, SocketProtocol.Tcp, 0u), (one.State, one.Protocol, one.Uid));
        Assert.Equal((IpAddress.Parse(Inside), (ushort)5000, IpAddress.Parse(Server), (ushort)80), (one.Local, one.LocalPort, one.Remote, one.RemotePort));
        Assert.Contains(one.Inode, ProcessSockets.InodesOf(Environment.ProcessId));
        Assert.True(one.HasProgram);
    });

    [Fact]
    public void A_connection_is_found_while_its_first_SYN_is_under_way() => InScene((scene, diag) =>
    {
        Shell("ip link add od9 type veth peer name od8; ip link set od8 up; ip link set od9 up; ip -6 addr add 2001:db8:9::1/64 dev od9 nodad; "
            + Await("table main", "2001:db8:9::/64") + Await("table local", "2001:db8:9::1"));
        Socket client = scene.Keep(new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
        client.Bind(End("2001:db8:9::1", 5001));
        Assert.Throws<SocketException>(() => client.Connect(End("2001:db8:9::2", 80)));    // EINPROGRESS: nobody answers

        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, "2001:db8:9::1", 5001, "2001:db8:9::2", 80), out SocketRecord record));

        Assert.Equal((SocketState.SynSent, CookieOf(client)), (record.State, record.Cookie));
    });

    [Fact]
    public void A_flow_without_a_connection_gives_the_listener_and_one_without_a_listener_gives_nothing() => InScene((scene, diag) =>
    {
        Socket listener = scene.Listener("::", 80);
        SocketQuery query = Query(SocketProtocol.Tcp, Server, 80, Inside, 5000);

        Assert.True(diag.TryFind(query, out SocketRecord record));
        Assert.True(diag.TryFind(query.Listener, out SocketRecord same));
        Assert.False(diag.TryFind(query with { LocalPort = 81 }, out _));

        Assert.Equal((SocketState.Listen, CookieOf(listener)), (record.State, record.Cookie));
        Assert.Equal(record, same);
    });

    [Fact]
    public void A_half_open_connection_has_no_program_but_already_the_cookie_of_the_socket_that_is_accepted() => InScene((scene, diag) =>
    {
        Socket listener = scene.Listener(Server, 80);
        listener.SetRawSocketOption(6, 9, BitConverter.GetBytes(30));    // TCP_DEFER_ACCEPT: no socket before there are data
        Socket client = scene.Tcp(Inside, 5000);
        client.Connect(End(Server, 80));
        SocketQuery query = Query(SocketProtocol.Tcp, Server, 80, Inside, 5000);

        Assert.True(diag.TryFind(query, out SocketRecord halfOpen));
        client.Send([1]);
        Socket accepted = scene.Keep(listener.Accept());
        Assert.True(diag.TryFind(query, out SocketRecord open));

        Assert.Equal(SocketState.SynReceived, halfOpen.State);
        Assert.False(halfOpen.HasProgram);
        Assert.Equal(CookieOf(accepted), halfOpen.Cookie);
        Assert.Equal(CookieOf(accepted), open.Cookie);
        Assert.True(diag.TryFind(query.Listener, out SocketRecord parent));
        Assert.Equal(CookieOf(listener), parent.Cookie);
    });

    [Fact]
    public void Of_two_UDP_sockets_that_are_connected_to_each_other_each_is_found_as_itself() => InScene((scene, diag) =>
    {
        // The kernel's look-up of UDP has source and destination the other way round: mixed up, each would be taken for the other.
        Socket one = scene.Udp(Inside, 4001);
        Socket other = scene.Udp(Server, 4002);
        one.Connect(End(Server, 4002));
        other.Connect(End(Inside, 4001));

        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4001, Server, 4002), out SocketRecord first));
        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Server, 4002, Inside, 4001), out SocketRecord second));

        Assert.Equal((CookieOf(one), SocketState.Established), (first.Cookie, first.State));
        Assert.Equal((CookieOf(other), SocketState.Established), (second.Cookie, second.State));
        Assert.False(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4001, Server, 4003), out _));
    });

    [Fact]
    public void A_UDP_socket_that_is_bound_to_nothing_is_found_for_all_its_peers() => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp("::", 4000);

        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4000, Server, 53), out SocketRecord record));
        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4000, "2001:db8:1::7", 99), out SocketRecord again));
        Assert.False(diag.TryFind(Query(SocketProtocol.Udp, Server, 53, Inside, 4000), out _));

        Assert.Equal((CookieOf(socket), SocketState.Closed, true), (record.Cookie, record.State, record.Local.IsUnspecified));
        Assert.Equal(record, again);
    });

    [Fact]
    public void A_connected_UDP_socket_comes_before_an_unconnected_one_on_its_port() => InScene((scene, diag) =>
    {
        Socket server = scene.Udp("::", 4000, isShared: true);
        Socket connected = scene.Udp(Inside, 4000, isShared: true);
        connected.Connect(End(Server, 53));

        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4000, Server, 53), out SocketRecord own));
        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4000, Server, 54), out SocketRecord others));

        Assert.Equal((CookieOf(connected), CookieOf(server)), (own.Cookie, others.Cookie));
    });

    [Fact]
    public void Of_sockets_that_share_a_port_the_one_is_found_that_the_peers_answer_reaches() => InScene((scene, diag) =>
    {
        Socket[] group = [.. Enumerable.Range(0, 4).Select(_ => scene.Udp(Inside, 4000, isShared: true))];
        HashSet<ulong> cookies = [];
        for (int port = 6000; port < 6032; port++)
        {
            Socket peer = scene.Udp(Server, port);
            peer.SendTo([1], End(Inside, 4000));
            Socket reached = Assert.Single(group, static member => member.Available > 0);
            Assert.Equal(1, reached.Receive(new byte[1]));

            Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4000, Server, port), out SocketRecord record));
            Assert.Equal(CookieOf(reached), record.Cookie);
            cookies.Add(record.Cookie);
        }

        Assert.True(cookies.Count > 1);    // else the test shows nothing
    });

    [Fact]
    public void Sockets_of_one_program_and_one_port_after_another_are_never_the_same() => InScene((scene, diag) =>
    {
        Socket listener = scene.Listener(Server, 80);
        (Socket first, Socket accepted) = scene.Connect(listener, 5000);
        (_, _) = scene.Connect(listener, 5001);
        SocketQuery query = Query(SocketProtocol.Tcp, Inside, 5000, Server, 80);
        Assert.True(diag.TryFind(query, out SocketRecord one));
        Assert.True(diag.TryFind(query with { LocalPort = 5001 }, out SocketRecord other));
        first.Close(0);    // with a RST: nothing remains
        accepted.Close(0);
        scene.Connect(listener, 5000);
        Assert.True(diag.TryFind(query, out SocketRecord reused));

        Assert.Equal(3, new HashSet<ulong> { one.Cookie, other.Cookie, reused.Cookie }.Count);
    });

    [Fact]
    public void A_socket_bound_to_an_interface_is_found_by_that_interface() => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp("::", 4000);
        socket.SetRawSocketOption(1, 25, "lo\0"u8);    // SO_BINDTODEVICE
        SocketQuery query = Query(SocketProtocol.Udp, Inside, 4000, Server, 53);

        Assert.False(diag.TryFind(query, out _));
        Assert.True(diag.TryFind(query with { InterfaceIndex = 1 }, out SocketRecord record));
        Assert.Equal((CookieOf(socket), 1), (record.Cookie, record.InterfaceIndex));

        Socket free = scene.Udp("::", 4001);
        Assert.True(diag.TryFind(query with { LocalPort = 4001, InterfaceIndex = 1 }, out record));
        Assert.Equal(CookieOf(free), record.Cookie);
    });

    [Fact]
    public void A_mark_is_read_with_the_right_to_and_is_zero_without() => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp("::", 4000);
        socket.SetRawSocketOption(1, 36, BitConverter.GetBytes(0x8653));    // SO_MARK
        SocketQuery query = Query(SocketProtocol.Udp, Inside, 4000, Server, 53);

        Assert.True(diag.TryFind(query, out SocketRecord record));
        Assert.Equal(0x8653u, record.Mark);
        Capabilities.DropNetworkAdministration();
        Assert.True(scene.Diag().TryFind(query, out record));
        Assert.Equal((0u, CookieOf(socket)), (record.Mark, record.Cookie));
    });

    [Fact]
    public void Many_flows_asked_together_give_what_each_alone_gives() => InScene((scene, diag) =>
    {
        SocketQuery[] queries = [.. Enumerable.Range(0, 131).Select(i => Query(SocketProtocol.Udp, Inside, 4000 + i, Server, 53))];
        for (int i = 0; i < queries.Length; i += 3)
        {
            scene.Udp("::", 4000 + i);
        }

        var records = new SocketRecord[queries.Length];
        bool[] found = new bool[queries.Length];
        Array.Fill(found, true);
        Assert.Equal(44, diag.Find(queries, records, found));

        for (int i = 0; i < queries.Length; i++)
        {
            Assert.Equal(i % 3 == 0, found[i]);
            Assert.Equal(found[i], diag.TryFind(queries[i], out SocketRecord alone));
            Assert.Equal(alone, records[i]);
        }
    });

    [Fact]
    public void Answers_that_the_socket_could_not_hold_are_asked_for_again() => InScene((scene, _) =>
    {
        SocketQuery[] queries = [.. Enumerable.Range(4000, 96).Select(static port => Query(SocketProtocol.Udp, Inside, port, Server, 53))];
        ulong[] cookies = [.. queries.Select(query => CookieOf(scene.Udp("::", query.LocalPort)))];
        // The kernel's least is some 2 KiB: a few answers of a batch.
        SocketDiag narrow = scene.Keep(SocketDiag.Open(receiveBuffer: 1));
        var records = new SocketRecord[queries.Length];
        bool[] found = new bool[queries.Length];

        Assert.Equal(queries.Length, narrow.Find(queries, records, found));
        Assert.Equal(cookies, records.Select(static record => record.Cookie));
    });

    [Fact]
    public void The_rest_of_an_answer_that_was_given_up_is_not_taken_for_another() => InScene((scene, diag) =>
    {
        for (int i = 0; i < 300; i++)
        {
            scene.Udp("::", 4000 + i);
        }

        Socket wanted = scene.Udp("::", 5000);
        Assert.Throws<InvalidOperationException>(() => diag.Dump(
            SocketProtocol.Udp, SocketStates.All, (in SocketRecord _) => throw new InvalidOperationException()));

        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 5000, Server, 53), out SocketRecord record));
        Assert.Equal(CookieOf(wanted), record.Cookie);
        Assert.False(diag.TryFind(Query(SocketProtocol.Udp, Inside, 5001, Server, 53), out _));
        Assert.Throws<InvalidOperationException>(() => diag.Dump(
            SocketProtocol.Udp, SocketStates.All, (in SocketRecord _) => throw new InvalidOperationException()));
        int count = 0;
        diag.Dump(SocketProtocol.Udp, SocketStates.All, (in SocketRecord _) => count++);
        Assert.Equal(301, count);
    });

    [Fact]
    public void Looking_up_allocates_nothing() => InScene((scene, diag) =>
    {
        scene.Udp("::", 4000);
        scene.Connect(scene.Listener(Server, 80), 5000);
        SocketQuery[] queries = [.. Enumerable.Range(0, 60).SelectMany(static i => new[]
        {
            Query(SocketProtocol.Udp, Inside, 4000 + (i % 2), Server, 53),
            Query(SocketProtocol.Tcp, Inside, 5000 + (i % 2), Server, 80),
        })];
        var records = new SocketRecord[queries.Length];
        bool[] found = new bool[queries.Length];

        long least = long.MaxValue;
        for (int round = 0; round < 4; round++)    // after a first walk of the same path; what the runtime takes once is not in all of them
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            int hits = diag.Find(queries, records, found);
            foreach (SocketQuery query in queries)
            {
                hits += diag.TryFind(query, out _) ? 1 : 0;
            }

            least = round == 0 ? least : Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
            Assert.Equal(queries.Length, hits);
        }

        Assert.Equal(0, least);
    });

    [Fact]
    public void A_protocol_that_the_kernel_cannot_tell_of_is_named_with_its_module() => InScene((_, diag) =>
    {
        // 253 is for experiments (RFC 3692): no kernel has a module for it.
        HostException exception = Assert.Throws<HostException>(() => diag.Require((SocketProtocol)253));
        Assert.Equal("The kernel cannot tell whose socket a flow of protocol 253 is: load its module with `modprobe inet_diag`.", exception.Message);
        diag.Require(SocketProtocol.Udp);
    });

    internal static void InScene(Action<SocketScene, SocketDiag> work)
    {
        using var scene = new SocketScene();
        scene.Run(() => work(scene, scene.Diag()));
    }
}
