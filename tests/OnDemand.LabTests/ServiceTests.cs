using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;
using OnDemand.Setsc;

namespace OnDemand.LabTests;

/// <summary>Sockets ask: from C, from .NET, by the command they run under; each keeps its promise across a live move (RFC 8653).</summary>
public sealed class ServiceTests
{
    // What asks for nothing gets a nonpersistent address there, by a rule of the usual scenario.
    private const int Port = 7003;
    private const string Session = "2001:db8:51:1:";
    private const string Nonpersistent = "2001:db8:a1:1:";
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Number { get; } = Port.ToString(CultureInfo.InvariantCulture);

    // draft-17 §4.1: setsc, bind, connect.
    [Fact]
    public async Task The_drafts_example_in_C_keeps_its_connection_while_the_host_moves()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        NetworkCapture capture = await rig.CaptureAsync();
        Process client = await StartExampleAsync(rig, "session_client", LabLinks.PeerAddress, Number);
        Assert.StartsWith($"session-lasting: {Session}", await ReadAsync(client), StringComparison.Ordinal);

        await AssertSaysAsync(client, "before", Session);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AssertSaysAsync(client, "after", Session);

        client.StandardInput.Close();
        await client.WaitForExitAsync(Cancellation).WaitAsync(InTime, Cancellation);
        await capture.StopAsync();
        Assert.Single(await capture.FindAsync($"tcp dst port {Port} and ip6[53] & 0x12 = 2"));
        await capture.AssertCleanAsync();
        await AssertReleasedAsync(rig);
    }

    [Fact]
    public async Task A_datagram_socket_in_C_that_binds_to_nothing_keeps_its_address_while_the_host_moves()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Dgram, Port));
        Process client = await StartExampleAsync(rig, "mapped_client", LabLinks.PeerAddress, Number, "session-lasting");
        Assert.StartsWith($"session-lasting: {Session}", await ReadAsync(client), StringComparison.Ordinal);

        await AssertSaysAsync(client, "before", Session);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AssertSaysAsync(client, "after", Session);
    }

    [Fact]
    public async Task Two_sockets_of_one_program_to_one_server_have_each_their_own_type()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        var map = new SetscOptions { Map = true, SocketPath = rig.Lab.Directory.Programs };
        using Socket lasting = rig.Socket(LabNodes.Host, SocketType.Stream);
        using Socket fleeting = rig.Socket(LabNodes.Host, SocketType.Stream);
        using Socket silent = rig.Socket(LabNodes.Host, SocketType.Stream);
        IPAddress granted = await lasting.SetServiceContinuityAsync(AddressType.SessionLasting, map, Cancellation);
        await fleeting.SetServiceContinuityAsync(AddressType.Nonpersistent, map, Cancellation);

        Assert.StartsWith(Session, granted.ToString(), StringComparison.Ordinal);
        Assert.Equal(granted, await SeenAsync(lasting));
        Assert.StartsWith(Nonpersistent, (await SeenAsync(fleeting)).ToString(), StringComparison.Ordinal);
        Assert.StartsWith(Nonpersistent, (await SeenAsync(silent)).ToString(), StringComparison.Ordinal);

        await rig.MoveAsync(LabNodes.SecondRouter);

        Assert.Equal(granted, await AskAsync(lasting));
        SocketException reset = await Assert.ThrowsAsync<SocketException>(() => AskAsync(fleeting));
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
    }

    [Fact]
    public async Task A_socket_of_NET_bound_to_its_address_keeps_its_connection_while_the_host_moves()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        var options = new SetscOptions { SocketPath = rig.Lab.Directory.Programs };
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Stream);

        IPAddress granted = await socket.SetServiceContinuityAsync(AddressType.SessionLasting, options, Cancellation);
        socket.Bind(new IPEndPoint(granted, 0));
        Assert.Equal(granted, await SeenAsync(socket));
        await rig.MoveAsync(LabNodes.SecondRouter);
        Assert.Equal(granted, await AskAsync(socket));
    }

    [Fact]
    public async Task The_drafts_example_in_C_sharp_keeps_its_connection_while_the_host_moves()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        Process client = rig.Start(
            LabNodes.Host, "env", $"ONDEMAND_PROGRAMS={rig.Lab.Directory.Programs}", Path.Combine(AppContext.BaseDirectory, "session-client"),
            LabLinks.PeerAddress, Number);
        Assert.StartsWith($"session-lasting: {Session}", await ReadAsync(client), StringComparison.Ordinal);

        await AssertSaysAsync(client, "before", Session);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AssertSaysAsync(client, "after", Session);
    }

    [Fact]
    public async Task A_socket_bound_to_an_address_that_ends_is_told_at_once()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        var options = new SetscOptions { SocketPath = rig.Lab.Directory.Programs };
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Stream);
        IPAddress granted = await socket.SetServiceContinuityAsync(AddressType.Nonpersistent, options, Cancellation);
        socket.Bind(new IPEndPoint(granted, 0));
        Assert.Equal(granted, await SeenAsync(socket));
        Task<int> waiting = socket.ReceiveAsync(new byte[1], Cancellation).AsTask();

        await rig.MoveAsync(LabNodes.SecondRouter);

        SocketException told = await Assert.ThrowsAsync<SocketException>(() => waiting.WaitAsync(TimeSpan.FromSeconds(2), Cancellation));
        Assert.True(told.SocketErrorCode is SocketError.ConnectionReset or SocketError.ConnectionAborted, $"{told.SocketErrorCode}");
    }

    [Fact]
    public async Task A_type_that_the_network_does_not_have_is_refused_to_the_program()
    {
        await using LabRig rig = await UpAsync();
        var options = new SetscOptions { SocketPath = rig.Lab.Directory.Programs };
        await rig.MoveAsync(LabNodes.SecondRouter);
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Dgram);

        SetscException refused = await Assert.ThrowsAsync<SetscException>(
            () => socket.SetServiceContinuityAsync(AddressType.Nonpersistent, options with { OnNet = true }, Cancellation));

        Assert.Equal(SetscError.NotSupported, refused.Error);
    }

    // It says nothing itself, and neither do its children; the connection is that of a shell's child.
    [Fact]
    public async Task A_command_started_with_a_type_keeps_its_connection_while_the_host_moves()
    {
        LabRig.Need("python3");
        Assert.SkipUnless(Linux.Policy.CgroupMount.Find() is not null, "There is no cgroup hierarchy of version 2.");
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        const string client =
            """
            import socket, sys
            connection = socket.create_connection((sys.argv[1], int(sys.argv[2]))).makefile('rw')
            for line in sys.stdin:
                connection.write(line); connection.flush()
                print(connection.readline(), end='', flush=True)
            """;
        string[] command = ["sh", "-c", "\"$@\"; exit $?", "sh", CommandRunner.Find("python3"), "-u", "-c", client, LabLinks.PeerAddress, Number];
        Process plain = rig.Start(LabNodes.Host, command);
        Process typed = rig.Start(LabNodes.Host, LabProgram.Self.Line(["exec", "--tap", "od0", "--type", "session-lasting", "--", .. command]));

        await AssertSaysAsync(plain, "before", Nonpersistent);
        await AssertSaysAsync(typed, "before", Session);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await AssertSaysAsync(typed, "after", Session);

        typed.StandardInput.Close();
        await typed.WaitForExitAsync(Cancellation).WaitAsync(InTime, Cancellation);
        Assert.Equal(0, typed.ExitCode);
    }

    // What had asked is asked for again, by the kernel's own name of the socket.
    [Fact]
    public async Task Sockets_keep_what_they_asked_for_when_the_dataplane_is_killed()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Dgram, Port));
        var map = new SetscOptions { Map = true, SocketPath = rig.Lab.Directory.Programs };
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Dgram);
        IPAddress granted = await socket.SetServiceContinuityAsync(AddressType.SessionLasting, map, Cancellation);
        Assert.Equal(granted, await SeenAsync(socket));
        Assert.Single(await BindingsAsync(rig));
        await Task.Delay(500, Cancellation);         // what is kept is written every 50 ms

        LabProcess killed = rig.Lab.State.Dataplane!;
        killed.Send(Libc.SignalKill);
        Assert.True(await killed.WaitAsync(InTime, Cancellation));
        await rig.Lab.StartDataplaneAsync(Cancellation);

        JsonElement binding = Assert.Single(await BindingsAsync(rig));
        Assert.Equal(granted.ToString(), binding.GetProperty("address").GetString());
        Assert.Equal(granted, await AskAsync(socket));
        socket.Dispose();
        await AssertReleasedAsync(rig);
    }

    // No table of the kernel has a socket before it has a port: it is looked for where it asked.
    [Fact]
    public async Task A_socket_that_has_asked_and_is_not_connected_yet_keeps_that_when_the_dataplane_is_killed_and_a_closed_one_does_not()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        var map = new SetscOptions { Map = true, SocketPath = rig.Lab.Directory.Programs };
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Stream);
        using Socket closed = rig.Socket(LabNodes.Host, SocketType.Stream);
        IPAddress granted = await socket.SetServiceContinuityAsync(AddressType.SessionLasting, map, Cancellation);
        await closed.SetServiceContinuityAsync(AddressType.SessionLasting, map, Cancellation);
        Assert.Equal(2, (await BindingsAsync(rig)).Count);
        await Task.Delay(500, Cancellation);         // what is kept is written every 50 ms

        LabProcess killed = rig.Lab.State.Dataplane!;
        killed.Send(Libc.SignalKill);
        Assert.True(await killed.WaitAsync(InTime, Cancellation));
        closed.Dispose();
        await rig.Lab.StartDataplaneAsync(Cancellation);

        Assert.Single(await BindingsAsync(rig));
        Assert.Equal(granted, await SeenAsync(socket));
        socket.Dispose();
        await AssertReleasedAsync(rig);
    }

    [Fact]
    public async Task Curl_asks_watches_and_releases()
    {
        LabRig.Need("curl");
        await using LabRig rig = await UpAsync();
        string[] curl = ["curl", "-sS", "--fail-with-body", "--unix-socket", rig.Lab.Directory.Programs];
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Dgram);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        string cookie = Linux.Sockets.SocketCookie.Of(socket.SafeHandle).ToString(CultureInfo.InvariantCulture);
        Process watch = rig.Start(LabNodes.Host, [.. curl, "-N", "http://localhost/v1/watch"]);

        string answer = await rig.RunAsync(
            LabNodes.Host,
            [.. curl, "-H", "Content-Type: application/json", "-d", $$"""{"cookie": "{{cookie}}", "type": "session-lasting", "map": true}""",
                "http://localhost/v1/setsc"]);
        using JsonDocument grant = JsonDocument.Parse(answer);
        Assert.StartsWith(Session, grant.RootElement.GetProperty("address").GetString(), StringComparison.Ordinal);
        Assert.Contains(cookie, await rig.RunAsync(LabNodes.Host, [.. curl, "http://localhost/v1/bindings"]), StringComparison.Ordinal);
        Assert.Contains("/v1/setsc", await rig.RunAsync(LabNodes.Host, [.. curl, "http://localhost/openapi.json"]), StringComparison.Ordinal);

        // An empty line says that the watch has begun, and now and then that it still goes on.
        Assert.Equal("", await watch.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation));
        await rig.RunAsync(LabNodes.Host, [.. curl, "-X", "DELETE", $"http://localhost/v1/bindings/{cookie}"]);
        string? notice = "";
        while (notice is "")
        {
            notice = await watch.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        }

        using JsonDocument told = JsonDocument.Parse(notice!);
        Assert.Equal("released", told.RootElement.GetProperty("notice").GetString());
    }

    private static async Task<LabRig> UpAsync()
    {
        LabRig.Need("tcpdump", "make", "gcc");
        return await LabRig.UpAsync();
    }

    private static async Task<Process> StartExampleAsync(LabRig rig, string name, params string[] arguments)
    {
        string place = await rig.BuildSetscAsync(Cancellation);
        return rig.Start(
            LabNodes.Host,
            ["env", $"LD_LIBRARY_PATH={place}", $"ONDEMAND_PROGRAMS={rig.Lab.Directory.Programs}", "stdbuf", "-oL", Path.Combine(place, name),
                .. arguments]);
    }

    private static async Task<string> ReadAsync(Process client) =>
        await client.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation)
            ?? $"(it ended: {await client.StandardError.ReadToEndAsync(Cancellation)})";

    private static async Task AssertSaysAsync(Process client, string line, string from)
    {
        await client.StandardInput.WriteLineAsync(line.AsMemory(), Cancellation);
        await client.StandardInput.FlushAsync(Cancellation);
        Assert.StartsWith($"{line} from {from}", await ReadAsync(client), StringComparison.Ordinal);
    }

    private static async Task<IPAddress> SeenAsync(Socket socket)
    {
        await socket.ConnectAsync(new IPEndPoint(LabRig.Peer, Port), Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        return await AskAsync(socket);
    }

    private static async Task<IPAddress> AskAsync(Socket socket)
    {
        await socket.SendAsync("who\n"u8.ToArray(), Cancellation);
        byte[] room = new byte[256];
        int length = await socket.ReceiveAsync(room, Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        string answer = Encoding.UTF8.GetString(room, 0, length).Trim();
        return answer.StartsWith("who from ", StringComparison.Ordinal)
            ? IPAddress.Parse(answer["who from ".Length..]) : throw new SocketException((int)SocketError.ConnectionReset);
    }

    private static async Task<List<JsonElement>> BindingsAsync(LabRig rig)
    {
        CommandResult result = await rig.TryAsync(
            LabNodes.Host, LabProgram.Self.Line(["bindings", "--programs", rig.Lab.Directory.Programs, "--json"]));
        Assert.True(result.Status == 0, result.Error);
        return [.. JsonDocument.Parse(result.Output).RootElement.GetProperty("bindings").EnumerateArray()];
    }

    // With its socket a binding ends.
    private static async Task AssertReleasedAsync(LabRig rig) =>
        Assert.True(await LabRig.BecomesAsync(async () => (await BindingsAsync(rig)).Count == 0, InTime), "A binding is left without its socket.");
}
