using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using OnDemand.Setsc;
using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>The extension of .NET's sockets: the same semantics and the same errors as the C library's.</summary>
public sealed class SocketExtensionTests
{
    private static CancellationToken Given => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(AddressType.Fixed, "fixed")]
    [InlineData(AddressType.SessionLasting, "session-lasting")]
    [InlineData(AddressType.Nonpersistent, "nonpersistent")]
    [InlineData(AddressType.GracefulReplacement, "graceful-replacement")]
    public async Task A_grant_gives_the_address_and_the_socket_can_be_bound_to_it(AddressType type, string name)
    {
        await using var server = new SetscServer(question => question.GrantAsync("2001:db8::7"));
        using Socket socket = Tcp();
        IPAddress address = await socket.SetServiceContinuityAsync(type, At(server), Given);
        socket.Bind(new IPEndPoint(address, 0));

        Assert.Equal(IPAddress.Parse("2001:db8::7"), ((IPEndPoint)socket.LocalEndPoint!).Address);
        SetscQuestion question = Assert.Single(server.Questions);
        Assert.Equal("POST /v1/setsc HTTP/1.1", question.Line);
        Assert.Contains("Connection: close", question.Head, StringComparison.Ordinal);
        Assert.Equal(name, question.Type);
        Assert.Equal(CookieOf(socket), question.Cookie);
        Assert.Equal(9.8, question.Json.GetProperty("timeout").GetDouble());
        Assert.False(question.Json.GetProperty("on-net").GetBoolean());
        Assert.False(question.Json.GetProperty("map").GetBoolean());
    }

    [Fact]
    public async Task A_mapped_socket_is_not_touched_and_on_net_is_told()
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        using Socket socket = Tcp();
        SetscOptions options = At(server) with { Map = true, OnNet = true, Timeout = TimeSpan.FromSeconds(600) };
        IPAddress address = await socket.SetServiceContinuityAsync(AddressType.Fixed, options, Given);

        Assert.Throws<SocketException>(() => socket.Bind(new IPEndPoint(address, 0)));   // no IPV6_FREEBIND
        SetscQuestion question = Assert.Single(server.Questions);
        Assert.True(question.Json.GetProperty("on-net").GetBoolean());
        Assert.True(question.Json.GetProperty("map").GetBoolean());
        Assert.Equal(59.8, question.Json.GetProperty("timeout").GetDouble());
    }

    [Theory]
    [InlineData(409, "type-not-supported", SetscError.NotSupported)]
    [InlineData(502, "network-refused", SetscError.Failed)]
    [InlineData(504, "network-silent", SetscError.Failed)]
    [InlineData(400, "invalid-request", SetscError.InvalidRequest)]
    [InlineData(403, "forbidden", SetscError.Forbidden)]
    [InlineData(429, "quota", SetscError.QuotaUsedUp)]
    [InlineData(404, "unknown-socket", SetscError.UnknownSocket)]
    [InlineData(503, "no-room", SetscError.NoRoom)]
    [InlineData(503, "unavailable", SetscError.NoDataplane)]
    [InlineData(200, "forbidden", SetscError.Misunderstood)]
    [InlineData(400, "forbidden", SetscError.Misunderstood)]
    [InlineData(418, "teapot", SetscError.Misunderstood)]
    public async Task Every_problem_is_an_error_with_a_sentence(int status, string problem, SetscError error)
    {
        await using var server = new SetscServer(question => question.RefuseAsync(status, problem));

        SetscException refused = await RefusedAsync(server);
        Assert.Equal(error, refused.Error);
        Assert.NotEqual(new SetscException().Message, refused.Message);
    }

    [Theory]
    [InlineData("", SetscError.ConversationLost)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{", SetscError.ConversationLost)]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", SetscError.Misunderstood)]
    [InlineData("HTTP/1.1 204 No Content\r\n\r\n", SetscError.Misunderstood)]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", SetscError.Misunderstood)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n", SetscError.Misunderstood)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}", SetscError.Misunderstood)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"type\":\"\\ud800\"", SetscError.Misunderstood)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{\"type\":\"\\ud800\"}", SetscError.Misunderstood)]
    public async Task What_is_no_answer_is_told_apart_from_half_an_answer(string text, SetscError error)
    {
        await using var server = new SetscServer(question => question.SendAsync(text));

        Assert.Equal(error, (await RefusedAsync(server)).Error);
    }

    [Theory]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "type": "fixed"}""")]
    [InlineData("""{"cookie": "1", "address": "2001:db8::5", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "192.0.2.1", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "ff02::1", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "::", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "fe80::1%1", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "[2001:db8::5]", "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": 5, "type": "session-lasting"}""")]
    [InlineData("""{"cookie": "C", "address": "2001:db8::5", "address": "2001:db8::6", "type": "session-lasting"}""")]
    [InlineData("""["C"]""")]
    public async Task A_grant_of_something_else_is_not_accepted(string body)
    {
        await using var server = new SetscServer(question => question.RespondAsync(
            "200 OK", body.Replace("\"C\"", $"\"{question.Cookie}\"", StringComparison.Ordinal)));

        Assert.Equal(SetscError.Misunderstood, (await RefusedAsync(server)).Error);
    }

    [Fact]
    public async Task Silence_ends_at_the_timeout_and_cancellation_before()
    {
        await using var server = new SetscServer(_ => Task.Delay(TimeSpan.FromSeconds(8), Given));
        using Socket socket = Tcp();
        var watch = Stopwatch.StartNew();
        SetscException silent = await Assert.ThrowsAsync<SetscException>(() => socket.SetServiceContinuityAsync(
            AddressType.Fixed, At(server) with { Timeout = TimeSpan.FromMilliseconds(100) }, Given));
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => socket.SetServiceContinuityAsync(AddressType.Fixed, At(server), soon.Token));

        Assert.Equal(SetscError.Failed, silent.Error);
        Assert.InRange(watch.Elapsed, TimeSpan.FromMilliseconds(140), TimeSpan.FromSeconds(7.9));   // not ended by the server
    }

    [Fact]
    public async Task Without_a_dataplane_there_is_an_error_that_says_so()
    {
        using Socket socket = Tcp();
        foreach (string path in new[] { "/nonexistent/programs.sock", "/dev/null", "/" + new string('x', 200) })
        {
            SetscException absent = await Assert.ThrowsAsync<SetscException>(
                () => socket.SetServiceContinuityAsync(AddressType.Fixed, new SetscOptions { SocketPath = path }, Given));
            Assert.Equal(SetscError.NoDataplane, absent.Error);
        }
    }

    [Fact]
    public async Task What_cannot_be_asked_is_never_asked()
    {
        await using var server = new SetscServer(question => question.GrantAsync());
        using var old = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        using Socket socket = Tcp();
        SetscOptions options = At(server);
        foreach (int type in new[] { -1, 0, 5, 6, 7, 257 })
        {
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => socket.SetServiceContinuityAsync((AddressType)type, options, Given));
        }

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            () => socket.SetServiceContinuityAsync(AddressType.Fixed, options with { Timeout = TimeSpan.Zero }, Given));
        SetscException family = await Assert.ThrowsAsync<SetscException>(() => old.SetServiceContinuityAsync(AddressType.Fixed, options, Given));
        socket.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => socket.SetServiceContinuityAsync(AddressType.Fixed, options, Given));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => socket.ReleaseServiceContinuityAsync(options, Given));

        Assert.Equal(SetscError.NotIPv6, family.Error);
        Assert.Empty(server.Questions);
    }

    [Fact]
    public async Task Release_names_the_socket_by_its_cookie_and_tells_when_there_was_nothing()
    {
        bool bound = true;
        await using var server = new SetscServer(question => bound
            ? question.SendAsync("HTTP/1.1 204 No Content\r\n\r\n")
            : question.RefuseAsync(404, "unknown-socket"));
        using Socket socket = Tcp();
        await socket.ReleaseServiceContinuityAsync(At(server), Given);
        bound = false;
        SetscException nothing = await Assert.ThrowsAsync<SetscException>(() => socket.ReleaseServiceContinuityAsync(At(server), Given));

        Assert.Equal(SetscError.NoAddress, nothing.Error);
        Assert.Equal($"DELETE /v1/bindings/{CookieOf(socket).ToString(CultureInfo.InvariantCulture)} HTTP/1.1", server.Questions.First().Line);
    }

    [Fact]
    public async Task A_socket_that_is_closed_meanwhile_can_be_taken_until_the_answer()
    {
        var asked = new TaskCompletionSource();
        var closed = new TaskCompletionSource();
        ulong late = 0;
        await using var server = new SetscServer(async question =>
        {
            asked.SetResult();
            await closed.Task;
            late = SetscServer.CookieOf(question.Connection, question.Body);
            await question.GrantAsync();
        });
        Socket[] sockets = [.. Enumerable.Range(0, 1).Select(_ => Tcp())];
        Task<IPAddress> asking = sockets[0].SetServiceContinuityAsync(AddressType.Fixed, At(server) with { Map = true }, Given);
        await asked.Task.WaitAsync(Given);
        sockets[0].Dispose();
        using Socket next = Tcp();
        closed.SetResult();

        Assert.Equal(IPAddress.Parse("2001:db8::5"), await asking);
        Assert.Equal(Assert.Single(server.Questions).Cookie, late);
    }

    [Fact]
    public async Task Five_hundred_sockets_at_once_each_get_their_own_answer()
    {
        await using var server = new SetscServer(question => question.GrantAsync($"2001:db8::{question.Cookie & 0xffff:x}"));
        Socket[] sockets = [.. Enumerable.Range(0, 500).Select(_ => Tcp())];
        IPAddress[] addresses = await Task.WhenAll(sockets.Select(
            socket => socket.SetServiceContinuityAsync(AddressType.Nonpersistent, At(server) with { Timeout = TimeSpan.FromSeconds(60) }, Given)));

        Assert.Equal(sockets.Select(socket => IPAddress.Parse($"2001:db8::{CookieOf(socket) & 0xffff:x}")), addresses);
        foreach (Socket socket in sockets)
        {
            socket.Dispose();
        }
    }

    [Fact]
    public async Task Five_hundred_mad_answers_are_errors_or_grants_and_nothing_else()
    {
        var random = new Random(8653);
        await using var server = new SetscServer(question =>
        {
            string body = question.Granted("2001:db8::5");
            byte[] answer = Encoding.Latin1.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            for (int changes = random.Next(4); changes > 0; changes--)
            {
                answer[random.Next(answer.Length)] = (byte)random.Next(256);
            }

            return question.SendAsync(answer);
        });
        using Socket socket = Tcp();
        int granted = 0, refused = 0;
        for (int i = 0; i < 500; i++)
        {
            try
            {
                await socket.SetServiceContinuityAsync(AddressType.SessionLasting, At(server), Given);
                granted++;
            }
            catch (SetscException)
            {
                refused++;
            }
        }

        Assert.True(granted > 50 && refused > 50, $"{granted} grants, {refused} errors");
    }

    private static Socket Tcp() => new(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);

    private static SetscOptions At(SetscServer server) => new() { SocketPath = server.SocketPath };

    private static ulong CookieOf(Socket socket)
    {
        byte[] cookie = new byte[8];
        _ = socket.GetRawSocketOption(1, 57, cookie);
        return BitConverter.ToUInt64(cookie);
    }

    private static async Task<SetscException> RefusedAsync(SetscServer server)
    {
        using Socket socket = Tcp();
        return await Assert.ThrowsAsync<SetscException>(() => socket.SetServiceContinuityAsync(AddressType.SessionLasting, At(server), Given));
    }
}
