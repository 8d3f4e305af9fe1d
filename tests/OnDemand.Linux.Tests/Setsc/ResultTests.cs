using System.Globalization;
using System.Net.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>Every result of setsc(), from the socket that is handed in to the answers that a dataplane gives.</summary>
public sealed class ResultTests
{
    private const string NotSupported = "-201", Failed = "-202", Invalid = "22", BadDescriptor = "9", NotSocket = "88", NotFamily = "97";
    private const string Protocol = "71", Reset = "104", Refused = "111", NoEntry = "2";

    [Theory]
    [InlineData("1", "fixed")]
    [InlineData("2", "session-lasting")]
    [InlineData("3", "nonpersistent")]
    [InlineData("4", "graceful-replacement")]
    public async Task A_grant_gives_the_address_and_lets_the_socket_bind_to_it(string type, string name)
    {
        await using var server = new SetscServer(question => question.GrantAsync("2001:db8::7"));
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "setsc", type);

        Assert.Equal("0", probe["result"]);
        Assert.Equal("2001:db8::7", probe["address"]);
        Assert.Equal("1", probe["freebind"]);
        Assert.Equal("4711", probe["errno"]);
        Assert.Equal("0", probe["left"]);
        SetscQuestion question = Assert.Single(server.Questions);
        Assert.Equal(name, question.Type);
        Assert.Equal(probe["cookie"], question.Cookie.ToString(CultureInfo.InvariantCulture));
        Assert.False(question.Json.GetProperty("on-net").GetBoolean());
        Assert.False(question.Json.GetProperty("map").GetBoolean());
        Assert.Equal(9.8, question.Json.GetProperty("timeout").GetDouble());
        Assert.Equal("POST /v1/setsc HTTP/1.1", question.Line);
        Assert.Contains("\r\nHost: localhost\r\n", question.Head, StringComparison.Ordinal);
        Assert.Contains("\r\nConnection: close\r\n", question.Head, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Type: application/json\r\n", question.Head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(409, "type-not-supported", NotSupported)]
    [InlineData(502, "network-refused", Failed)]
    [InlineData(504, "network-silent", Failed)]
    [InlineData(400, "invalid-request", Invalid)]
    [InlineData(403, "forbidden", "13")]
    [InlineData(429, "quota", "122")]
    [InlineData(404, "unknown-socket", NotSocket)]
    [InlineData(503, "no-room", "105")]
    [InlineData(503, "unavailable", Refused)]
    [InlineData(400, "forbidden", Protocol)]   // the status says something else
    [InlineData(418, "teapot", Protocol)]
    public async Task Every_problem_has_its_result_and_leaves_the_socket_alone(int status, string problem, string result)
    {
        await using var server = new SetscServer(question => question.RefuseAsync(status, problem));
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "udp", "setsc", "2");

        Assert.Equal(result, probe["result"]);
        Assert.Equal("::", probe["address"]);
        Assert.Equal("0", probe["freebind"]);
        Assert.Equal("0", probe["left"]);
        Assert.Equal("4711", probe["errno"]);
    }

    [Theory]
    [InlineData("tcp", "setsc", "0", Invalid)]
    [InlineData("tcp", "setsc", "5", Invalid)]
    [InlineData("tcp", "setsc", "6", Invalid)]
    [InlineData("tcp", "setsc", "7", Invalid)]
    [InlineData("tcp", "setsc", "257", Invalid)]   // would be 1 in eight bits
    [InlineData("tcp", "map", "0", Invalid)]
    [InlineData("tcp", "null", "2", Invalid)]
    [InlineData("tcp", "size", "2", Invalid)]
    [InlineData("closed", "setsc", "2", BadDescriptor)]
    [InlineData("minus", "setsc", "2", BadDescriptor)]
    [InlineData("closed", "release", "0", BadDescriptor)]
    [InlineData("file", "setsc", "2", NotSocket)]
    [InlineData("inet", "setsc", "2", NotFamily)]
    [InlineData("unix", "map", "2", NotFamily)]
    public async Task What_cannot_be_asked_is_never_asked(string kind, string function, string type, string result)
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", kind, function, type);

        Assert.Equal(result, probe["result"]);
        Assert.Equal("4711", probe["errno"]);
        Assert.Equal("0", probe["left"]);
        Assert.Empty(server.Questions);
    }

    [Theory]
    [InlineData("-1", "0")]
    [InlineData("0", "4")]
    [InlineData("0", "0x80000001")]
    public async Task Wrong_options_are_refused(string timeout, string flags)
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "opts", "2", timeout, flags);

        Assert.Equal(Invalid, probe["result"]);
        Assert.Empty(server.Questions);
    }

    [Fact]
    public async Task Options_say_on_net_map_and_how_long()
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        Probe both = await Probe.RunAsync(server.SocketPath, "call", "tcp", "opts", "4", "400", "3");
        Probe longest = await Probe.RunAsync(server.SocketPath, "call", "tcp", "timeout", "4", "2000000000");

        Assert.Equal("0", both["result"]);
        Assert.Equal("0", both["freebind"]);   // mapped: the socket is not touched
        Assert.Equal("0", longest["result"]);
        SetscQuestion[] questions = [.. server.Questions];
        Assert.True(questions[0].Json.GetProperty("on-net").GetBoolean());
        Assert.True(questions[0].Json.GetProperty("map").GetBoolean());
        Assert.Equal(0.3, questions[0].Json.GetProperty("timeout").GetDouble());
        Assert.Equal(59.8, questions[1].Json.GetProperty("timeout").GetDouble());
    }

    [Theory]
    [InlineData("map")]
    [InlineData("map-null")]
    public async Task A_mapped_socket_is_not_touched(string function)
    {
        await using var server = new SetscServer(question => question.GrantAsync("2001:db8::9"));
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "udp", function, "3");

        Assert.Equal("0", probe["result"]);
        Assert.Equal(function == "map" ? "2001:db8::9" : "::", probe["address"]);
        Assert.Equal("0", probe["freebind"]);
        Assert.True(Assert.Single(server.Questions).Json.GetProperty("map").GetBoolean());
    }

    [Fact]
    public async Task Release_names_the_socket_by_its_cookie()
    {
        await using var server = new SetscServer(question => question.SendAsync("HTTP/1.1 204 No Content\r\n\r\n"));
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "release", "0");

        Assert.Equal("0", probe["result"]);
        Assert.Equal($"DELETE /v1/bindings/{probe["cookie"]} HTTP/1.1", Assert.Single(server.Questions).Line);
        Assert.Equal("0", probe["left"]);
    }

    [Theory]
    [InlineData(404, "unknown-socket", NoEntry)]
    [InlineData(403, "forbidden", "13")]
    public async Task Release_tells_why_it_could_not(int status, string problem, string result)
    {
        await using var server = new SetscServer(question => question.RefuseAsync(status, problem));
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "release", "0");

        Assert.Equal(result, probe["result"]);
    }

    [Fact]
    public async Task Without_a_dataplane_the_connection_is_refused()
    {
        string directory = Directory.CreateTempSubdirectory("setsc-absent-").FullName;
        try
        {
            string dead = Path.Combine(directory, "dead.sock");
            using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
            {
                left.Bind(new UnixDomainSocketEndPoint(dead));
                Assert.Equal(Refused, (await Probe.RunAsync(dead, "call", "tcp", "setsc", "2"))["result"]);
            }

            string file = Path.Combine(directory, "file");
            await File.WriteAllTextAsync(file, "", TestContext.Current.CancellationToken);
            foreach (string path in new[] { file, Path.Combine(directory, "none"), Path.Combine(file, "below") })
            {
                Probe probe = await Probe.RunAsync(path, "call", "tcp", "setsc", "2");
                Assert.Equal(Refused, probe["result"]);
                Assert.Equal("0", probe["left"]);
            }

            Probe longer = await Probe.RunAsync("/" + new string('x', 108), "call", "tcp", "setsc", "2");
            Assert.Equal("36", longer["result"]);
        }
        finally
        {
            Directory.Delete(directory, true);
        }
    }

    [Fact]
    public async Task Every_result_has_a_message_of_its_own()
    {
        var messages = new HashSet<string>();
        foreach ((int status, string problem) in new[] { (409, "type-not-supported"), (502, "network-refused"), (400, "invalid-request"),
            (403, "forbidden"), (429, "quota"), (404, "unknown-socket"), (503, "no-room"), (503, "unavailable"), (418, "teapot") })
        {
            await using var server = new SetscServer(question => question.RefuseAsync(status, problem));
            messages.Add((await Probe.RunAsync(server.SocketPath, "call", "tcp", "setsc", "2"))["message"]);
        }

        Assert.Equal(9, messages.Count);
        Assert.DoesNotContain(messages, message => message.Contains("not one of", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", Reset)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Le", Reset)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{\"cook", Reset)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", Reset)]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", Protocol)]
    [InlineData("HTTP/1.1 200 OK\n\n{}", Protocol)]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n", Protocol)]
    [InlineData("HTTP/2.0 200 OK\r\n\r\n", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n{}", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nA: b\r\n c: d\r\nContent-Length: 0\r\n\r\n", Protocol)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n", Protocol)]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", Protocol)]   // good for a release only
    public async Task What_is_no_answer_is_told_apart_from_half_an_answer(string text, string result)
    {
        await using var server = new SetscServer(question => question.SendAsync(text));
        Probe probe = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");

        Assert.Equal(result, probe["result"]);
        Assert.Equal("0", probe["freebind"]);
        Assert.Equal("0", probe["left"]);
    }

    [Theory]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "type": "fixed"}""")]               // asked for another type
    [InlineData("""{"cookie": "1", "address": "2001:db8::5", "type": "session-lasting"}""")]     // another socket
    [InlineData("""{"address": "2001:db8::5", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5"}""")]
    [InlineData("""{"cookie": "C", "address": "192.0.2.1", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "::", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "::1", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "ff02::1", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5/64", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": ["2001:db8::5"], "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "address": "2001:db8::6", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5\u0000", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "x": {"address": "2001:db8::5"}, "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "type": "session-lasting",}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "type": "session-lasting"} {}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "type": "session-lasting", "valid": 01}""")]
    [InlineData("""[{"cookie": "C", "address": "2001:db8::5", "type": "session-lasting"}]""")]
    public async Task A_grant_of_something_else_is_not_accepted(string body)
    {
        await using var server = new SetscServer(question => question.RespondAsync(
            "200 OK", body.Replace("\"C\"", $"\"{question.Cookie}\"", StringComparison.Ordinal)));
        Probe probe = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");

        Assert.Equal(Protocol, probe["result"]);
        Assert.Equal("::", probe["address"]);
        Assert.Equal("0", probe["freebind"]);
    }

    [Fact]
    public async Task A_grant_that_is_not_JSON_by_its_media_type_is_not_accepted()
    {
        await using var server = new SetscServer(question => question.RespondAsync("200 OK", question.Granted("2001:db8::5"), "text/html"));

        Assert.Equal(Protocol, (await Probe.RunAsync(server.SocketPath, "call", "tcp", "setsc", "2"))["result"]);
    }

    [Theory]
    [InlineData("Content-Length: {0}", "0")]
    [InlineData("Content-Length: {0}\r\nContent-Length: {0}", Protocol)]
    [InlineData("Content-Length: {0}\r\ncontent-length: 2", Protocol)]
    [InlineData("Content-Length: {0}\r\nTransfer-Encoding: identity", Protocol)]
    [InlineData("Content-Length: {0}, {0}", Protocol)]
    [InlineData("Content-Length: +{0}", Protocol)]
    [InlineData("Content-Length:{0} \t", "0")]
    [InlineData("Content-Length: {0}\r\nA b: c", Protocol)]
    [InlineData("Content-Length: {0}\r\n: c", Protocol)]
    [InlineData("Content-Length: {0}\r\nA: \u0001", Protocol)]
    public async Task A_grant_whose_headers_leave_a_doubt_is_not_accepted(string headers, string result)
    {
        await using var server = new SetscServer(question =>
        {
            string body = question.Granted("2001:db8::5");
            string length = body.Length.ToString(CultureInfo.InvariantCulture);
            return question.SendAsync(
                $"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers.Replace("{0}", length, StringComparison.Ordinal)}\r\n\r\n{body}");
        });

        Assert.Equal(result, (await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2"))["result"]);
    }

    [Fact]
    public async Task Long_strings_are_passed_over_unless_they_matter()
    {
        bool matters = false;
        await using var server = new SetscServer(question =>
        {
            string other = $$"""{"{{new string('n', 300)}}": "{{new string('v', 5_000)}}", """;
            string address = matters ? new string('0', 200) + "2001:db8::5" : "2001:db8::5";
            return question.RespondAsync("200 OK", other + question.Granted(address).TrimStart()[1..]);
        });
        Probe passed = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");
        matters = true;
        Probe refused = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");

        Assert.Equal("2001:db8::5", passed["address"]);
        Assert.Equal(Protocol, refused["result"]);
    }

    [Fact]
    public async Task JSON_may_be_deep_to_a_bound_and_escaped()
    {
        int depth = 10;
        await using var server = new SetscServer(question => question.RespondAsync("200 OK", $$"""
             { "a": {{new string('[', depth)}}{"\u0061ddress": [null, -1.5e+3, true, "\ud83d\ude00"]}{{new string(']', depth)}},
             "\u0061ddress" : "2001\u003Adb8\u003a:5", "type":"session\u002dlasting","cookie":"{{question.Cookie}}" }
            """));
        Probe good = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");
        depth = 3000;
        Probe deep = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");

        Assert.Equal("2001:db8::5", good["address"]);
        Assert.Equal(Protocol, deep["result"]);
    }
}
