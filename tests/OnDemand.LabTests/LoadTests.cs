using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Diagnostics.Tracing.Parsers.Clr;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>Many flows, and more than there is room for.</summary>
public sealed class LoadTests
{
    private const int Tcp = 7001;
    private const int Udp = 9001;
    private const string EchoServer =
        """
        import asyncio, resource
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        async def echo(reader, writer):
            try:
                while words := await reader.read(4096):
                    writer.write(words)
            except ConnectionError:
                pass
            writer.close()
        async def main():
            server = await asyncio.start_server(echo, '::', 7001, backlog=4096)
            print('listening', flush=True)
            await server.serve_forever()
        asyncio.run(main())
        """;

    private static readonly TimeSpan Never = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_full_flow_table_refuses_what_is_new_and_leaves_a_transfer_alone()
    {
        const int room = 16;
        const int asked = 100;
        LabRig.Need();
        string file = Path.Combine(Path.GetTempPath(), $"ondemand-{Guid.NewGuid():N}.yaml");
        await File.WriteAllTextAsync(file, Small(room), Cancellation);
        try
        {
            await using LabRig rig = await LabRig.UpAsync(file);
            using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Tcp);
            using Transfers transfers = await Transfers.BeginAsync(rig, listener, Tcp, atFullSpeed: true);
            await transfers.AssertGoOnAsync(10_000_000);

            List<Socket> others = [];
            for (int i = 0; i < asked; i++)
            {
                Socket other = rig.Socket(LabNodes.Host, SocketType.Dgram);
                await other.ConnectAsync(new IPEndPoint(LabRig.Peer, Udp), Cancellation);
                await other.SendAsync("let me in"u8.ToArray(), Cancellation);
                others.Add(other);
            }

            using var client = new ControlClient(rig.Lab.Directory.Control);
            Assert.True(await LabRig.BecomesAsync(async () => await RefusedAsync(client) >= asked - room + 1, Never));
            Assert.Equal(room, (await client.StatusAsync(Cancellation)).Flows);

            // A program that wants a connection is told so and need not wait for it.
            using Socket late = rig.Socket(LabNodes.Host, SocketType.Stream);
            await Assert.ThrowsAsync<SocketException>(() => late.ConnectAsync(new IPEndPoint(LabRig.Peer, Tcp), Cancellation).AsTask()
                .WaitAsync(TimeSpan.FromSeconds(20), Cancellation));

            await transfers.AssertGoOnAsync(10_000_000);
            await transfers.AssertWholeAsync();
            others.ForEach(other => other.Dispose());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task A_gibibyte_passes_without_a_single_garbage_collection()
    {
        const long warmUp = 128 << 20;
        const long gibibyte = 1 << 30;
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        using Socket listener = rig.Server(LabNodes.Peer, SocketType.Stream, Tcp);
        (Socket host, Socket peer) = await rig.ConnectAsync(listener, Tcp);
        using (host)
        using (peer)
        {
            using var stop = new CancellationTokenSource();
            var up = new Bulk(host, peer);
            var down = new Bulk(peer, host);
            Task both = Task.WhenAll(up.RunAsync(stop.Token), down.RunAsync(stop.Token));
            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(up.Received + down.Received > warmUp), Never));
            using var watch = new CollectionWatch(rig.Lab.State.Dataplane!.Id);
            long before = up.Received + down.Received;
            Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(up.Received + down.Received > before + gibibyte), Never));

            // What allocates at all is the rest of the process, a little now and then. Questions do, which shows that it would be seen.
            await Task.Delay(500, Cancellation);
            long allocated = watch.Allocated;
            Assert.True(allocated < 2 << 20, $"{allocated} octets were allocated.");
            using var client = new ControlClient(rig.Lab.Directory.Control);
            Assert.True(await LabRig.BecomesAsync(
                async () =>
                {
                    await client.StatusAsync(Cancellation);
                    return watch.Allocated > allocated;
                },
                Never));
            GCReason only = Assert.Single(await watch.EndAsync());
            Assert.StartsWith("Induced", only.ToString(), StringComparison.Ordinal);
            await stop.CancelAsync();
            await both.WaitAsync(Never, Cancellation);
        }
    }

    // The correspondent is a whole /64 here, so that a hundred thousand flows need one socket and not a hundred thousand.
    [Fact]
    public async Task A_hundred_thousand_UDP_flows_work_and_move()
    {
        const int flows = 100_000;
        const int samples = 200;
        LabRig.Need();
        await using LabRig rig = await LabRig.UpAsync();
        await rig.RunAsync(LabNodes.Peer, "ip", "-6", "route", "add", "local", "2001:db8:c:1::/64", "dev", "lo");
        await rig.RunAsync(LabNodes.Peer, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind");
        await rig.RunAsync(LabNodes.Anchor, "ip", "-6", "route", "add", "2001:db8:c:1::/64", "via", LabLinks.PeerAddress, "dev", "peer");
        await using var everybody = new Arrivals(Shared(rig, new IPEndPoint(IPAddress.IPv6Any, Udp)), flows);
        using Socket host = rig.Socket(LabNodes.Host, SocketType.Dgram);
        host.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        host.ReceiveBufferSize = 1 << 20;

        Assert.True(
            await LabRig.BecomesAsync(
                async () =>
                {
                    await SendMissingAsync(host, everybody.Seen);
                    return everybody.Seen.All(one => one);
                },
                Never),
            $"Only {everybody.Seen.Count(one => one)} arrived.");
        using var client = new ControlClient(rig.Lab.Directory.Control);
        Assert.InRange((await client.StatusAsync(Cancellation)).Flows, flows, flows + 100);

        var random = new Random(samples);
        int[] chosen = [.. Enumerable.Range(0, samples).Select(_ => random.Next(flows)).Distinct()];
        await AssertAnswersAsync(rig, host, chosen);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AssertAnswersAsync(rig, host, chosen);
        Assert.InRange((await client.StatusAsync(Cancellation)).Flows, flows, flows + 100);
    }

    [Fact]
    public async Task Ten_thousand_TCP_connections_work_and_move()
    {
        const int connections = 10_000;
        const int together = 100;
        LabRig.Need("python3");
        int limit = OpenFiles();
        Assert.SkipUnless(limit > connections + 500, $"A process may have only {limit} open files; see ulimit -n.");
        await using LabRig rig = await LabRig.UpAsync();

        // In a process of its own: the usual limit of open files is not enough for both ends.
        Process server = rig.Start(LabNodes.Peer, CommandRunner.Find("python3"), "-c", EchoServer);
        Assert.Equal("listening", await server.StandardOutput.ReadLineAsync(Cancellation));
        Socket[] made = LabSockets.On(rig.Name, LabNodes.Host, () => Enumerable.Range(0, connections)
            .Select(_ => new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp)).ToArray());
        try
        {
            foreach (Socket[] some in made.Chunk(together))
            {
                await Task.WhenAll(some.Select(socket => socket.ConnectAsync(new IPEndPoint(LabRig.Peer, Tcp), Cancellation).AsTask()))
                    .WaitAsync(Never, Cancellation);
            }

            using var client = new ControlClient(rig.Lab.Directory.Control);
            Assert.InRange((await client.StatusAsync(Cancellation)).Flows, connections, connections + 100);
            await AssertEchoAsync(made, together);
            await rig.MoveAsync(LabNodes.SecondRouter);
            await AssertEchoAsync(made, together);
            Assert.InRange((await client.StatusAsync(Cancellation)).Flows, connections, connections + 100);
        }
        finally
        {
            foreach (Socket socket in made)
            {
                socket.Close(0);
            }
        }
    }

    private static int OpenFiles()
    {
        string line = File.ReadLines("/proc/self/limits").First(one => one.StartsWith("Max open files", StringComparison.Ordinal));
        return int.Parse(line["Max open files".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0], CultureInfo.InvariantCulture);
    }

    private static async Task AssertEchoAsync(Socket[] sockets, int together)
    {
        foreach (Socket[] some in sockets.Chunk(together))
        {
            await Task.WhenAll(some.Select(async socket =>
            {
                byte[] question = Guid.NewGuid().ToByteArray();
                byte[] heard = new byte[question.Length];
                await socket.SendAsync(question, Cancellation);
                Assert.Equal(heard.Length, await socket.ReceiveAsync(heard, Cancellation));
                Assert.Equal(question, heard);
            })).WaitAsync(Never, Cancellation);
        }
    }

    private static string Small(int flows) =>
        $$"""
        seed: 42
        internal: [fd00:db8::1]
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: 2001:db8:f1::7/128, type: fixed}]}
        policy: {default: fixed}
        limits: {flows: {{flows}}}
        """;

    private static async Task<long> RefusedAsync(ControlClient client) =>
        (await client.CountersAsync(Cancellation)).Dropped.GetValueOrDefault("flow-table-full");

    private static IPEndPoint At(int flow)
    {
        byte[] octets = IPAddress.Parse("2001:db8:c:1::").GetAddressBytes();
        BinaryPrimitives.WriteInt32BigEndian(octets.AsSpan(12), flow + 1);
        return new IPEndPoint(new IPAddress(octets), Udp);
    }

    private static async Task SendMissingAsync(Socket host, bool[] arrived)
    {
        const int burst = 250;
        byte[] number = new byte[sizeof(int)];
        int sent = 0;
        for (int flow = 0; flow < arrived.Length; flow++)
        {
            if (arrived[flow])
            {
                continue;
            }

            BinaryPrimitives.WriteInt32BigEndian(number, flow);
            host.SendTo(number, At(flow));

            // A TAP's queue holds 500 to 1,000 packets.
            if (++sent % burst == 0)
            {
                await Task.Delay(1, Cancellation);
            }
        }

        await Task.Delay(50, Cancellation);
    }

    // What is bound to an address itself gets what comes to it, whoever is bound to all of them.
    private static Socket Shared(LabRig rig, IPEndPoint end)
    {
        Socket socket = rig.Socket(LabNodes.Peer, SocketType.Dgram);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(end);
        return socket;
    }

    // Each of them by a socket of its own, that has the flow's remote address and answers from it.
    private static async Task AssertAnswersAsync(LabRig rig, Socket host, int[] chosen)
    {
        foreach (int flow in chosen)
        {
            using Socket there = Shared(rig, At(flow));
            byte[] question = Guid.NewGuid().ToByteArray();
            byte[] heard = new byte[question.Length];
            await host.SendToAsync(question, At(flow), Cancellation);
            SocketReceiveFromResult asked = await there.ReceiveFromAsync(heard, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation)
                .AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
            Assert.Equal(question, heard);
            Assert.Equal(IPAddress.Parse("2001:db8:f1::7"), ((IPEndPoint)asked.RemoteEndPoint).Address);
            Array.Clear(heard);
            await there.SendToAsync(question, asked.RemoteEndPoint, Cancellation);
            SocketReceiveFromResult answer = await host.ReceiveFromAsync(heard, new IPEndPoint(IPAddress.IPv6Any, 0), Cancellation)
                .AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation);
            Assert.Equal(question, heard);
            Assert.Equal(At(flow), answer.RemoteEndPoint);
        }
    }

    /// <summary>Notes which of the numbers that are sent to a socket have arrived.</summary>
    private sealed class Arrivals : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Socket _socket;
        private readonly Task _receiving;

        public Arrivals(Socket socket, int count)
        {
            socket.ReceiveBufferSize = 1 << 24;
            _socket = socket;
            Seen = new bool[count];
            _receiving = ReceiveAsync();
        }

        public bool[] Seen { get; }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _receiving;
            _socket.Dispose();
            _stop.Dispose();
        }

        private async Task ReceiveAsync()
        {
            byte[] number = new byte[sizeof(int)];
            try
            {
                while (true)
                {
                    await _socket.ReceiveAsync(number, _stop.Token);
                    Seen[BinaryPrimitives.ReadInt32BigEndian(number)] = true;
                }
            }
            catch (OperationCanceledException)
            {
                // That was all.
            }
        }
    }
}
