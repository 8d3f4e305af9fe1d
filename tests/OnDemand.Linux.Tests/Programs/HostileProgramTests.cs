using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using System.Text;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Service;
using Xunit;

namespace OnDemand.Linux.Tests.Programs;

/// <summary>Silence, haste and garbage on the programs' socket.</summary>
[SupportedOSPlatform("linux")]
public sealed class HostileProgramTests
{
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

    // Bodies changed, cut or made of words in any order, many to a connection; and whole requests with octets changed.
    [Fact]
    public async Task Mutated_requests_of_a_user_have_no_effect_on_anybody_elses_sockets()
    {
        await using ProgramScene scene = await ProgramScene.StartAsync();
        SocketBinding others = scene.Services.Bind(77, 1234);

        string seen = await scene.RunAsync(ProgramScene.Nobody, """
            import random, re
            r = random.Random(8653)
            own = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            good = [b'{"fd": %d, "type": "session-lasting", "map": true}' % own.fileno(), b'{"cookie": "77", "type": 3}',
                    b'{"flow": {"protocol": "udp", "local": "[::]:53"}, "type": "fixed", "preferences": ["public"]}']
            words = [b"{", b"}", b"[", b":", b",", b'"fd"', b'"cookie"', b'"77"', b'"type"', b'"fixed"', b"1e9", b"null", b'"\\ud800"', b"-1"]
            def body():
                kind = r.randrange(3)
                if kind == 0: return r.randbytes(r.randrange(64))
                if kind == 1: return b"".join(r.choice(words) for _ in range(r.randrange(14)))
                text = bytearray(r.choice(good))
                for _ in range(r.randrange(4)): text[r.randrange(len(text))] = r.randrange(256)
                return bytes(text)
            def message(last):
                text = body()
                head = "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n" % (
                    r.choice(["POST", "POST", "POST", "GET", "DELETE", "PUT", "HEAD", "FOO"]),
                    r.choice(["/v1/setsc", "/v1/setsc", "/v1/bindings", "/v1/bindings/77", "/v1/rights?type=fixed", "/%2e%2e/v1/setsc", "/v1/status"]),
                    "Connection: close\r\n" if last else "", len(text))
                return head.encode() + text
            statuses, mistakes = set(), 0
            for i in range(2000):
                s = socket.socket(socket.AF_UNIX); s.settimeout(30)
                while True:
                    try: s.connect(path); break
                    except BlockingIOError: time.sleep(0.001)
                if i % 2:
                    sent = b"".join(message(j == 49) for j in range(50))
                else:
                    sent = bytearray(message(True))
                    for _ in range(r.randrange(1, 6)): sent[r.randrange(len(sent))] = r.randrange(256)
                answer = b""
                try:
                    s.sendall(sent)
                    if i % 2 == 0: s.shutdown(socket.SHUT_WR)   # else the end would be waited for; whoever shuts down gives up what it asked
                    while got := s.recv(65536): answer += got
                except ConnectionError: pass
                s.close()
                statuses |= {int(status) for status in re.findall(rb"HTTP/1.1 (\d\d\d)", answer)}
                mistakes += answer.count(b"please report it: ")
            print(mistakes, sorted(statuses))
            """);

        Assert.StartsWith("0 [", seen, StringComparison.Ordinal);
        Assert.Subset(
            new HashSet<string> { "200", "204", "400", "403", "404", "405", "411", "413", "414", "415", "431", "505" },
            new HashSet<string>(seen[3..^1].Split(", ")));
        Assert.Contains("200", seen, StringComparison.Ordinal);
        Assert.Contains("403", seen, StringComparison.Ordinal);
        Assert.Equal(others, scene.Services.Find(77));
        Assert.All(scene.Services.List(null).Where(binding => binding.Cookie != 77), binding => Assert.Equal(ProgramScene.Nobody, binding.User));
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

    /// <summary>Fifteen seconds are a fiftieth of one.</summary>
    private sealed class HastyTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? dueTime / 750 : dueTime, period);
    }
}
