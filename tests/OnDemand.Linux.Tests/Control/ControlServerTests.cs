using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>The control socket from the outside.</summary>
[SupportedOSPlatform("linux")]
public sealed class ControlServerTests
{
    private const string Move =
        """
        {"attachment": "ar2", "window": "10s", "prefixes": [
          {"prefix": "2001:db8:a2:1::/64", "type": "nonpersistent", "preferred": "30m", "valid": "1h"},
          {"prefix": "2001:db8:f1::7/128", "type": "fixed"}]}
        """;

    [Fact]
    public async Task Status_says_where_the_host_is_attached()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync("ar1");

        (HttpStatusCode status, JsonElement body) = await scene.GetAsync("/v1/status");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("ar1", body.GetProperty("attachment").GetString());
        Assert.Equal(1, body.GetProperty("moves").GetInt64());
        Assert.Equal("test.yaml", body.GetProperty("configuration").GetString());
        Assert.Equal("legacy", body.GetProperty("default").GetString());
        Assert.Equal("fd00:db8::1/128", body.GetProperty("internal")[0].GetString());
        Assert.Equal(3, body.GetProperty("prefixes").GetArrayLength());

        scene.Dataplane.Scenario = scene.Dataplane.Scenario with { Policy = scene.Dataplane.Scenario.Policy with { Default = AddressType.Fixed } };
        (_, body) = await scene.GetAsync("/v1/status");    // after a SIGHUP
        Assert.Equal("fixed", body.GetProperty("default").GetString());
    }

    [Fact]
    public async Task Attach_moves_the_host_and_says_what_became_of_the_prefixes()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync("ar1");

        (HttpStatusCode status, JsonElement body) = await scene.PostAsync("/v1/attach", Move);

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(("ar2", "ar2"), (body.GetProperty("attachment").GetString(), scene.Dataplane.Current));
        Dictionary<string, JsonElement> prefixes =
            body.GetProperty("prefixes").EnumerateArray().ToDictionary(one => one.GetProperty("prefix").GetString()!);
        Assert.Equal("ended", StateOf(body, "2001:db8:a1:1::/64"));
        Assert.Equal("closing", StateOf(body, "2001:db8:61:1::/64"));
        Assert.Equal("10s", prefixes["2001:db8:61:1::/64"].GetProperty("windowLeft").GetString());
        Assert.Equal("1h", prefixes["2001:db8:a2:1::/64"].GetProperty("validLeft").GetString());
        Assert.Equal("30m", prefixes["2001:db8:a2:1::/64"].GetProperty("preferredLeft").GetString());
        Assert.Equal("fixed", prefixes["2001:db8:f1::7/128"].GetProperty("type").GetString());
        Assert.Equal(0, body.GetProperty("notTaken").GetArrayLength());
    }

    [Fact]
    public async Task Withdraw_ends_a_prefix_at_once_or_after_its_window()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();

        (HttpStatusCode atOnce, JsonElement first) = await scene.PostAsync("/v1/withdraw", """{"prefix": "2001:db8:a1:1::/64"}""");
        (HttpStatusCode later, JsonElement second) = await scene.PostAsync(
            "/v1/withdraw", """{"prefix": "2001:db8:51:1::/64", "window": "1h"}""");
        (HttpStatusCode unknown, JsonElement problem) = await scene.PostAsync("/v1/withdraw", """{"prefix": "2001:db8:a1:1::/64"}""");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (atOnce, later));
        Assert.Equal("ended", StateOf(first, "2001:db8:a1:1::/64"));
        Assert.Equal("closing", StateOf(second, "2001:db8:51:1::/64"));
        Assert.Equal(HttpStatusCode.NotFound, unknown);
        Assert.Equal(ProblemTypes.UnknownPrefix, problem.GetProperty("type").GetString());
    }

    [Fact]
    public async Task Detach_leaves_the_host_without_a_network()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();

        (HttpStatusCode status, JsonElement body) = await scene.PostAsync("/v1/detach", "{}");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.False(body.TryGetProperty("attachment", out _));
        Assert.Null(scene.Dataplane.Current);
    }

    [Fact]
    public async Task A_list_of_many_flows_is_read_in_slices_and_complete()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 5000, 1000);
        int before = scene.Dataplane.Commands;

        (HttpStatusCode status, JsonElement body) = await scene.GetAsync("/v1/flows?limit=100000");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(5000, body.GetProperty("total").GetInt32());
        Assert.Equal(
            Enumerable.Range(1, 5000), body.GetProperty("flows").EnumerateArray().Select(flow => flow.GetProperty("localPort").GetInt32())
                .Order());
        Assert.InRange(scene.Dataplane.Commands - before, 1 + 5, 1 + 6);   // the total, and slices of 1024
    }

    [Fact]
    public async Task Flows_are_listed_by_type_protocol_and_limit()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 30, 1000);
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 101, 20, 2000);
        await scene.Dataplane.SendAsync(IpProtocol.Tcp, 201, 10, 80);

        Assert.Equal(60, await CountAsync(scene, ""));
        Assert.Equal(30, await CountAsync(scene, "?type=graceful-replacement"));
        Assert.Equal(20, await CountAsync(scene, "?type=nonpersistent"));
        Assert.Equal(10, await CountAsync(scene, "?protocol=tcp"));
        Assert.Equal(0, await CountAsync(scene, "?type=fixed"));
        Assert.Equal(7, await CountAsync(scene, "?limit=7"));
        JsonElement flow = (await scene.GetAsync("/v1/flows?protocol=6&limit=1")).Body.GetProperty("flows")[0];
        Assert.Equal(("tcp", "opening-out", "host"), (
            flow.GetProperty("protocol").GetString(), flow.GetProperty("state").GetString(), flow.GetProperty("openedBy").GetString()));
        Assert.Equal("policy rule 1 says session-lasting", flow.GetProperty("decision").GetString()!.Split(';')[0]);
    }

    [Fact]
    public async Task Counters_count_what_was_sent()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 30, 1000);

        JsonElement counters = (await scene.GetAsync("/v1/counters")).Body;

        Assert.Equal(30, counters.GetProperty("verdicts").GetProperty("forward").GetInt64());
        Assert.Equal(30, counters.GetProperty("forwarded").GetProperty("rewritten").GetInt64());
        JsonElement graceful = counters.GetProperty("types").EnumerateArray()
            .Single(one => one.GetProperty("type").GetString() == "graceful-replacement");
        Assert.Equal((30, 30), (graceful.GetProperty("flows").GetInt64(), graceful.GetProperty("packets").GetInt64()));
    }

    [Fact]
    public async Task Prefixes_that_find_no_room_are_named()
    {
        await using ControlScene scene = await ControlScene.StartAsync(FakeDataplane.Configuration + "\nlimits: {prefixes: 2}\n");
        await scene.PostAsync("/v1/attach", """{"attachment":"ar1","prefixes":[{"prefix":"2001:db8:1::/64","type":"fixed"}]}""");

        (_, JsonElement body) = await scene.PostAsync(
            "/v1/attach",
            """{"attachment":"ar2","prefixes":[{"prefix":"2001:db8:2::/64","type":"fixed"},{"prefix":"2001:db8:3::/64","type":"fixed"}]}""");

        Assert.Equal("2001:db8:3::/64", Assert.Single(body.GetProperty("notTaken").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task Curl_can_use_the_socket()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/curl"), "curl is not installed.");
        await using ControlScene scene = await ControlScene.StartAsync();

        string attached = await RunAsync(
            "/usr/bin/curl", "-sS", "--unix-socket", scene.Path, "-H", "Content-Type: application/json", "-d", Move,
                "http://localhost/v1/attach");
        string metrics = await RunAsync("/usr/bin/curl", "-sS", "--unix-socket", scene.Path, "http://localhost/metrics");

        Assert.Equal("ar2", JsonDocument.Parse(attached).RootElement.GetProperty("attachment").GetString());
        Assert.Contains("\nondemand_frames_total{verdict=\"forward\"} 0\n", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_socket_is_for_its_owner_only_and_gone_with_the_server()
    {
        ControlScene scene = await ControlScene.StartAsync();
        string path = scene.Path;
        await using (scene)
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            await scene.Server.DisposeAsync();
            Assert.False(File.Exists(path));
        }
    }

    [Fact]
    public async Task Another_user_is_told_that_he_may_not()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root can try as another user.");
        Assert.SkipUnless(File.Exists("/usr/bin/setpriv") && File.Exists("/usr/bin/curl"), "setpriv or curl is not installed.");
        await using ControlScene scene = await ControlScene.StartAsync();

        // As if somebody had opened the file to all.
        File.SetUnixFileMode(scene.Path, (UnixFileMode)Convert.ToInt32("666", 8));
        File.SetUnixFileMode(Path.GetDirectoryName(scene.Path)!, (UnixFileMode)Convert.ToInt32("755", 8));
        string answer = await RunAsync(
            "/usr/bin/setpriv", "--reuid=65534", "--clear-groups", "/usr/bin/curl", "-sS", "-i", "--unix-socket", scene.Path,
            "http://localhost/v1/status");

        Assert.StartsWith("HTTP/1.1 403 ", answer, StringComparison.Ordinal);
        Assert.Contains("Content-Type: application/problem+json", answer, StringComparison.Ordinal);
        Assert.Contains(ProblemTypes.Forbidden, answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_server_is_refused_while_the_first_lives()
    {
        await using ControlScene scene = await ControlScene.StartAsync();

        HostException refused = await Assert.ThrowsAsync<HostException>(
            () => ControlServer.StartAsync(scene.Dataplane, scene.Path, TestContext.Current.CancellationToken));

        Assert.Contains("Another dataplane answers", refused.Message, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
    }

    [Fact]
    public async Task A_socket_that_a_dead_process_left_is_replaced()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        string path = scene.Path + ".stale";
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(path));
            File.Move(path, path + "2");   // so that closing does not remove it
        }

        await using ControlServer server = await ControlServer.StartAsync(scene.Dataplane, path + "2",
            TestContext.Current.CancellationToken);
        using var client = new ControlClient(path + "2");

        Assert.Equal("test.yaml", (await client.StatusAsync(TestContext.Current.CancellationToken)).Configuration);
    }

    [Fact]
    public async Task What_is_no_socket_is_left_alone()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        string path = scene.Path + ".txt";
        await File.WriteAllTextAsync(path, "precious", TestContext.Current.CancellationToken);

        HostException refused = await Assert.ThrowsAsync<HostException>(
            () => ControlServer.StartAsync(scene.Dataplane, path, TestContext.Current.CancellationToken));

        Assert.Contains("is not a socket", refused.Message, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(path, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_path_that_is_too_long_for_a_socket_is_named()
    {
        await using var dataplane = new FakeDataplane();
        string path = "/tmp/" + new string('x', 120);

        HostException refused = await Assert.ThrowsAsync<HostException>(
            () => ControlServer.StartAsync(dataplane, path, TestContext.Current.CancellationToken));

        Assert.Contains("longer than 107 octets", refused.Message, StringComparison.Ordinal);
    }

    private static string? StateOf(JsonElement body, string prefix) => body.GetProperty("prefixes").EnumerateArray()
        .Single(one => one.GetProperty("prefix").GetString() == prefix).GetProperty("state").GetString();

    private static async Task<int> CountAsync(ControlScene scene, string query) =>
        (await scene.GetAsync("/v1/flows" + query)).Body.GetProperty("flows").GetArrayLength();

    private static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        })!;
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await error);
        return output;
    }
}
