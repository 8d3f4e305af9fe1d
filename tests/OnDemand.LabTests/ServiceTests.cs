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
        Process client = SetscExamples.Start(rig, await SetscExamples.BuildAsync(rig), "session_client", Number);
        await AssertKeepsItsAddressAsync(rig, client);

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
        Process client = SetscExamples.Start(rig, await SetscExamples.BuildAsync(rig), "mapped_client", Number, "session-lasting");
        await AssertKeepsItsAddressAsync(rig, client);
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
        await AssertKeepsItsAddressAsync(rig, client);
    }

    // draft-17 §4.2: what gets no type goes on without, and then a move ends its connection. It says so; it does not crash.
    [Theory]
    [InlineData("session_client")]
    [InlineData("session-client")]
    public async Task The_drafts_examples_without_a_dataplane_to_ask_go_on_without_a_type_and_say_when_the_connection_is_gone(string name)
    {
        await using LabRig rig = await UpAsync();
        string place = name == "session_client" ? await SetscExamples.BuildAsync(rig) : AppContext.BaseDirectory;
        string[] line = ["env", "ONDEMAND_PROGRAMS=/nonexistent", Path.Combine(place, name), LabLinks.PeerAddress, Number];
        CommandResult refused = await rig.TryAsync(LabNodes.Host, line);
        Assert.Equal(1, refused.Status);
        Assert.EndsWith("Connection refused", refused.Error.Trim(), StringComparison.Ordinal);
        Assert.Single(refused.Error.Trim().Split('\n'));

        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        Process client = rig.Start(LabNodes.Host, line);
        Assert.Equal("session-lasting: No dataplane runs here.", await SetscExamples.ReadAsync(client));
        Assert.Equal("none: the host's ordinary address", await SetscExamples.ReadAsync(client));
        await SetscExamples.AssertSaysAsync(client, "before", Nonpersistent);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await SetscExamples.WriteAsync(client, "after");
        string said = await client.StandardError.ReadToEndAsync(Cancellation).WaitAsync(InTime, Cancellation);
        await client.WaitForExitAsync(Cancellation).WaitAsync(InTime, Cancellation);

        Assert.Equal(1, client.ExitCode);
        Assert.Single(said.Trim().Split('\n'));
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

        SocketException told = await Assert.ThrowsAsync<SocketException>(() => waiting.WaitAsync(InTime, Cancellation));
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

    // The lab's host only checks how it is set up. Connections of such sockets hang while the setting is on.
    [Fact]
    public async Task Where_the_kernel_keeps_packets_from_native_sockets_they_are_refused_an_address_and_mapped_ones_work()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        var options = new SetscOptions { SocketPath = rig.Lab.Directory.Programs };
        await rig.RunAsync(LabNodes.Host, "sysctl", "-qw", "net.ipv4.ip_early_demux=1", "net.ipv4.tcp_early_demux=1");
        using Socket native = rig.Socket(LabNodes.Host, SocketType.Stream);
        using Socket mapped = rig.Socket(LabNodes.Host, SocketType.Stream);

        SetscException refused = await Assert.ThrowsAsync<SetscException>(
            () => native.SetServiceContinuityAsync(AddressType.SessionLasting, options, Cancellation));
        Assert.Equal(SetscError.NotSupported, refused.Error);
        IPAddress granted = await mapped.SetServiceContinuityAsync(AddressType.SessionLasting, options with { Map = true }, Cancellation);
        Assert.Equal(granted, await SeenAsync(mapped));

        await rig.RunAsync(LabNodes.Host, "sysctl", "-qw", "net.ipv4.tcp_early_demux=0");
        granted = await native.SetServiceContinuityAsync(AddressType.SessionLasting, options, Cancellation);
        native.Bind(new IPEndPoint(granted, 0));
        Assert.Equal(granted, await SeenAsync(native));
    }

    // What has gone over has the new prefix with its lifetimes, and hears of the end of that.
    [Fact]
    public async Task A_datagram_socket_that_went_over_is_listed_with_its_new_prefix_which_the_next_move_deprecates()
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Dgram, Port));
        var map = new SetscOptions { Map = true, SocketPath = rig.Lab.Directory.Programs };
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Dgram);
        await socket.SetServiceContinuityAsync(AddressType.GracefulReplacement, map, Cancellation);
        IPAddress old = await SeenAsync(socket);

        await rig.MoveAsync(LabNodes.SecondRouter, windowSeconds: 1);
        IPAddress next = old;
        Assert.True(await LabRig.BecomesAsync(async () => !(next = await AskAsync(socket)).Equals(old), InTime));
        JsonElement binding = await ListedAsync(rig, next);
        Assert.Equal("2001:db8:92:1::/64", binding.GetProperty("prefix").GetString());
        Assert.Equal((JsonValueKind.Null, JsonValueKind.Null), (binding.GetProperty("preferred").ValueKind, binding.GetProperty("valid").ValueKind));

        await rig.MoveAsync(LabNodes.FirstRouter, windowSeconds: 60);
        Assert.True(await LabRig.BecomesAsync(
            async () => (await ListedAsync(rig, next)).GetProperty("preferred") is { ValueKind: JsonValueKind.Number } left && left.GetDecimal() == 0, InTime));
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

        await SetscExamples.AssertSaysAsync(plain, "before", Nonpersistent);
        await SetscExamples.AssertSaysAsync(typed, "before", Session);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await SetscExamples.AssertSaysAsync(typed, "after", Session);

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
        string? since = Assert.Single(await BindingsAsync(rig)).GetProperty("since").GetString();
        await KillAsync(rig);

        JsonElement binding = Assert.Single(await BindingsAsync(rig));
        Assert.Equal(granted.ToString(), binding.GetProperty("address").GetString());
        Assert.Equal(since, binding.GetProperty("since").GetString());
        Assert.Equal(granted, await AskAsync(socket));
        socket.Dispose();
        await AssertReleasedAsync(rig);
    }

    // No table of the kernel has a socket before it has a port: it is looked for where it asked.
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_socket_that_is_not_bound_yet_keeps_what_it_asked_for_when_the_dataplane_is_killed_and_a_closed_one_does_not(bool map)
    {
        await using LabRig rig = await UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        var options = new SetscOptions { Map = map, SocketPath = rig.Lab.Directory.Programs };
        using Socket socket = rig.Socket(LabNodes.Host, SocketType.Stream);
        using Socket closed = rig.Socket(LabNodes.Host, SocketType.Stream);
        IPAddress granted = await socket.SetServiceContinuityAsync(AddressType.SessionLasting, options, Cancellation);
        await closed.SetServiceContinuityAsync(AddressType.SessionLasting, options, Cancellation);
        Assert.Equal(2, (await BindingsAsync(rig)).Count);
        await KillAsync(rig, closed.Dispose);

        JsonElement binding = Assert.Single(await BindingsAsync(rig));
        Assert.Equal(granted.ToString(), binding.GetProperty("address").GetString());
        if (!map)
        {
            socket.Bind(new IPEndPoint(granted, 0));
        }

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

    // And starts it again.
    private static async Task KillAsync(LabRig rig, Action? meanwhile = null)
    {
        await Task.Delay(500, Cancellation);         // what is kept is written every 50 ms
        LabProcess killed = rig.Lab.State.Dataplane!;
        killed.Send(Libc.SignalKill);
        Assert.True(await killed.WaitAsync(InTime, Cancellation));
        meanwhile?.Invoke();
        await rig.Lab.StartDataplaneAsync(Cancellation);
    }

    private static async Task<LabRig> UpAsync()
    {
        LabRig.Need("tcpdump", "make", "gcc");
        return await LabRig.UpAsync();
    }

    // What every example is to show: it says its address, and the server sees it there before and after a move.
    private static async Task AssertKeepsItsAddressAsync(LabRig rig, Process client)
    {
        Assert.StartsWith($"session-lasting: {Session}", await SetscExamples.ReadAsync(client), StringComparison.Ordinal);
        await SetscExamples.AssertSaysAsync(client, "before", Session);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await SetscExamples.AssertSaysAsync(client, "after", Session);
    }

    private static async Task<IPAddress> SeenAsync(Socket socket)
    {
        await socket.ConnectAsync(new IPEndPoint(LabRig.Peer, Port), Cancellation).AsTask().WaitAsync(InTime, Cancellation);
        return await AskAsync(socket);
    }

    // A datagram that was under way during a move or at the end of a window may be lost, which no type forbids: it is sent again.
    private static async Task<IPAddress> AskAsync(Socket socket)
    {
        bool datagrams = socket.SocketType == SocketType.Dgram;
        string question = datagrams ? Guid.NewGuid().ToString() : "who";
        byte[] room = new byte[256];
        for (long began = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(began) < InTime;)
        {
            await socket.SendAsync(Encoding.UTF8.GetBytes($"{question}\n"), Cancellation);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
            limit.CancelAfter(datagrams ? TimeSpan.FromMilliseconds(500) : InTime);
            try
            {
                string answer;
                do
                {
                    int length = await socket.ReceiveAsync(room, limit.Token);
                    answer = Encoding.UTF8.GetString(room, 0, length).Trim();
                }
                while (datagrams && !answer.StartsWith(question, StringComparison.Ordinal));    // it may be that of an earlier one

                return answer.StartsWith($"{question} from ", StringComparison.Ordinal)
                    ? IPAddress.Parse(answer[$"{question} from ".Length..]) : throw new SocketException((int)SocketError.ConnectionReset);
            }
            catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
            {
                // Again.
            }
        }

        throw new TimeoutException("No question was answered.");
    }

    private static async Task<List<JsonElement>> BindingsAsync(LabRig rig)
    {
        CommandResult result = await rig.TryAsync(
            LabNodes.Host, LabProgram.Self.Line(["bindings", "--programs", rig.Lab.Directory.Programs, "--json"]));
        Assert.True(result.Status == 0, result.Error);
        return [.. JsonDocument.Parse(result.Output).RootElement.GetProperty("bindings").EnumerateArray()];
    }

    // The only binding, once it has this address: what a packet did is told a little later.
    private static async Task<JsonElement> ListedAsync(LabRig rig, IPAddress address)
    {
        JsonElement binding = default;
        Assert.True(
            await LabRig.BecomesAsync(
                async () => (binding = Assert.Single(await BindingsAsync(rig))).GetProperty("address").GetString() == address.ToString(), InTime),
            $"The binding has not got {address}: {binding}");
        return binding;
    }

    // With its socket a binding ends.
    private static async Task AssertReleasedAsync(LabRig rig) =>
        Assert.True(await LabRig.BecomesAsync(async () => (await BindingsAsync(rig)).Count == 0, InTime), "A binding is left without its socket.");
}
