using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>Programs as they are installed, that know nothing of all this.</summary>
public sealed class ProgramTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Peer => LabLinks.PeerAddress;

    [Fact]
    public async Task Curl_downloads_a_file_across_two_moves()
    {
        LabRig.Need("curl");
        await using LabRig rig = await LabRig.UpAsync();
        byte[] content = RandomNumberGenerator.GetBytes(12 << 20);
        Task serving = ServeOnceAsync(rig.Server(LabNodes.Peer, SocketType.Stream, 7002), content);
        string file = Path.Combine(rig.Place, "download");
        Task<string> curl = rig.RunAsync(
            LabNodes.Host, "curl", "-sS", "--max-time", "60", "--limit-rate", "4M", "-o", file, $"http://[{Peer}]:7002/file");
        await Task.Delay(500, Cancellation);
        await rig.MoveAsync(LabNodes.SecondRouter);
        await Task.Delay(700, Cancellation);
        await rig.MoveAsync(LabNodes.FirstRouter);
        await curl;
        await serving;
        Assert.Equal(SHA256.HashData(content), SHA256.HashData(await File.ReadAllBytesAsync(file, Cancellation)));
    }

    // By a rule of policy for its port; or, whatever policy says, by the command that it is started under.
    [Theory]
    [InlineData(null, "2001:db8:51:1:")]
    [InlineData("fixed", "2001:db8:f1::7 ")]
    public async Task Ssh_keeps_its_session_when_the_host_moves(string? type, string from)
    {
        LabRig.Need("ssh", "sshd", "ssh-keygen");
        await using LabRig rig = await LabRig.UpAsync();
        string key = Path.Combine(rig.Place, "key");
        await CommandRunner.MustAsync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", key], null, Cancellation);
        string authorized = Path.Combine(rig.Place, "authorized");
        File.Copy(key + ".pub", authorized);
        string configuration = Path.Combine(rig.Place, "sshd_config");
        await File.WriteAllTextAsync(
            configuration,
            $"""
            ListenAddress [{Peer}]:22
            HostKey {key}
            AuthorizedKeysFile {authorized}
            StrictModes no
            UsePAM no
            PermitRootLogin yes
            PidFile none

            """,
            Cancellation);
        Directory.CreateDirectory("/run/sshd");
        rig.Start(LabNodes.Peer, CommandRunner.Find("sshd"), "-D", "-e", "-f", configuration);
        string[] exec = type is null ? [] : LabProgram.Self.Line(["exec", "--tap", "od0", "--type", type, "--"]);
        string[] ssh =
        [
            .. exec, "ssh", "-F", "none", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
            "-o", "LogLevel=ERROR", "-o", "ConnectionAttempts=20", $"root@{Peer}",
        ];
        Task<string> session = rig.RunAsync(
            LabNodes.Host, [.. ssh, "echo from $SSH_CONNECTION; for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done; echo end"]);
        await Task.Delay(1500, Cancellation);
        await rig.MoveAsync(LabNodes.SecondRouter);
        string said = await session;
        Assert.StartsWith($"from {from}", said, StringComparison.Ordinal);
        Assert.EndsWith("line 6\nend\n", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dig_asks_a_real_server_from_the_nonpersistent_prefix_of_the_moment()
    {
        LabRig.Need("dig", "dnsmasq", "tcpdump");
        await using LabRig rig = await LabRig.UpAsync();
        NetworkCapture capture = await rig.CaptureAsync();
        rig.Start(
            LabNodes.Peer, CommandRunner.Find("dnsmasq"), "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
            "--pid-file=", "--user=root", "--bind-interfaces", $"--listen-address={Peer}", "--address=/lab.example/2001:db8:c::80");
        foreach (string router in LabNodes.Routers)
        {
            await rig.MoveAsync(router);
            foreach (string transport in new[] { "+notcp", "+tcp" })
            {
                string answer = await rig.RunAsync(
                    LabNodes.Host, "dig", $"@{Peer}", "www.lab.example", "AAAA", "+short", "+tries=10", "+time=1", transport);
                Assert.Equal("2001:db8:c::80\n", answer);
            }
        }

        await capture.StopAsync();
        Assert.NotEmpty(await capture.FindAsync("src net 2001:db8:a1:1::/64 and udp dst port 53"));
        Assert.NotEmpty(await capture.FindAsync("src net 2001:db8:a2:1::/64 and udp dst port 53"));
        Assert.NotEmpty(await capture.FindAsync("src net 2001:db8:a2:1::/64 and tcp dst port 53"));
        Assert.Empty(await capture.FindAsync("dst port 53 and not src net 2001:db8:a1:1::/64 and not src net 2001:db8:a2:1::/64"));
        await capture.AssertCleanAsync();
    }

    [Theory]
    [InlineData(5201, "")]
    [InlineData(5201, "-R")]
    [InlineData(5202, "--bidir")]
    public async Task Iperf3_measures_on_while_the_host_moves(int port, string direction)
    {
        LabRig.Need("iperf3");
        await using LabRig rig = await LabRig.UpAsync();
        string number = port.ToString(CultureInfo.InvariantCulture);
        Process server = rig.Start(LabNodes.Peer, CommandRunner.Find("iperf3"), "-s", "-1", "-p", number, "--forceflush");
        while (!(await server.StandardOutput.ReadLineAsync(Cancellation))!.Contains("listening", StringComparison.Ordinal))
        {
        }

        string[] line = ["iperf3", "-6", "-c", Peer, "-p", number, "-t", "3", "-J"];
        Task<string> running = rig.RunAsync(LabNodes.Host, direction.Length > 0 ? [.. line, direction] : line);
        await Task.Delay(1500, Cancellation);
        await rig.MoveAsync(LabNodes.SecondRouter);
        using JsonDocument report = JsonDocument.Parse(await running);
        Assert.False(report.RootElement.TryGetProperty("error", out _));
        long received = report.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bytes").GetInt64();
        Assert.True(received > 10_000_000, $"Only {received} octets arrived.");
    }

    // As small as an HTTP/1.0 server can be; the listener is its own.
    private static async Task ServeOnceAsync(Socket server, byte[] content)
    {
        using Socket listener = server;
        using Socket connection = await listener.AcceptAsync(Cancellation);
        byte[] request = new byte[4096];
        await connection.ReceiveAsync(request, Cancellation);
        byte[] head = System.Text.Encoding.ASCII.GetBytes(
            $"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {content.Length}\r\n\r\n");
        foreach (byte[] part in new[] { head, content })
        {
            for (int sent = 0; sent < part.Length;)
            {
                sent += await connection.SendAsync(part.AsMemory(sent), Cancellation);
            }
        }
    }
}
