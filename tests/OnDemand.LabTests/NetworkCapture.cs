using System.Diagnostics;
using System.Globalization;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>What passes some links, captured by tcpdump and judged by it.</summary>
internal sealed class NetworkCapture
{
    private readonly LabRig _rig;
    private readonly List<(Process Program, string File)> _captures = [];

    private NetworkCapture(LabRig rig) => _rig = rig;

    /// <summary>Packets that passed while tcpdump had no room for them, known when it has ended.</summary>
    public long Missed { get; private set; }

    public static async Task<NetworkCapture> StartAsync(LabRig rig, IEnumerable<(string Node, string Interface)> places)
    {
        var capture = new NetworkCapture(rig);
        foreach ((string node, string name) in places)
        {
            string file = Path.Combine(rig.Place, $"{node}-{name}.pcap");

            // As root all the way: the directory is root's.
            Process program = rig.Start(
                node, CommandRunner.Find("tcpdump"), "-i", name, "-U", "--immediate-mode", "-n", "-Z", "root", "-B", "65536",
                "-w", file);
            string? line = await program.StandardError.ReadLineAsync(TestContext.Current.CancellationToken);
            Assert.Contains($"listening on {name}", line, StringComparison.Ordinal);
            capture._captures.Add((program, file));
        }

        return capture;
    }

    /// <summary>Ends the captures. What tcpdump has not read when it is interrupted is lost to it, so it gets the time to come to rest.</summary>
    public async Task StopAsync()
    {
        long[] before = [];
        long[] now = Lengths();
        for (int looks = 0; looks < 20 && !now.SequenceEqual(before); looks++)
        {
            await Task.Delay(500, TestContext.Current.CancellationToken);
            (before, now) = (now, Lengths());
        }

        foreach ((Process program, _) in _captures)
        {
            Task<string> words = program.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await LabRig.InterruptAsync(program);
            string? missed = (await words).Split('\n').FirstOrDefault(line => line.Contains("dropped by kernel", StringComparison.Ordinal));
            Missed += missed is null ? 0 : long.Parse(missed.Split(' ')[0], CultureInfo.InvariantCulture);   // none if its link went away
        }
    }

    private long[] Lengths() => [.. _captures.Select(capture => new FileInfo(capture.File).Length)];

    /// <summary>The packets that match, as tcpdump prints them.</summary>
    public async Task<string[]> FindAsync(string filter, params string[] options)
    {
        List<string> found = [];
        foreach ((_, string file) in _captures)
        {
            CommandResult result = await CommandRunner.RunAsync(
                "tcpdump", ["-r", file, "-n", .. options, filter], null, TestContext.Current.CancellationToken);
            found.AddRange(result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }

        return [.. found];
    }

    /// <summary>Whatever leaves the host has a typed address and right checksums: the network has nothing to complain about.</summary>
    public async Task AssertCleanAsync()
    {
        Assert.NotEmpty(await FindAsync("ip6 and not icmp6"));
        Assert.Empty(await FindAsync("src net fd00:db8::/32 or dst net fd00:db8::/32"));
        string[] wrong = [.. (await FindAsync("ip6", "-v")).Where(line =>
            line.Contains("incorrect", StringComparison.Ordinal) || line.Contains("bad udp cksum", StringComparison.Ordinal)
            || line.Contains("bad icmp6 cksum", StringComparison.Ordinal))];
        Assert.Empty(wrong);
    }
}
