using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using OnDemand.Linux.Control;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>Garbage, silence, floods and haste: each client costs its own connection only, and no request that is wrong reaches the
/// engine.</summary>
public sealed class HostileClientTests
{
    [Theory]
    [InlineData("/v1/attach", "", "an attachment without 'attachment'")]
    [InlineData("/v1/attach", "{", "broken JSON")]
    [InlineData("/v1/attach", "[]", "found a list")]
    [InlineData("/v1/attach", "7", "found '7'")]
    [InlineData("/v1/attach", "{} {}", "broken JSON")]
    [InlineData("/v1/attach", "{'attachment': 'ar1'}", "broken JSON")]
    [InlineData("/v1/attach", "attachment: ar1", "broken JSON")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "attachment": "ar2"}""", "a second time")]
    [InlineData("/v1/attach", """{"attachment": ["ar1"]}""", "found a list")]
    [InlineData("/v1/attach", """{"attachment": ""}""", "the name of a point of attachment")]
    [InlineData("/v1/attach", """{"attachment": "a\u0007b"}""", "the name of a point of attachment")]
    [InlineData("/v1/attach", """{"attachment": "\ud800"}""", "UTF-8")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "prefix": []}""", "unknown key in an attachment 'prefix', expected 'prefixes'")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "window": "-1s"}""", "a duration")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "window": "infinite"}""", "a window above zero that ends")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "window": 1e999}""", "a duration")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "prefixes": {}}""", "a list of prefixes")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "prefixes": [{"prefix": "fd00:db8::1/128", "type": "fixed"}]}""", "internal")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "prefixes": [{"prefix": "ff02::/16"}]}""", "unicast")]
    [InlineData("/v1/attach", """{"attachment": "ar1", "prefixes": [{"prefix": "2001:db8::/32", "type": "7"}]}""", "unknown type '7'")]
    [InlineData("/v1/attach", """[[[[[[[[[[[[[]]]]]]]]]]]]]""", "broken JSON")]
    [InlineData("/v1/withdraw", "{}", "without 'prefix'")]
    [InlineData("/v1/withdraw", """{"prefix": "2001:db8::1/32"}""", "bits set past its length")]
    [InlineData("/v1/detach", """{"now": true}""", "nothing, or an empty object")]
    public async Task A_request_that_makes_no_sense_gets_a_problem_and_never_reaches_the_engine(string resource, string body,
        string sentence)
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        int before = scene.Dataplane.Commands;

        (HttpStatusCode status, JsonElement problem) = await scene.PostAsync(resource, body);

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal((ProblemTypes.Invalid, 400), (problem.GetProperty("type").GetString(), problem.GetProperty("status").GetInt32()));
        Assert.Contains(sentence, problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(before, scene.Dataplane.Commands);
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404)]
    [InlineData("GET", "/", 404)]
    [InlineData("GET", "/v1/attach", 405)]
    [InlineData("DELETE", "/v1/flows", 405)]
    [InlineData("BREW", "/v1/status", 405)]
    [InlineData("GET", "/v1/flows?limit=0", 400)]
    [InlineData("GET", "/v1/flows?limit=99999999999", 400)]
    [InlineData("GET", "/v1/flows?type=fixt", 400)]
    [InlineData("GET", "/v1/flows?protocol=%00", 400)]
    [InlineData("GET", "/v1/flows?limit=1&limit=2", 400)]
    [InlineData("GET", "/v1/flows?lmit=1", 400)]
    [InlineData("GET", "/v1/status?x=1", 400)]
    public async Task What_is_not_there_gets_a_problem(string method, string resource, int expected)
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), resource);

        using HttpResponseMessage response = await scene.Http.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(expected, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        using JsonDocument problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal(expected, problem.RootElement.GetProperty("status").GetInt32());
        Assert.EndsWith(".", problem.RootElement.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_not_json_by_name_is_refused()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        using var form = new StringContent("attachment=ar1", Encoding.UTF8, "application/x-www-form-urlencoded");

        using HttpResponseMessage response = await scene.Http.PostAsync(
            new Uri("/v1/attach", UriKind.Relative), form, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal(0, scene.Dataplane.Moves);
    }

    [Fact]
    public async Task More_prefixes_than_there_is_room_for_are_refused()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        string prefixes = string.Join(',', Enumerable.Range(1, 65).Select(i => $$"""{"prefix":"2001:db8:{{i:x}}::/64"}"""));

        (HttpStatusCode status, JsonElement problem) = await scene.PostAsync("/v1/attach", $$"""{"attachment":"ar1","prefixes":[{{prefixes}}]}""");

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("no more than the 64", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("garbage\r\n\r\n", "400")]
    [InlineData("GET / HTTP/9.9\r\nHost: x\r\n\r\n", "505")]
    [InlineData("GET /v1/status HTTP/1.1\r\n\r\n", "400")]
    [InlineData("GET /v1/status HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n", "400")]
    [InlineData("POST /v1/attach HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400")]
    [InlineData("POST /v1/attach HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\nContent-Type: application/json\r\n\r\n", "413")]
    [InlineData("\u0016\u0003\u0001\u0002\u0000\u0001\u0000", "400")]
    public async Task Garbage_is_answered_with_a_status_of_http(string octets, string status)
    {
        await using ControlScene scene = await ControlScene.StartAsync();

        string answer = await scene.SendRawAsync(Encoding.Latin1.GetBytes(octets));

        Assert.StartsWith("HTTP/1.1 " + status, answer, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", answer, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
    }

    [Fact]
    public async Task What_is_too_long_is_refused_without_being_read_to_its_end()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        byte[] line = Encoding.ASCII.GetBytes($"GET /{new string('x', 100_000)} HTTP/1.1\r\nHost: x\r\n\r\n");
        byte[] headers = Encoding.ASCII.GetBytes(
            "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + string.Concat(Enumerable.Range(0, 100).Select(i => $"x{i}: y\r\n")) + "\r\n");
        byte[] chunks = Encoding.ASCII.GetBytes(
            "POST /v1/attach HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            + string.Concat(Enumerable.Repeat("10000\r\n" + new string(' ', 0x10000) + "\r\n", 8)) + "0\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 414", await scene.SendRawAsync(line), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 431", await scene.SendRawAsync(headers), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 413", await scene.SendRawAsync(chunks), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
    }

    [Fact]
    public async Task Random_octets_and_mutated_requests_leave_the_server_as_it_was()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        byte[] good = Encoding.ASCII.GetBytes(
            "POST /v1/withdraw HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n"
            + "{\"prefix\":\"2001:db8:77:1::/64\"}");
        var random = new Random(8653);
        int answers = 0;
        for (int i = 0; i < 300; i++)
        {
            byte[] octets = [.. good];
            for (int change = random.Next(1, 6); change > 0; change--)
            {
                octets[random.Next(octets.Length)] = (byte)random.Next(256);
            }

            int length = i % 10 == 0 ? random.Next(octets.Length) : octets.Length;
            string answer = await scene.SendRawAsync(octets.AsMemory(0, length), patience: TimeSpan.FromMilliseconds(100));
            answers += answer.Length > 0 ? 1 : 0;
            Assert.True(answer.Length == 0 || answer.StartsWith("HTTP/1.1 4", StringComparison.Ordinal)
                || answer.StartsWith("HTTP/1.1 505", StringComparison.Ordinal), answer);
        }

        Assert.InRange(answers, 100, 300);
        Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
        Assert.Equal(0, scene.Dataplane.Moves);
    }

    [Fact]
    public async Task Silent_and_slow_clients_do_not_delay_another()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        List<NetworkStream> others = [];
        for (int i = 0; i < 60; i++)
        {
            NetworkStream stream = await scene.OpenAsync(TestContext.Current.CancellationToken);
            others.Add(stream);
            string begun = (i % 3) switch
            {
                0 => "",
                1 => "GET /v1/status HT",
                _ => "POST /v1/attach HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
            };
            await stream.WriteAsync(Encoding.ASCII.GetBytes(begun), TestContext.Current.CancellationToken);
        }

        for (int i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
        }

        // All of them are still waited for: what answered above did not wait until they were given up.
        Assert.All(others, stream => Assert.True(stream.Socket.Connected
            && !(stream.Socket.Poll(0, SelectMode.SelectRead) && stream.Socket.Available == 0)));
        Assert.Equal(0, scene.Dataplane.Moves);
        foreach (NetworkStream stream in others)
        {
            await stream.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_client_that_stops_in_the_middle_is_given_up()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await using NetworkStream stream = await scene.OpenAsync(TestContext.Current.CancellationToken);
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes("POST /v1/attach HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"),
            TestContext.Current.CancellationToken);

        using var reader = new StreamReader(stream);
        string answer = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.StartsWith("HTTP/1.1 408", answer, StringComparison.Ordinal);
        Assert.Contains(ProblemTypes.Limit, answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_does_not_read_its_list_delays_nobody()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(Dataplane.Wire.IpProtocol.Udp, 1, 20_000, 1000);
        await using NetworkStream stream = await scene.OpenAsync(TestContext.Current.CancellationToken);
        await stream.WriteAsync("GET /v1/flows?limit=100000 HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray(),
            TestContext.Current.CancellationToken);

        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
            Assert.Equal(20_000, (await scene.GetAsync("/v1/flows?limit=100000")).Body.GetProperty("flows").GetArrayLength());
        }
    }

    [Fact]
    public async Task Many_clients_at_once_are_all_answered()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(Dataplane.Wire.IpProtocol.Udp, 1, 3000, 1000);

        await Parallel.ForEachAsync(
            Enumerable.Range(0, 100),
            new ParallelOptions { MaxDegreeOfParallelism = 100, CancellationToken = TestContext.Current.CancellationToken },
            async (i, cancel) =>
            {
                using var client = new ControlClient(scene.Path);
                if (i % 2 == 0)
                {
                    Assert.Equal(3000, (await client.FlowsAsync(null, null, 5000, cancel)).Flows.Count);
                }
                else
                {
                    Assert.Equal("ar1", (await client.StatusAsync(cancel)).Attachment);
                }
            });
    }

    [Fact]
    public async Task An_engine_that_does_not_answer_is_said_to_be_busy_and_comes_back()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        scene.Dataplane.Running.Reset();

        (HttpStatusCode status, JsonElement problem) = await scene.GetAsync("/v1/status");
        scene.Dataplane.Running.Set();

        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        Assert.Equal(ProblemTypes.Unavailable, problem.GetProperty("type").GetString());
        Assert.Equal(HttpStatusCode.OK, (await scene.GetAsync("/v1/status")).Status);
    }
}
