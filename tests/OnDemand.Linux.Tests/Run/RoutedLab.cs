using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using OnDemand.Linux.Interop;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>
/// Two network namespaces of a test's own: a host with programs and dataplane, and a server behind a wire. They are removed with it.
/// <code>
/// host: od0 fd00:a::2, wire 2001:db8:5::1 ---- 2001:db8:5::2 wire :server     (the server routes 2001:db8:a0::/44 to the host)
/// </code>
/// </summary>
internal sealed class RoutedLab : IDisposable
{
    public const string Server = "2001:db8:5::2";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static int _count;

    private readonly string _name = string.Create(
        CultureInfo.InvariantCulture, $"odt{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
    private readonly List<Process> _programs = [];

    public RoutedLab()
    {
        Assert.SkipUnless(Libc.GetEffectiveUserId() == 0, "Network namespaces need root.");
        Assert.SkipUnless(Path.Exists("/dev/net/tun"), "There is no /dev/net/tun.");
        foreach (string tool in (string[])["ip", "ethtool", "iperf3", "tshark", "tcpdump", "python3", "ping"])
        {
            Assert.SkipUnless(Has(tool), $"{tool} is not installed.");
        }

        Shell($"""
            ip netns add {HostName}
            ip netns add {ServerName}
            ip link add wire netns {HostName} type veth peer name wire netns {ServerName}
            for n in {HostName} {ServerName}; do ip -n $n link set dev lo up; ip -n $n link set dev wire up; done
            ip -n {HostName} -6 addr add 2001:db8:5::1/64 dev wire nodad
            ip -n {ServerName} -6 addr add {Server}/64 dev wire nodad
            ip -n {HostName} -6 route add default via {Server}
            ip -n {ServerName} -6 route add 2001:db8:a0::/44 via 2001:db8:5::1
            """);
    }

    public string HostName => _name + "h";

    public string ServerName => _name + "s";

    /// <summary>A directory for this test's files.</summary>
    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("ondemand-lab").FullName;

    /// <summary>The file of the dataplane that was started last.</summary>
    public string Configuration { get; private set; } = string.Empty;

    /// <summary>The configuration's map 'host', with paths of this test's own.</summary>
    public string HostMap(string more = "") =>
        $"host: {{control: {Directory}/od0.sock, state: {Directory}, forwarding: set, uplinks: [wire]{more}}}\n";

    public string Host(string script) => Shell(script, HostName);

    public string AtServer(string script) => Shell(script, ServerName);

    /// <summary>Starts a program that is ended with the lab.</summary>
    public LabProgram Start(string where, params string[] arguments)
    {
        var program = new LabProgram(where, arguments);
        _programs.Add(program.Process);
        return program;
    }

    /// <summary>Starts the dataplane and waits until it runs.</summary>
    public LabProgram Run(string yaml)
    {
        LabProgram run = StartRun(yaml);
        run.WaitFor("Running on", Patience);
        return run;
    }

    /// <summary>Starts the dataplane, which may fail.</summary>
    public LabProgram StartRun(string yaml, params string[] before)
    {
        Configuration = Path.Combine(Directory, $"{Guid.NewGuid():n}.yaml");
        File.WriteAllText(Configuration, yaml);
        return Start(HostName, [.. before, "dotnet", Path.Combine(AppContext.BaseDirectory, "ondemand.dll"), "run", "--config", Configuration]);
    }

    /// <summary>Everything in the host's namespace that a dataplane may have made.</summary>
    public string State() => Host("""
        {
          ip -6 rule; ip -6 route show table all; ip -6 -o addr; ip -o link; cat /proc/sys/net/ipv6/conf/all/forwarding
        } | grep -v fe80                              # which come by themselves, a little later
        """);

    public void Dispose()
    {
        foreach (Process program in _programs)
        {
            if (!program.HasExited)
            {
                program.Kill();
                program.WaitForExit();
            }

            program.Dispose();
        }

        Shell($"ip netns del {HostName}; ip netns del {ServerName}");
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private static bool Has(string tool) => Environment.GetEnvironmentVariable("PATH")!.Split(':').Append("/usr/sbin").Append("/sbin")
        .Any(directory => File.Exists(Path.Combine(directory, tool)));

    private static string Shell(string script, string? where = null)
    {
        string[] arguments = where is null ? ["-e", "-c", script] : ["netns", "exec", where, "sh", "-e", "-c", script];
        string program = where is null ? "sh" : "ip";
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{script}: {errors.Result}{output}");
        return output;
    }
}

/// <summary>A program in a namespace, with what it has said so far.</summary>
internal sealed class LabProgram
{
    private readonly ConcurrentQueue<string> _lines = new();

    public LabProgram(string where, string[] arguments)
    {
        // Whoever runs the tests in the background may have them inherit an ignored SIGINT, which a program then ignores as well.
        var start = new ProcessStartInfo("ip", ["netns", "exec", where, "env", "--default-signal=INT", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process = Process.Start(start)!;
        Process.OutputDataReceived += (_, line) => Keep(line.Data);
        Process.ErrorDataReceived += (_, line) => Keep(line.Data);
        Process.BeginOutputReadLine();
        Process.BeginErrorReadLine();
    }

    public Process Process { get; }

    public string Said => string.Join('\n', _lines);

    /// <summary>Waits until it has said something.</summary>
    public LabProgram WaitFor(string words, TimeSpan? patience = null)
    {
        DateTime end = DateTime.UtcNow + (patience ?? TimeSpan.FromSeconds(60));
        while (!Said.Contains(words, StringComparison.Ordinal))
        {
            bool mayCome = !Process.HasExited || Said.Contains(words, StringComparison.Ordinal);
            Assert.True(mayCome && DateTime.UtcNow < end, $"'{words}' never came: {Said}");
            Thread.Sleep(20);
        }

        return this;
    }

    /// <summary>Ends it with a signal.</summary>
    /// <returns>Its exit status.</returns>
    public int End(string signal = "TERM")
    {
        Send(signal);
        return Wait();
    }

    /// <summary>Sends it a signal.</summary>
    public void Send(string signal)
    {
        using Process kill = Process.Start("kill", [$"-{signal}", Process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>Waits for its end.</summary>
    /// <returns>Its exit status.</returns>
    public int Wait()
    {
        Assert.True(Process.WaitForExit(TimeSpan.FromSeconds(60)), $"It does not end: {Said}");
        Process.WaitForExit();                       // until everything it said was read
        return Process.ExitCode;
    }

    private void Keep(string? line)
    {
        if (line is not null)
        {
            _lines.Enqueue(line);
        }
    }
}
