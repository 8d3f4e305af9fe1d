using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using Microsoft.AspNetCore.Http;
using OnDemand.Captures.Scenarios;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>Silence, haste and garbage on the programs' socket.</summary>
[SupportedOSPlatform("linux")]
public sealed class HostileProgramTests
{
    private const int UsualMessages = 20_000;

    private static readonly string[] Good =
    [
        """{"fd": 7, "type": "session-lasting", "on-net": true, "map": false, "timeout": 10}""",
        """{"cookie": "1234", "type": 2, "preferences": ["public", "home"]}""",
        """{"flow": {"protocol": "tcp", "local": "[fd00:a::2]:1033", "remote": "[2001:db8::1]:443"}, "type": "IPV6_REQUIRE_FIXED_IP"}""",
    ];

    [Fact]
    public async Task Slow_and_silent_clients_and_requests_that_wait_delay_nobody()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        var never = new TaskCompletionSource();
        scene.Services.Gate = never.Task;
        List<NetworkStream> others = [];
        for (int i = 0; i < 100; i++)
        {
            NetworkStream stream = await scene.OpenAsync(TestContext.Current.CancellationToken);
            others.Add(stream);
            string begun = (i % 4) switch
            {
                0 => "",
                1 => "GET /v1/bin",
                2 => "POST /v1/setsc HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
                _ => "POST /v1/setsc HTTP/1.1\r\nHost: x\r\nContent-Length: 32\r\n\r\n{\"cookie\":\"1007\",\"type\":\"fixed\"}",
            };
            await stream.WriteAsync(Encoding.ASCII.GetBytes(begun), TestContext.Current.CancellationToken);
        }

        Assert.True(SpinWait.SpinUntil(() => scene.Services.Requests == 25, TimeSpan.FromSeconds(30)));
        scene.Services.Gate = Task.CompletedTask;
        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await scene.SetAsync("""{"cookie": "1008", "type": "fixed"}""")).Status);
        }

        // The requests that came before still wait for the network, and get what they asked for.
        never.SetResult();
        byte[] answer = new byte[12];
        await others[3].ReadExactlyAsync(answer, TestContext.Current.CancellationToken);
        Assert.Equal("HTTP/1.1 200"u8, answer);
        foreach (NetworkStream stream in others)
        {
            await stream.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_watcher_that_does_not_read_delays_nobody()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        await using NetworkStream deaf = await scene.OpenAsync(TestContext.Current.CancellationToken);
        await deaf.WriteAsync("GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        using var client = new ControlClient(scene.Path);
        await using IAsyncEnumerator<NoticeResource> notices =
            client.WatchAsync(TestContext.Current.CancellationToken).GetAsyncEnumerator(TestContext.Current.CancellationToken);
        ValueTask<bool> next = notices.MoveNextAsync();
        Assert.True(SpinWait.SpinUntil(() => scene.Services.Watchers == 2, TimeSpan.FromSeconds(30)));
        SocketBinding binding = scene.Services.Bind(5, 0);

        for (int i = 0; i < 5000; i++)
        {
            scene.Services.Tell(new BindingNotice(BindingNoticeKind.Renewed, FakeServices.Now, binding, null));
            Assert.True(await next);
            Assert.Equal("renewed", notices.Current.Notice);
            next = notices.MoveNextAsync();
        }

        scene.Services.Tell(new BindingNotice(BindingNoticeKind.Missed, FakeServices.Now, null, null));
        Assert.True(await next);
        Assert.Null(notices.Current.Binding);
    }

    [Fact]
    public async Task Who_watches_hears_an_empty_line_when_there_is_nothing_to_tell()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync(time: new HastyTime());
        await using NetworkStream stream = await scene.OpenAsync(TestContext.Current.CancellationToken);
        await stream.WriteAsync("GET /v1/watch HTTP/1.0\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(stream);
        while (await reader.ReadLineAsync(TestContext.Current.CancellationToken) is { Length: > 0 })
        {
        }

        for (int i = 0; i < 5; i++)
        {
            Assert.Equal("", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        }

        scene.Services.Tell(new BindingNotice(BindingNoticeKind.Missed, FakeServices.Now, null, null));
        string? line;
        while ((line = await reader.ReadLineAsync(TestContext.Current.CancellationToken)) is "")
        {
        }

        Assert.Equal("""{"notice":"missed","time":"1700000000.000000000","left":null}""", line);
    }

    [Fact]
    public async Task A_body_that_is_too_long_is_refused()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();

        (HttpStatusCode status, System.Text.Json.JsonElement problem) = await scene.SetAsync(new string(' ', 20_000));

        Assert.Equal((413, ProblemTypes.Limit), ((int)status, problem.GetProperty("type").GetString()));
    }

    [Fact]
    public async Task Ten_thousand_requests_in_parallel_are_all_answered()
    {
        const int requests = 10_000;
        await using ProgramScene scene = await ProgramScene.StartAsync();
        var clock = Stopwatch.StartNew();
        using var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancel) => await scene.OpenAsync(cancel),
            MaxConnectionsPerServer = 100,
        };
        using var http = new HttpClient(handler) { BaseAddress = new Uri("http://localhost"), Timeout = Timeout.InfiniteTimeSpan };

        HttpStatusCode[] answers = await Task.WhenAll(Enumerable.Range(0, requests).Select(async i =>
        {
            using var content = new StringContent($$"""{"cookie": "{{1000 + i}}", "type": "nonpersistent"}""", Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await http.PostAsync(
                new Uri("/v1/setsc", UriKind.Relative), content, TestContext.Current.CancellationToken);
            return response.StatusCode;
        }));

        Assert.Equal(requests, answers.Count(status => status == HttpStatusCode.OK));
        Assert.Equal(requests, scene.Services.List(null).Count);
        TestContext.Current.TestOutputHelper?.WriteLine($"{requests} requests in {clock.Elapsed.TotalSeconds:0.00} s");
    }

    [Fact]
    public async Task Random_and_mutated_messages_have_no_effect_that_their_words_do_not_have()
    {
        int messages = int.TryParse(Environment.GetEnvironmentVariable("ONDEMAND_FUZZ_FRAMES"), out int told) ? told : UsualMessages;
        var services = new FakeServices();
        using var requests = new SocketRequests(
            services, new FakeLookup(), RightsConfig.Unlimited, null, () => FakeServices.Now, TimeProvider.System);
        var endpoints = new ProgramEndpoints(requests, isForOperators: false);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var asker = new PeerProcess(new PeerCredentials(Environment.ProcessId, 234, 234), socket.SafeHandle);
        var random = new Random(8653);
        var clock = Stopwatch.StartNew();
        int granted = 0;
        long before = 0;
        for (int i = 0; i < messages; i++)
        {
            if (i == messages / 2)
            {
                before = GC.GetTotalMemory(forceFullCollection: true);
            }

            byte[] body = Message(random, i);
            (int status, string answer) = await AskAsync(endpoints, asker, body);

            Assert.True(status is 200 or 400 or 403 or 404, $"{status} {answer} to {Encoding.Latin1.GetString(body)}");
            granted += status == 200 ? 1 : 0;
        }

        // Whatever was granted is the asker's own: his only socket.
        Assert.All(services.List(null), binding => Assert.Equal(234u, binding.User));
        Assert.InRange(services.List(null).Count, 0, 1);
        Assert.Equal(granted, services.Requests);
        long grown = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.InRange(grown, long.MinValue, 1 << 20);
        TestContext.Current.TestOutputHelper?.WriteLine($"{messages} messages, {granted} granted, in {clock.Elapsed.TotalSeconds:0.0} s");
    }

    // A third as they are or nearly so, a third with octets changed, a third of words in any order.
    private static byte[] Message(Random random, int i)
    {
        byte[] good = Encoding.UTF8.GetBytes(Good[random.Next(Good.Length)]);
        if (i % 3 == 0)
        {
            for (int change = random.Next(3); change > 0; change--)
            {
                good[random.Next(good.Length)] = (byte)random.Next(256);
            }

            return good[..(i % 5 == 0 ? random.Next(good.Length) : good.Length)];
        }

        if (i % 3 == 1)
        {
            byte[] noise = new byte[random.Next(64)];
            random.NextBytes(noise);
            return noise;
        }

        string[] words =
        [
            "{", "}", "[", "]", ",", ":", "\"fd\"", "\"cookie\"", "\"flow\"", "\"type\"", "\"timeout\"", "\"preferences\"", "\"fixed\"",
            "\"1234\"", "1234", "0", "-1", "5", "7", "1e9", "true", "null", "\"\\ud800\"", "\"[::1]:1\"", "\"]:\"", "\"[\"", "99999999999999999999",
        ];
        return Encoding.UTF8.GetBytes("{\"cookie\":" + string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => words[random.Next(words.Length)])));
    }

    private static async Task<(int Status, string Answer)> AskAsync(ProgramEndpoints endpoints, PeerProcess asker, byte[] body)
    {
        var http = new DefaultHttpContext();
        http.Features.Set(asker);
        http.Request.Method = "POST";
        http.Request.Path = "/v1/setsc";
        using var input = new MemoryStream(body);
        using var output = new MemoryStream();
        http.Request.Body = input;
        http.Response.Body = output;
        await ProblemResponses.Guard(http, endpoints.SetAsync);
        return (http.Response.StatusCode, Encoding.UTF8.GetString(output.ToArray()));
    }

    /// <summary>Fifteen seconds are a fiftieth of one.</summary>
    private sealed class HastyTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime / 750 : dueTime, period);
    }
}
