using System.Globalization;
using System.Runtime.Versioning;
using System.Text.Json;
using OnDemand.Linux.Exec;
using OnDemand.Linux.Policy;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Commands with a type, beside a dataplane that runs: rights, quotas, the record, and what killed ones leave.</summary>
[SupportedOSPlatform("linux")]
public sealed class LiveCommandTests
{
    private const string Config = """
        internal: [fd00:a::2]
        network:
          - at: 0s
            attach: ar1
            prefixes: [{prefix: "2001:db8:a1::/64", type: nonpersistent}, {prefix: "2001:db8:a2::/64", type: session-lasting}, {prefix: "2001:db8:a3::/64", type: fixed}]
        policy: {default: nonpersistent}

        """;

    // So many sockets, each with two flows; they stay open until standard input ends.
    private const string Program = """
        import socket, sys, time
        sockets = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(int(sys.argv[1]))]
        for s in sockets:
            for port in (9, 10):
                s.sendto(b'x', ('2001:db8:5::2', port)); time.sleep(0.05)
        print('sent', flush=True)
        sys.stdin.read()
        """;

    // Not one of a user's own, which others may not run.
    private static readonly string Python = File.Exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public void Sockets_of_commands_have_quotas_and_are_recorded_and_what_is_refused_goes_by_policy()
    {
        using var lab = new RoutedLab();
        Assert.SkipUnless(CgroupMount.Find() is not null, "There is no cgroup hierarchy of version 2.");
        string audit = Path.Combine(lab.Directory, "audit.jsonl");
        LabProgram run = lab.Run(Config + lab.HostMap(
            $", rights: {{types: {{fixed: {{users: [1]}}}}, quotas: {{addresses: 2}}}}, audit: {{file: {audit}}}"));
        string captured = Path.Combine(lab.Directory, "seen.pcap");
        LabProgram capture = lab.Start(lab.ServerName, "tcpdump", "-i", "wire", "--immediate-mode", "-U", "-w", captured, "udp");
        capture.WaitFor("listening on", Patience);

        Exec(lab, "session-lasting", 4242, 4);
        Exec(lab, "fixed", 4242, 3);
        Exec(lab, "fixed", 0, 1);

        Assert.True(SpinWait.SpinUntil(() => Entries(audit).Length >= 5, Patience), string.Join('\n', Entries(audit).Select(one => one.GetRawText())));
        Assert.Equal(0, run.End());

        // What tcpdump has not read when it is told to end is lost. Sixteen datagrams of one octet, each with the headers of packet and record.
        const int length = 24 + (16 * (16 + 14 + 40 + 8 + 1));
        _ = SpinWait.SpinUntil(() => new FileInfo(captured).Length >= length, Patience);
        capture.End();
        JsonElement[] entries = Entries(audit);

        // What is refused is known at once, what is granted when it is there, so that a refusal may stand before it.
        string[] told = [.. entries.Select(one => $"{one.GetProperty("type")} {one.GetProperty("result")} {one.GetProperty("uid")}")];
        Assert.Equal(["session-lasting granted 4242", "session-lasting granted 4242", "session-lasting quota 4242"], told[..3].Order());
        Assert.Equal(["fixed forbidden 4242", "fixed granted 0"], told[3..]);
        Assert.All(entries, one => Assert.Contains("/ondemand-od0/", one.GetProperty("cgroup").GetString(), StringComparison.Ordinal));
        Assert.All(entries[..3].Where(one => one.GetProperty("result").GetString() == "granted"), one => Assert.StartsWith("2001:db8:a2:", one.GetProperty("address").GetString(), StringComparison.Ordinal));
        Assert.All(entries.Where(one => one.TryGetProperty("program", out _)), one => Assert.Contains("python", one.GetProperty("program").GetString(), StringComparison.Ordinal));

        string[] sources = lab.AtServer($"tshark -r {captured} -T fields -e ipv6.src").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, sources.Count(one => one.StartsWith("2001:db8:a2:", StringComparison.Ordinal)));
        Assert.Equal(10, sources.Count(one => one.StartsWith("2001:db8:a1:", StringComparison.Ordinal)));
        Assert.Equal(2, sources.Count(one => one.StartsWith("2001:db8:a3:", StringComparison.Ordinal)));
    }

    [Fact]
    public void What_a_killed_command_left_is_removed_when_the_dataplane_starts()
    {
        using var lab = new RoutedLab();
        string? root = CgroupMount.Find();
        Assert.SkipUnless(root is not null, "There is no cgroup hierarchy of version 2.");
        string tap = string.Create(CultureInfo.InvariantCulture, $"k{Environment.ProcessId % 100_000}");
        string left = $"{root}{CommandCgroup.HomeOf(File.ReadLines("/proc/self/cgroup"))}/ondemand-{tap}";
        Directory.CreateDirectory($"{left}/fixed/99999999");

        LabProgram run = lab.Run(Config + lab.HostMap($", tap: {tap}"));

        Assert.Contains("ondemand: Commands that were killed had left 1 empty cgroup, which is removed.", run.Said, StringComparison.Ordinal);
        Assert.False(Directory.Exists(left));
        Assert.Equal(0, run.End());
    }

    [Fact]
    public void A_start_and_a_dry_run_warn_where_forwarding_is_only_checked_and_native_sockets_would_hear_nothing()
    {
        using var lab = new RoutedLab();
        lab.Host("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_early_demux=1 net.ipv4.tcp_early_demux=1 net.ipv4.udp_early_demux=0");
        string map = lab.HostMap().Replace("forwarding: set", "forwarding: check", StringComparison.Ordinal);
        const string warning = "ondemand: With 'forwarding: check' net.ipv4.tcp_early_demux is on, so sockets that bind themselves to a typed address would hear nothing";

        LabProgram run = lab.Run(Config + map);
        Assert.Single(run.Said.Split('\n'), line => line.StartsWith(warning, StringComparison.Ordinal));
        string dry = lab.Host($"dotnet {Path.Combine(AppContext.BaseDirectory, "ondemand.dll")} run --config {lab.Configuration} --dry-run 2>&1");
        Assert.Single(dry.Split('\n'), line => line.StartsWith(warning, StringComparison.Ordinal));
        Assert.Equal(0, run.End());

        LabProgram set = lab.Run(Config + lab.HostMap());
        Assert.DoesNotContain("early_demux", set.Said, StringComparison.Ordinal);
        Assert.Equal(0, set.End());
        lab.Host("sysctl -qw net.ipv4.tcp_early_demux=0");
        LabProgram quiet = lab.Run(Config + map);
        Assert.DoesNotContain("early_demux", quiet.Said, StringComparison.Ordinal);
        Assert.Equal(0, quiet.End());
    }

    private static void Exec(RoutedLab lab, string type, uint user, int sockets)
    {
        string[] become = user == 0 ? [] : ["setpriv", "--reuid", user.ToString(CultureInfo.InvariantCulture), "--clear-groups"];
        using System.Diagnostics.Process command = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(
            "ip",
            ["netns", "exec", lab.HostName, "dotnet", Path.Combine(AppContext.BaseDirectory, "ondemand.dll"), "exec", "--tap", "od0", "--type", type, "--",
                .. become, Python, "-c", Program, sockets.ToString(CultureInfo.InvariantCulture)])
        { RedirectStandardInput = true, RedirectStandardOutput = true, WorkingDirectory = "/" })!;
        Assert.Equal("sent", command.StandardOutput.ReadLine());
        Thread.Sleep(300);                           // the record looks for whoever has the sockets
        command.StandardInput.Close();
        Assert.True(command.WaitForExit(Patience));
        Assert.Equal(0, command.ExitCode);
    }

    private static JsonElement[] Entries(string audit) =>
        File.Exists(audit) ? [.. File.ReadAllLines(audit).Select(line => JsonDocument.Parse(line).RootElement)] : [];
}
