using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Text;
using Xunit;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>How setsc() behaves with a dataplane that is slow, silent, wordy or mad, and with many threads, signals and cancellation.</summary>
public sealed class ConversationTests
{
    private const string Failed = "-202", Protocol = "71";

    [Fact]
    public async Task Silence_ends_at_the_timeout()
    {
        await using var server = new SetscServer(_ => Task.Delay(TimeSpan.FromSeconds(5)));
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "timeout", "2", "150");

        Assert.Equal(Failed, probe["result"]);
        Assert.InRange(probe.Number("elapsed"), 150, 4_900);   // ended by the timeout, not by the server's end
        Assert.Equal("0", probe["left"]);
    }

    [Fact]
    public async Task An_answer_that_drips_forever_ends_at_the_timeout()
    {
        await using var server = new SetscServer(async question =>
        {
            await question.SendAsync("HTTP/1.1 200 OK\r\n");
            for (int i = 0; i < 2_000; i++)
            {
                await question.SendAsync("A: b\r\n"[(i % 6)..(i % 6 + 1)]);
                await Task.Delay(5);
            }
        });
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "timeout", "2", "150");

        Assert.Equal(Failed, probe["result"]);
        Assert.InRange(probe.Number("elapsed"), 150, 9_000);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_that_drips_octet_by_octet_is_understood(bool chunked)
    {
        await using var server = new SetscServer(async question =>
        {
            foreach (byte octet in Encoding.ASCII.GetBytes(Whole(question, chunked)))
            {
                await question.SendAsync(new[] { octet });
                await Task.Yield();
            }
        });
        Probe probe = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");

        Assert.Equal("0", probe["result"]);
        Assert.Equal("2001:db8::5", probe["address"]);
    }

    [Fact]
    public async Task An_answer_cut_at_any_place_is_never_a_grant()
    {
        int cut = 0;
        int length = 0;
        await using var server = new SetscServer(question =>
        {
            string whole = Whole(question, cut % 2 == 1);
            length = whole.Length;
            return question.SendAsync(whole[..(cut++ / 2)]);
        });
        Probe probe = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2", "0", "0", "300");

        Assert.True(length > 160, $"The answer has {length} octets.");
        Assert.Equal("0", probe["good"]);
        Assert.Equal("300", probe["reset"]);
        Assert.Equal("0", probe["left"]);
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nX: ")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n")]
    [InlineData("")]
    public async Task A_huge_answer_is_refused(string start)
    {
        await using var server = new SetscServer(async question =>
        {
            await question.SendAsync(start);
            await question.SendAsync(new string('x', 1_000_000));
        });
        Probe probe = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2");

        Assert.Equal(Protocol, probe["result"]);
    }

    [Fact]
    public async Task A_server_that_never_accepts_is_silence()
    {
        await using var server = new SetscServer(_ => Task.Delay(TimeSpan.FromSeconds(20)), backlog: 0);
        using Process first = CPrograms.Start(CPrograms.Find("probe"), server.SocketPath, "threads", "8", "1");
        Probe probe = await Probe.RunAsync(server.SocketPath, "call", "tcp", "timeout", "2", "300");
        first.Kill();
        await first.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Failed, probe["result"]);
        Assert.Equal("0", probe["left"]);
    }

    [Fact]
    public async Task Thirty_two_threads_each_get_the_answer_to_their_own_question()
    {
        await using var server = new SetscServer(question => question.GrantAsync(AddressOf(question.Cookie)));
        Probe probe = await Probe.RunAsync(server.SocketPath, "threads", "32", "50");

        Assert.Equal("0", probe["wrong"]);
        Assert.Equal("0", probe["left"]);
        Assert.Equal(1_600, server.Questions.Select(question => question.Cookie).Distinct().Count());
    }

    [Fact]
    public async Task Ten_thousand_mad_answers_do_no_harm()
    {
        var random = new Random(8653);
        await using var server = new SetscServer(question =>
        {
            byte[] answer;
            lock (random)
            {
                answer = Mad(random, question);
            }

            return question.SendAsync(answer);
        });
        Probe probe = await Probe.RunCheckedAsync(server.SocketPath, "call", "tcp", "setsc", "2", "0", "0", "10000");

        Assert.Equal("0", probe["left"]);
        Assert.Equal(10_000, probe.Number("good") + probe.Number("proto") + probe.Number("reset") + probe.Number("other"));
        Assert.True(probe.Number("proto") > 1_000, probe["proto"]);
        Assert.True(probe.Number("reset") > 100, probe["reset"]);
    }

    [Fact]
    public void The_parser_reads_no_octet_too_far_in_random_and_mutated_answers()
    {
        int rounds = 10_000 * int.Parse(Environment.GetEnvironmentVariable("ONDEMAND_TEST_SCALE") ?? "1");
        (int status, string output) = CPrograms.Run(CPrograms.Find("fuzz"), $"{rounds}", "8653");

        Assert.True(status == 0, output);
        Assert.Contains("complete=", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Signals_do_not_end_the_wait()
    {
        await using var server = new SetscServer(async question =>
        {
            await Task.Delay(100);
            await question.SendAsync("HTTP/1.1 200 OK\r\n");
            await Task.Delay(100);
            string body = question.Granted("2001:db8::5");
            await question.SendAsync($"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        });
        Probe probe = await Probe.RunAsync(server.SocketPath, "signals");

        Assert.Equal("1", probe["interrupted"]);
        Assert.Equal("0", probe["result"]);
    }

    [Fact]
    public async Task A_dataplane_that_hangs_up_before_it_is_asked_does_not_kill_the_program()
    {
        string directory = Directory.CreateTempSubdirectory("setsc-hangup-").FullName;
        try
        {
            Probe probe = await Probe.RunAsync(Path.Combine(directory, "programs.sock"), "hangup", "40000");

            Assert.Equal("40000", probe["reset"]);
        }
        finally
        {
            Directory.Delete(directory, true);
        }
    }

    [Fact]
    public async Task A_cancelled_thread_leaves_no_descriptor()
    {
        var asked = new TaskCompletionSource();
        await using var server = new SetscServer(_ =>
        {
            asked.SetResult();
            return Task.Delay(TimeSpan.FromSeconds(9));
        });
        using Process process = CPrograms.Start(CPrograms.Find("probe"), server.SocketPath, "cancel");
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await process.StandardInput.WriteLineAsync("asked");
        await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        Probe probe = await Probe.FinishAsync(process);

        Assert.Equal("1", probe["canceled"]);
        Assert.Equal("0", probe["left"]);
        Assert.Equal("4711", probe["result"]);
    }

    [Fact]
    public async Task A_socket_that_is_closed_meanwhile_is_not_mixed_up_with_the_next_of_its_number()
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
        using Process process = CPrograms.Start(CPrograms.Find("probe"), server.SocketPath, "race");
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        await process.StandardInput.WriteLineAsync("asked");
        await process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Equal("closed", await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken));
        closed.SetResult();
        Probe probe = await Probe.FinishAsync(process);

        Assert.Equal("same", probe["number"]);
        Assert.Equal(Assert.Single(server.Questions).Cookie, late);
        Assert.Equal("0", probe["freebind"]);
        Assert.Equal("0", probe["result"]);
        Assert.Equal("0", probe["left"]);
    }

    private static string Whole(SetscQuestion question, bool chunked)
    {
        string body = question.Granted("2001:db8::5");
        string start = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Type: application/json\r\nConnection: close\r\n";
        return chunked
            ? $"{start}Transfer-Encoding: chunked\r\n\r\n{20:x}\r\n{body[..20]}\r\n{body.Length - 20:X};a=b\r\n{body[20..]}\r\n0\r\nA: b\r\n\r\n"
            : $"{start}Content-Length: {body.Length}\r\n\r\n{body}";
    }

    private static byte[] Mad(Random random, SetscQuestion question)
    {
        byte[] answer = Encoding.Latin1.GetBytes(Whole(question, random.Next(2) == 0));
        if (random.Next(4) == 0)
        {
            random.NextBytes(answer);
        }

        for (int changes = random.Next(4); changes > 0; changes--)
        {
            answer[random.Next(answer.Length)] = (byte)random.Next(256);
        }

        return random.Next(3) == 0 ? answer[..random.Next(answer.Length)] : answer;
    }

    private static string AddressOf(ulong cookie)
    {
        byte[] octets = IPAddress.Parse("2001:db8::").GetAddressBytes();
        BinaryPrimitives.WriteUInt64BigEndian(octets.AsSpan(8), cookie);
        return new IPAddress(octets).ToString();
    }
}
