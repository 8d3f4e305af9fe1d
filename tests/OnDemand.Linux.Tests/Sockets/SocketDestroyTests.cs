using System.Net.Sockets;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Host;
using Xunit;
using static OnDemand.Linux.Tests.Sockets.SocketDiagTests;
using static OnDemand.Linux.Tests.Sockets.SocketScene;

namespace OnDemand.Linux.Tests.Sockets;

public sealed class SocketDestroyTests
{
    [Fact]
    public void The_program_of_an_aborted_connection_gets_ECONNABORTED_at_once_and_its_peer_a_RST() => InScene((scene, diag) =>
    {
        (Socket client, Socket accepted) = scene.Connect(scene.Listener(Server, 80), 5000);
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord record));
        client.ReceiveTimeout = accepted.ReceiveTimeout = 10_000;

        Assert.Equal(DestroyResult.Destroyed, diag.Destroy(record));

        Assert.Equal(SocketError.ConnectionAborted, ErrorOfReceive(client));
        Assert.Equal(SocketError.ConnectionReset, ErrorOfReceive(accepted));
        Assert.Equal(DestroyResult.NotFound, diag.Destroy(record));
    });

    [Fact]
    public void A_program_that_waits_for_data_is_woken() => InScene((scene, diag) =>
    {
        (Socket client, _) = scene.Connect(scene.Listener(Server, 80), 5000);
        Task<SocketError> waiting = Task.Run(() => ErrorOfReceive(client));
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord record));

        Assert.Equal(DestroyResult.Destroyed, diag.Destroy(record));

        Assert.Equal(SocketError.ConnectionAborted, waiting.WaitAsync(TimeSpan.FromSeconds(30)).GetAwaiter().GetResult());
    });

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Another_socket_on_the_same_ports_is_not_aborted(bool isTcp) => InScene((scene, diag) =>
    {
        Socket listener = scene.Listener(Server, 80);
        SocketQuery query = Query(isTcp ? SocketProtocol.Tcp : SocketProtocol.Udp, Inside, 5000, Server, 80);
        Socket first = Open();
        Assert.True(diag.TryFind(query, out SocketRecord old));
        first.Close(0);
        Socket second = Open();

        Assert.Equal(DestroyResult.NotFound, diag.Destroy(old));
        Assert.Equal(DestroyResult.NotFound, diag.Destroy(old with { Cookie = ulong.MaxValue }));
        Assert.Equal(DestroyResult.NotFound, diag.Destroy(old with { Cookie = 0 }));

        Assert.Equal(1, second.Send([1]));
        Assert.True(diag.TryFind(query, out SocketRecord alive));
        Assert.Equal((CookieOf(second), SocketState.Established), (alive.Cookie, alive.State));

        Socket Open()
        {
            if (isTcp)
            {
                return scene.Connect(listener, 5000).Client;
            }

            Socket socket = scene.Udp(Inside, 5000);
            socket.Connect(End(Server, 80));
            return socket;
        }
    });

    [Theory]
    [InlineData(Inside, true)]
    [InlineData("::", false)]
    public void A_UDP_socket_is_aborted_connected_or_not(string address, bool isConnected) => InScene((scene, diag) =>
    {
        Socket socket = scene.Udp(address, 4000);
        if (isConnected)
        {
            socket.Connect(End(Server, 53));
        }

        socket.ReceiveTimeout = 10_000;
        Assert.True(diag.TryFind(Query(SocketProtocol.Udp, Inside, 4000, Server, 53), out SocketRecord record));

        Assert.Equal(DestroyResult.Destroyed, diag.Destroy(record));
        Assert.Equal(SocketError.ConnectionAborted, ErrorOfReceive(socket));
    });

    [Fact]
    public void Without_the_right_to_nothing_is_aborted() => InScene((scene, diag) =>
    {
        (Socket client, _) = scene.Connect(scene.Listener(Server, 80), 5000);
        Assert.True(diag.TryFind(Query(SocketProtocol.Tcp, Inside, 5000, Server, 80), out SocketRecord record));
        Capabilities.DropNetworkAdministration();

        Assert.Equal(DestroyResult.NotAllowed, diag.Destroy(record));
        Assert.Equal(1, client.Send([1]));
    });

    [Fact]
    public void An_error_of_the_kernel_is_something_to_act_on()
    {
        // EPERM, ENOENT, EACCES, EINVAL, EOPNOTSUPP, ESTALE of asm-generic/errno.h; ENOMEM is another matter.
        Assert.Equal(
            [DestroyResult.NotAllowed, DestroyResult.NotFound, DestroyResult.NotAllowed, DestroyResult.NotSupported, DestroyResult.NotSupported, DestroyResult.NotFound, null],
            new[] { 1, 2, 13, 22, 95, 116, 12 }.Select(SocketDiag.ResultOf));
    }

    private static SocketError ErrorOfReceive(Socket socket)
    {
        socket.Receive(new byte[1], SocketFlags.None, out SocketError error);
        return error;
    }
}
