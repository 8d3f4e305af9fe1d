using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Cli;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tests.Control;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>The commands for sockets, from their arguments to their output; the kernel is the real one.</summary>
[SupportedOSPlatform("linux")]
public sealed class ProgramCommandTests
{
    [Fact]
    public async Task Setsc_finds_the_sockets_of_a_running_program_by_their_port()
    {
        using var kernel = new KernelSockets();
        await using ProgramScene scene = await ProgramScene.StartAsync(lookup: kernel);
        using Socket udp = Bound(0);
        using Socket other = Bound(0);
        int port = ((IPEndPoint)udp.LocalEndPoint!).Port;

        CommandRun run = await CommandRun.OfAsync(
            "setsc", "--type", "session-lasting", "--pid", $"{Environment.ProcessId}", "--port", $"{port}", "--timeout", "3s",
            "--programs", scene.Path);

        Assert.Equal((ExitStatus.Done, ""), (run.Status, run.Error));
        ulong cookie = SocketCookie.Of(udp.SafeHandle);
        Assert.Equal((cookie, true, TimeSpan.FromSeconds(3)), (scene.Services.Last!.Cookie, scene.Services.Last.Map, scene.Services.Last.Timeout));
        Assert.Equal([cookie], scene.Services.List(null).Select(binding => binding.Cookie));
        string[] row = run.Output.Split('\n')[1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal([$"{cookie}", "session-lasting", $"{scene.Services.Find(cookie)!.Address}", "30m00s", "1h00m", "yes"], row);
    }

    [Fact]
    public void The_kernel_knows_a_bound_socket_by_its_cookie_and_by_its_flow()
    {
        using var kernel = new KernelSockets();
        using Socket udp = Bound(0);
        using var unbound = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        ulong cookie = SocketCookie.Of(udp.SafeHandle);
        ushort port = (ushort)((IPEndPoint)udp.LocalEndPoint!).Port;
        var flow = new SocketQuery(SocketProtocol.Udp, Dataplane.Wire.IpAddress.Loopback, port, default, 0);
        uint user = Environment.UserName == "root" ? 0 : (uint)0xffff;
        Assert.SkipUnless(user == 0, "The test knows only root's number.");

        Assert.Equal(new SocketOwnerInfo(cookie, 0), kernel.ByCookie(cookie)! with { Place = default });
        Assert.Equal(new SocketOwnerInfo(cookie, 0), kernel.ByFlow(flow)! with { Place = default });
        Assert.Null(kernel.ByCookie(SocketCookie.Of(unbound.SafeHandle)));
        Assert.Null(kernel.ByFlow(flow with { Protocol = SocketProtocol.Tcp }));
    }

    [Fact]
    public async Task Bindings_are_a_table_or_json()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        scene.Services.Bind(5, 1000);

        CommandRun table = await CommandRun.OfAsync("bindings", "--programs", scene.Path);
        CommandRun json = await CommandRun.OfAsync("bindings", "--json", "--programs", scene.Path);

        Assert.Equal((ExitStatus.Done, "", ExitStatus.Done), (table.Status, table.Error, json.Status));
        Assert.Contains("5  1000  session-lasting  2001:db8:2::5", table.Output, StringComparison.Ordinal);
        Assert.EndsWith("\n1 binding.\n", table.Output, StringComparison.Ordinal);
        Assert.Equal("5", JsonDocument.Parse(json.Output).RootElement.GetProperty("bindings")[0].GetProperty("cookie").GetString());
    }

    [Fact]
    public async Task Watch_writes_a_line_a_notice_until_the_dataplane_ends()
    {
        ProgramScene scene = await ProgramScene.StartAsync();
        SocketBinding binding = scene.Services.Bind(5, 1000);
        using var output = new MemoryStream();
        await using var error = new StringWriter();
        Task<int> watching = CommandLine.RunAsync(["watch", "--programs", scene.Path], new CommandStreams(Stream.Null, output, error), replay: null);
        Assert.True(SpinWait.SpinUntil(() => scene.Services.Watchers == 1, TimeSpan.FromSeconds(30)));
        scene.Services.Tell(new BindingNotice(
            BindingNoticeKind.Deprecated, FakeServices.Now, binding, OnDemand.Dataplane.Duration.FromSeconds(9)));
        Assert.True(SpinWait.SpinUntil(() => output.Length > 0, TimeSpan.FromSeconds(30)));

        await scene.DisposeAsync();

        Assert.Equal((ExitStatus.NoAnswer, "ondemand: The dataplane has ended.\n"), (await watching, error.ToString()));
        Assert.Equal(
            "1700000000.000000000 deprecated socket 5 of user 1000: session-lasting 2001:db8:2::5, 9.0s left\n",
            System.Text.Encoding.UTF8.GetString(output.ToArray()));
    }

    [Theory]
    [InlineData("setsc --type fixt --pid 1 --port 5", ExitStatus.Usage, "Found --type 'fixt', expected 'fixed'")]
    [InlineData("setsc --type fixed --pid 1 --port 0", ExitStatus.Usage, "expected a port from 1 to 65535")]
    [InlineData("setsc --type fixed --pid 0 --port 5", ExitStatus.Usage, "There is no process 0.")]
    [InlineData("setsc --type fixed --pid 1 --port 5 --protocol tpc", ExitStatus.Usage, "expected 'tcp'")]
    [InlineData("setsc --type fixed --pid 1 --port 5 --timeout 61s", ExitStatus.Usage, "expected a duration from 1ms to 60s")]
    [InlineData("setsc --type fixed --pid 1 --port 5 --protocol udp", ExitStatus.Usage, "Process 1 has no socket of UDP over IPv6")]
    [InlineData("bindings", ExitStatus.NoAnswer, "or name its socket with --programs or ONDEMAND_PROGRAMS.")]
    [InlineData("watch", ExitStatus.NoAnswer, "No dataplane answers at '/nonexistent/od0.sock'")]
    public async Task A_mistake_is_named(string command, int status, string sentence)
    {
        CommandRun run = await CommandRun.OfAsync([.. command.Split(' '), "--programs", "/nonexistent/od0.sock"]);

        Assert.Equal((status, ""), (run.Status, run.Output));
        Assert.Contains(sentence, run.Error, StringComparison.Ordinal);
    }

    // 'exec' asks there before it runs anything: a wrong path would spare nobody a command that runs without its type.
    [Fact]
    public void A_dataplane_that_is_named_by_its_TAP_is_asked_at_the_usual_place()
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("ONDEMAND_PROGRAMS") is null, "ONDEMAND_PROGRAMS is set.");

        Assert.Equal("/run/ondemand/od7.programs.sock", ControlAccess.ProgramsOf(option: null, "od7"));
        Assert.Equal("/run/ondemand/od0.programs.sock", ControlAccess.PathOf(option: null, "/nonexistent", forPrograms: true));
        Assert.Equal("/x.sock", ControlAccess.ProgramsOf("/x.sock", "od7"));
    }

    [Fact]
    public async Task What_the_network_refuses_has_the_status_of_what_cannot_be_done_here()
    {
        using var kernel = new KernelSockets();
        await using ProgramScene scene = await ProgramScene.StartAsync(lookup: kernel);
        scene.Services.Status = ServiceStatus.Refused;
        using Socket udp = Bound(0);

        CommandRun run = await CommandRun.OfAsync(
            "setsc", "--type", "fixed", "--pid", $"{Environment.ProcessId}", "--port", $"{((IPEndPoint)udp.LocalEndPoint!).Port}",
            "--programs", scene.Path);

        Assert.Equal((ExitStatus.Host, "ondemand: The network refused to give any fixed address.\n"), (run.Status, run.Error));
    }

    [Theory]
    [InlineData("Gone Granted Granted", ExitStatus.Done, 2, "")]
    [InlineData("Gone Gone Gone", ExitStatus.Usage, 0, "The socket was closed meanwhile")]
    [InlineData("Granted Refused Granted", ExitStatus.Host, 1, "The network refused")]
    public async Task Of_several_sockets_of_a_port_those_that_have_ended_are_passed_over_and_what_others_got_before_a_refusal_is_listed(
        string answers, int status, int listed, string sentence)
    {
        using var kernel = new KernelSockets();
        await using ProgramScene scene = await ProgramScene.StartAsync(lookup: kernel);
        ServiceStatus[] statuses = [.. answers.Split(' ').Select(Enum.Parse<ServiceStatus>)];
        Array.ForEach(statuses, scene.Services.Next.Enqueue);
        var sockets = new Socket[statuses.Length];
        int port = 0;
        for (int i = 0; i < sockets.Length; i++)
        {
            sockets[i] = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
            sockets[i].SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            sockets[i].Bind(new IPEndPoint(IPAddress.IPv6Loopback, port));
            port = ((IPEndPoint)sockets[i].LocalEndPoint!).Port;
        }

        CommandRun run = await CommandRun.OfAsync(
            "setsc", "--type", "fixed", "--pid", $"{Environment.ProcessId}", "--port", $"{port}", "--json", "--programs", scene.Path);

        Array.ForEach(sockets, socket => socket.Dispose());
        Assert.Equal(status, run.Status);
        Assert.Contains(sentence, run.Error, StringComparison.Ordinal);
        Assert.Equal(listed, run.Output.Length == 0 ? 0 : JsonDocument.Parse(run.Output).RootElement.GetArrayLength());
    }

    private static Socket Bound(int port)
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Loopback, port));
        return socket;
    }
}
