using System.Net;
using System.Net.Sockets;
using System.Text;
using OnDemand.Linux.Lab;
using OnDemand.Setsc;

namespace OnDemand.LabTests;

/// <summary>Whose a port is: of a server on a typed address, of one socket after another, of one that was closed at once.</summary>
public sealed class PortTests
{
    private const int Port = 7100;                   // which no rule of the usual scenario names
    private const string Reachable = "2001:db8:f1::7";
    private const string Nonpersistent = "2001:db8:a1:1:";
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // draft-17 §3.5: a server asks for a Fixed address, binds itself to it and listens. What it accepts has that address, too.
    [Fact]
    public async Task A_server_that_is_bound_to_its_typed_address_is_reached_there_and_keeps_its_connections_while_the_host_moves()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Socket(LabNodes.Host, SocketType.Stream);
        IPAddress typed = await AskAsync(rig, listener, AddressType.Fixed, map: false);
        listener.Bind(new IPEndPoint(typed, 8080));
        listener.Listen();
        using Socket mapped = rig.Server(LabNodes.Host, SocketType.Stream, 8081);

        using Socket caller = rig.Socket(LabNodes.Peer, SocketType.Stream);
        await caller.ConnectAsync(new IPEndPoint(typed, 8080), Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        using Socket served = await listener.AcceptAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        Assert.Equal((typed, 8080), (((IPEndPoint)served.LocalEndPoint!).Address, ((IPEndPoint)served.LocalEndPoint).Port));
        await LabRig.AssertEchoesAsync(served, caller);
        listener.Dispose();
        await rig.MoveAsync(LabNodes.SecondRouter);
        await LabRig.AssertEchoesAsync(served, caller);

        using Socket other = rig.Socket(LabNodes.Peer, SocketType.Stream);
        await other.ConnectAsync(new IPEndPoint(typed, 8081), Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        using Socket inside = await mapped.AcceptAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        await LabRig.AssertEchoesAsync(inside, other);
    }

    [Fact]
    public async Task A_datagram_server_that_is_bound_to_its_typed_address_is_reached_there()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket server = rig.Socket(LabNodes.Host, SocketType.Dgram);
        IPAddress typed = await AskAsync(rig, server, AddressType.Fixed, map: false);
        server.Bind(new IPEndPoint(typed, 8080));
        using Socket caller = rig.Socket(LabNodes.Peer, SocketType.Dgram);
        await caller.ConnectAsync(new IPEndPoint(typed, 8080), Cancellation);

        await caller.SendAsync("who"u8.ToArray(), Cancellation);
        byte[] room = new byte[64];
        SocketReceiveFromResult heard = await server.ReceiveFromAsync(room, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation)
            .AsTask().WaitAsync(InTime, Cancellation);
        Assert.Equal(LabRig.Peer, ((IPEndPoint)heard.RemoteEndPoint).Address);
        await server.SendToAsync("me"u8.ToArray(), heard.RemoteEndPoint, Cancellation);

        Assert.Equal(2, await caller.ReceiveAsync(room, Cancellation).AsTask().WaitAsync(InTime, Cancellation));
    }

    // The kernel may tell of an end some milliseconds late; until then the port is still taken for that of the one before.
    [Fact]
    public async Task A_socket_that_takes_the_port_of_a_closed_one_has_its_own_type_in_the_end_every_time()
    {
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Dgram, Port));
        for (int port = 6000; port < 6020; port++)
        {
            Socket before = rig.Socket(LabNodes.Host, SocketType.Dgram);
            using Socket after = rig.Socket(LabNodes.Host, SocketType.Dgram);
            await AskAsync(rig, before, AddressType.Fixed, map: true);
            await AskAsync(rig, after, AddressType.Nonpersistent, map: true);
            before.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
            Assert.Equal(Reachable, await SeenAsync(before));

            before.Dispose();
            after.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
            await SeenAsync(after);

            Assert.True(
                await LabRig.BecomesAsync(
                    async () => (await SeenAsync(after)).StartsWith(Nonpersistent, StringComparison.Ordinal), TimeSpan.FromSeconds(2)),
                $"Port {port} is still that of the socket before.");
        }
    }

    [Fact]
    public async Task What_a_socket_sends_before_it_is_closed_at_once_goes_by_what_it_asked_for()
    {
        const int many = 20;
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket server = rig.Server(LabNodes.Peer, SocketType.Dgram, Port);
        byte[] room = new byte[64];
        int kept = 0;
        for (int i = 0; i < many; i++)
        {
            Socket socket = rig.Socket(LabNodes.Host, SocketType.Dgram);
            await AskAsync(rig, socket, AddressType.Fixed, map: true);
            socket.SendTo("gone"u8.ToArray(), new IPEndPoint(LabRig.Peer, Port));
            socket.Dispose();
            SocketReceiveFromResult heard = await server.ReceiveFromAsync(room, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation)
                .AsTask().WaitAsync(InTime, Cancellation);
            kept += ((IPEndPoint)heard.RemoteEndPoint).Address.ToString() == Reachable ? 1 : 0;
        }

        // On a machine that is busy elsewhere the notice of the end may come before the packet is read, or much later.
        Assert.InRange(kept, many * 3 / 4, many);
    }

    private static Task<IPAddress> AskAsync(LabRig rig, Socket socket, AddressType type, bool map) => socket.SetServiceContinuityAsync(
        type, new SetscOptions { Map = map, SocketPath = rig.Lab.Directory.Programs }, Cancellation);

    private static async Task<string> SeenAsync(Socket socket)
    {
        byte[] room = new byte[256];
        for (int attempt = 0; attempt < 20; attempt++)
        {
            await socket.SendToAsync("who\n"u8.ToArray(), new IPEndPoint(LabRig.Peer, Port), Cancellation);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(TimeSpan.FromMilliseconds(500));
            try
            {
                int length = await socket.ReceiveAsync(room, limit.Token);
                return Encoding.UTF8.GetString(room, 0, length).Trim()["who from ".Length..];
            }
            catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
            {
                // A datagram may be lost: again.
            }
        }

        throw new TimeoutException("No question was answered.");
    }
}
