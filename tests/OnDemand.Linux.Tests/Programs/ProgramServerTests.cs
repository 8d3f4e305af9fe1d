using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Linux.Control;
using OnDemand.Linux.Service;
using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>The programs' socket, asked by root: every user's sockets are its own.</summary>
[SupportedOSPlatform("linux")]
public sealed class ProgramServerTests
{
    [Fact]
    public async Task A_descriptor_of_the_asking_process_is_the_socket_it_names_there()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        ulong cookie = SocketCookie.Of(socket.SafeHandle);

        (HttpStatusCode status, JsonElement body) = await scene.SetAsync(
            $$"""{"fd": {{socket.Handle}}, "type": "session-lasting", "on-net": true, "map": true, "timeout": 2.5}""");

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(cookie.ToString(), body.GetProperty("cookie").GetString());
        Assert.Equal(("session-lasting", "2001:db8:2::/64", true), (
            body.GetProperty("type").GetString(), body.GetProperty("prefix").GetString(), body.GetProperty("map").GetBoolean()));
        Assert.Equal((1800m, 3600m), (body.GetProperty("preferred").GetDecimal(), body.GetProperty("valid").GetDecimal()));
        Assert.Equal(
            new ServiceRequest(cookie, 0, AddressType.SessionLasting, true, true, AddressPreferences.None, TimeSpan.FromSeconds(2.5)),
            scene.Services.Last! with { Place = default });
        Assert.Equal(new SocketHolder(Environment.ProcessId, (int)socket.Handle), scene.Services.Last!.Place.Holder);
        Assert.Equal($"socket:[{scene.Services.Last.Place.Inode}]", new FileInfo($"/proc/self/fd/{socket.Handle}").LinkTarget);
    }

    [Fact]
    public async Task A_descriptor_stays_open_in_the_asking_process_only()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        using var listener = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        listener.Listen();
        EndPoint end = listener.LocalEndPoint!;
        await scene.SetAsync($$"""{"fd": {{listener.Handle}}, "type": "fixed"}""");

        listener.Dispose();

        // With one more descriptor somewhere it would still listen.
        using var again = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        again.Bind(end);
        again.Listen();
    }

    [Theory]
    [InlineData("fixed", AddressType.Fixed)]
    [InlineData("session-lasting", AddressType.SessionLasting)]
    [InlineData("nonpersistent", AddressType.Nonpersistent)]
    [InlineData("graceful-replacement", AddressType.GracefulReplacement)]
    [InlineData("home-network-anchored", AddressType.Fixed)]
    [InlineData("IPV6_REQUIRE_ACCESS_ANCHORED", AddressType.SessionLasting)]
    [InlineData("unanchored", AddressType.Nonpersistent)]
    [InlineData("1", AddressType.Fixed)]
    [InlineData("4", AddressType.GracefulReplacement)]
    public async Task A_type_has_its_name_its_old_name_or_its_number(string word, AddressType type)
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        (HttpStatusCode status, JsonElement body) = await scene.SetAsync($$"""{"cookie": "1007", "type": "{{word}}"}""");

        Assert.Equal((HttpStatusCode.OK, AddressTypes.ToName(type)), (status, body.GetProperty("type").GetString()));
        Assert.Equal((type, 7u, TimeSpan.FromSeconds(10)), (scene.Services.Last!.Type, scene.Services.Last.User, scene.Services.Last.Timeout));
    }

    [Fact]
    public async Task A_flow_names_its_socket_and_preferences_need_no_type()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        (HttpStatusCode status, JsonElement body) = await scene.SetAsync(
            """{"flow": {"protocol": "tcp", "local": "[fd00:a::2]:1033", "remote": "[2001:db8::1]:443"}, "preferences": ["public", "home"]}""");

        Assert.Equal((HttpStatusCode.OK, "untyped"), (status, body.GetProperty("type").GetString()));
        Assert.Equal((33u, AddressPreferences.Public | AddressPreferences.Home), (scene.Services.Last!.User, scene.Services.Last.Preferences));
    }

    [Theory]
    [InlineData("{}", "none of fd, cookie, flow")]
    [InlineData("""{"fd": 1, "cookie": "2", "type": "fixed"}""", "'fd' and 'cookie'")]
    [InlineData("""{"fd": -1, "type": "fixed"}""", "a descriptor from 0")]
    [InlineData("""{"fd": 4294967296, "type": "fixed"}""", "a descriptor from 0")]
    [InlineData("""{"cookie": "0", "type": "fixed"}""", "a socket's cookie")]
    [InlineData("""{"cookie": "18446744073709551615", "type": "fixed"}""", "a socket's cookie")]
    [InlineData("""{"cookie": "1007"}""", "neither 'type' nor 'preferences'")]
    [InlineData("""{"cookie": "1007", "type": 0}""", "type 0, which is reserved")]
    [InlineData("""{"cookie": "1007", "type": 5}""", "type 5, which is reserved")]
    [InlineData("""{"cookie": "1007", "type": "7"}""", "type 7, which is reserved")]
    [InlineData("""{"cookie": "1007", "type": 99999999999999999999}""", "unknown type")]
    [InlineData("""{"cookie": "1007", "type": "sesion-lasting"}""", "expected 'session-lasting'")]
    [InlineData("""{"cookie": "1007", "type": "fixed", "on_net": true}""", "expected 'on-net'")]
    [InlineData("""{"cookie": "1007", "preferences": "tmp", "on-net": true}""", "'on-net' without a type")]
    [InlineData("""{"cookie": "1007", "preferences": ["tmp", "public"]}""", "contradict")]
    [InlineData("""{"cookie": "1007", "type": "fixed", "timeout": 0}""", "a number of seconds")]
    [InlineData("""{"cookie": "1007", "type": "fixed", "timeout": 61}""", "a number of seconds")]
    [InlineData("""{"cookie": "1007", "type": "fixed", "timeout": 1e9}""", "a number of seconds")]
    [InlineData("""{"flow": {"protocol": "sctp", "local": "[::1]:1"}, "type": "fixed"}""", "unknown protocol")]
    [InlineData("""{"flow": {"protocol": "tcp", "local": "::1:1"}, "type": "fixed"}""", "an address and port")]
    [InlineData("""{"flow": {"protocol": "tcp", "local": "[::1]:0"}, "type": "fixed"}""", "port 0")]
    [InlineData("""{"flow": {"protocol": "tcp", "local": "[::1]:99999"}, "type": "fixed"}""", "an address and port")]
    [InlineData("""{"flow": {"protocol": "tcp"}, "type": "fixed"}""", "without 'local'")]
    public async Task What_makes_no_sense_is_an_invalid_request_and_asks_nobody(string json, string sentence)
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        (HttpStatusCode status, JsonElement problem) = await scene.SetAsync(json);

        Assert.Equal((HttpStatusCode.BadRequest, ProblemTypes.Invalid), (status, problem.GetProperty("type").GetString()));
        Assert.Contains(sentence, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, scene.Services.Requests);
    }

    [Theory]
    [InlineData(ServiceStatus.NotSupported, 409, ProblemTypes.TypeNotSupported)]
    [InlineData(ServiceStatus.Refused, 502, ProblemTypes.NetworkRefused)]
    [InlineData(ServiceStatus.TimedOut, 504, ProblemTypes.NetworkSilent)]
    [InlineData(ServiceStatus.Gone, 404, ProblemTypes.UnknownSocket)]
    [InlineData(ServiceStatus.Invalid, 400, ProblemTypes.Invalid)]
    [InlineData(ServiceStatus.NoRoom, 503, ProblemTypes.NoRoom)]
    internal async Task Each_way_a_request_can_fail_is_a_problem_of_its_own(ServiceStatus ends, int expected, string type)
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        scene.Services.Status = ends;

        (HttpStatusCode status, JsonElement problem) = await scene.SetAsync("""{"cookie": "1007", "type": "fixed"}""");

        Assert.Equal((expected, type), ((int)status, problem.GetProperty("type").GetString()));
        Assert.Equal(expected, problem.GetProperty("status").GetInt32());
        Assert.EndsWith(".", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_dataplane_that_shuts_down_is_unavailable()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        scene.Services.IsShuttingDown = true;

        (HttpStatusCode status, JsonElement problem) = await scene.SetAsync("""{"cookie": "1007", "type": "fixed"}""");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, ProblemTypes.Unavailable), (status, problem.GetProperty("type").GetString()));
    }

    [Fact]
    public async Task What_is_no_socket_of_ours_is_named()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        using var ipv4 = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var unix = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await using FileStream file = File.OpenRead("/proc/self/status");

        await RefusedAsync("fd", 1_000_000, 404, ProblemTypes.UnknownSocket, "has no descriptor 1000000.");
        await RefusedAsync("fd", file.SafeFileHandle.DangerousGetHandle(), 404, ProblemTypes.UnknownSocket, "is not a socket.");
        await RefusedAsync("fd", ipv4.Handle, 400, ProblemTypes.Invalid, "is an IPv4 socket;");
        await RefusedAsync("fd", unix.Handle, 400, ProblemTypes.Invalid, "is a socket of another family;");
        await RefusedAsync("cookie", 999, 404, ProblemTypes.UnknownSocket, "has the cookie 999;");
        Assert.Equal(0, scene.Services.Requests);

        async Task RefusedAsync(string key, nint value, int expected, string type, string sentence)
        {
            (HttpStatusCode status, JsonElement problem) = await scene.SetAsync($$"""{"{{key}}": {{value}}, "type": "fixed"}""");
            Assert.Equal((expected, type), ((int)status, problem.GetProperty("type").GetString()));
            Assert.Contains(sentence, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Bindings_are_listed_shown_and_given_up()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        scene.Services.Bind(5, 1000);
        scene.Services.Bind(9, 0, AddressType.Fixed);

        JsonElement list = (await scene.GetAsync("/v1/bindings")).Body;
        (HttpStatusCode found, JsonElement one) = await scene.GetAsync("/v1/bindings/9");
        (HttpStatusCode released, _) = await scene.SendAsync(HttpMethod.Delete, "/v1/bindings/9");
        (HttpStatusCode gone, JsonElement problem) = await scene.GetAsync("/v1/bindings/9");
        (HttpStatusCode twice, _) = await scene.SendAsync(HttpMethod.Delete, "/v1/bindings/9");
        (HttpStatusCode wrong, _) = await scene.GetAsync("/v1/bindings/nine");

        Assert.Equal(["5", "9"], list.GetProperty("bindings").EnumerateArray().Select(binding => binding.GetProperty("cookie").GetString()));
        Assert.Equal((HttpStatusCode.OK, 0, "fixed"), (found, one.GetProperty("user").GetInt32(), one.GetProperty("type").GetString()));
        Assert.Equal(JsonValueKind.Null, one.GetProperty("valid").ValueKind);
        Assert.Equal(
            (HttpStatusCode.NoContent, HttpStatusCode.NotFound, HttpStatusCode.NotFound, HttpStatusCode.BadRequest), (released, gone, twice, wrong));
        Assert.Equal(ProblemTypes.UnknownSocket, problem.GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_client_that_hangs_up_has_its_request_given_up()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(audits: true);
        var never = new TaskCompletionSource();
        scene.Services.Gate = never.Task;
        NetworkStream stream = await scene.OpenAsync(TestContext.Current.CancellationToken);
        byte[] request = "POST /v1/setsc HTTP/1.1\r\nHost: x\r\nContent-Length: 32\r\n\r\n{\"cookie\":\"1007\",\"type\":\"fixed\"}"u8.ToArray();
        await stream.WriteAsync(request, TestContext.Current.CancellationToken);
        SpinWait.SpinUntil(() => scene.Services.Requests == 1, TimeSpan.FromSeconds(30));

        await stream.DisposeAsync();

        Assert.True(SpinWait.SpinUntil(
            () => File.ReadAllText(scene.AuditFile).Contains("\"abandoned\"", StringComparison.Ordinal), TimeSpan.FromSeconds(30)));
        Assert.Empty(scene.Services.List(null));
    }
}
