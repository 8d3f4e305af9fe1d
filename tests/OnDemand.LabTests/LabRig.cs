using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>A lab of a test's own, with what tests do in it; gone when disposed.</summary>
internal sealed class LabRig : IAsyncDisposable
{
    private static int _count;

    private readonly List<Process> _programs = [];

    private LabRig(Lab lab, string place) => (Lab, Place) = (lab, place);

    public static IPAddress Peer { get; } = IPAddress.Parse(LabLinks.PeerAddress);

    public Lab Lab { get; }

    public string Name => Lab.State.Name;

    /// <summary>Files of the test; removed with the lab.</summary>
    public string Place { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Skips the test, saying why, where there can be no lab or a program that it needs is missing.</summary>
    public static void Need(params string[] programs)
    {
        Assert.SkipUnless(LabPrivileges.IsRoot, "A lab needs root.");
        Assert.SkipUnless(File.Exists("/dev/net/tun"), "There is no /dev/net/tun.");
        foreach (string program in programs.Concat(["ip", "ethtool"]))
        {
            Assert.SkipUnless(CommandRunner.Has(program), $"'{program}' is not installed.");
        }
    }

    /// <summary>Builds one.</summary>
    /// <param name="scenario">The scenario file; null for the usual scenario.</param>
    /// <param name="plain">Whether without a dataplane.</param>
    /// <param name="record">Where the dataplane records; null for nowhere.</param>
    /// <param name="host">What the usual scenario is to have in the map <c>host</c>; null for what ONDEMAND_TEST_HOST says, as in
    /// <c>{ring: off, coalesce: off}</c>, or nothing.</param>
    public static async Task<LabRig> UpAsync(string? scenario = null, bool plain = false, string? record = null, string? host = null)
    {
        host ??= Environment.GetEnvironmentVariable("ONDEMAND_TEST_HOST");
        string place = Directory.CreateTempSubdirectory("ondemand-lab-").FullName;
        if (scenario is null && !string.IsNullOrEmpty(host))
        {
            scenario = Path.Combine(place, "lab.yaml");
            await using var file = new StreamWriter(scenario);
            ScenarioWriter.Write(file, LabScenario.Usual.Scenario, new ScenarioRemarks());
            await file.WriteLineAsync($"host: {host}");
        }

        string name = string.Create(CultureInfo.InvariantCulture, $"t{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");
        return new LabRig(await Lab.UpAsync(
            new LabOptions { Name = name, ScenarioFile = scenario, Plain = plain, Record = record }, Cancellation), place);
    }

    public Task MoveAsync(string router, int windowSeconds = 10, TimeSpan? gap = null) =>
        Lab.MoveAsync(router, null, Duration.FromSeconds(windowSeconds), gap, Cancellation);

    /// <summary>A socket on a node.</summary>
    public Socket Socket(string node, SocketType type) => LabSockets.On(Name, node, () => new Socket(
        AddressFamily.InterNetworkV6, type, type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp));

    /// <summary>A socket on a node that listens, or waits for datagrams.</summary>
    public Socket Server(string node, SocketType type, int port)
    {
        Socket socket = Socket(node, type);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Any, port));
        if (type == SocketType.Stream)
        {
            socket.Listen();
        }

        return socket;
    }

    /// <summary>A connection from the host to the correspondent, with both of its ends.</summary>
    public async Task<(Socket Host, Socket Peer)> ConnectAsync(Socket listener, int port)
    {
        Socket host = Socket(LabNodes.Host, SocketType.Stream);
        await host.ConnectAsync(new IPEndPoint(Peer, port), Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(10), Cancellation);
        Socket peer = await listener.AcceptAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(10), Cancellation);
        return (host, peer);
    }

    /// <summary>Octets go both ways over a connection.</summary>
    public static async Task AssertEchoesAsync(Socket one, Socket other)
    {
        byte[] word = "a word"u8.ToArray();
        byte[] heard = new byte[word.Length];
        foreach ((Socket from, Socket to) in new[] { (one, other), (other, one) })
        {
            await from.SendAsync(word, Cancellation);
            Assert.Equal(word.Length, await to.ReceiveAsync(heard, Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancellation));
            Assert.Equal(word, heard);
        }
    }

    /// <summary>Runs a program on a node to its end; it must succeed.</summary>
    public async Task<string> RunAsync(string node, params string[] line)
    {
        CommandResult result = await TryAsync(node, line);
        Assert.True(result.Status == 0, $"'{string.Join(' ', line)}' gave {result.Status}: {result.Error}{result.Output}");
        return result.Output;
    }

    /// <summary>Runs a program on a node to its end.</summary>
    public Task<CommandResult> TryAsync(string node, params string[] line) =>
        CommandRunner.RunAsync("ip", ["netns", "exec", LabNodes.Namespace(Name, node), .. line], null, Cancellation);

    /// <summary>Starts a program on a node that runs until the lab is removed.</summary>
    public Process Start(string node, params string[] line)
    {
        Process process = Process.Start(new ProcessStartInfo(
            CommandRunner.Find("ip"), ["netns", "exec", LabNodes.Namespace(Name, node), .. line])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _programs.Add(process);
        return process;
    }

    /// <summary>Builds the C library with its examples.</summary>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>Where they are.</returns>
    public async Task<string> BuildSetscAsync(CancellationToken cancellation)
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "OnDemand.Dataplane.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        string place = Path.Combine(Place, "setsc");
        await CommandRunner.MustAsync("make", ["-s", "-C", Path.Combine(root, "src", "setsc"), $"OUT={place}", "examples"], null, cancellation);
        return place;
    }

    /// <summary>Starts a capture of what passes the host's links, as its access routers see it.</summary>
    public Task<NetworkCapture> CaptureAsync() => NetworkCapture.StartAsync(this, LabNodes.Routers.Select(router => (router, "host")));

    /// <summary>Starts a capture of what passes an interface of a node.</summary>
    public Task<NetworkCapture> CaptureAsync(string node, string name) => NetworkCapture.StartAsync(this, [(node, name)]);

    /// <summary>Whether something becomes true in time.</summary>
    public static async Task<bool> BecomesAsync(Func<Task<bool>> condition, TimeSpan limit, TimeSpan? pause = null)
    {
        long began = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(began) > limit)
            {
                return false;
            }

            await Task.Delay(pause ?? TimeSpan.FromMilliseconds(25), Cancellation);
        }

        return true;
    }

    public async ValueTask DisposeAsync()
    {
        await Lab.DownAsync(Name, CancellationToken.None);
        foreach (Process program in _programs)
        {
            program.Dispose();
        }

        Directory.Delete(Place, recursive: true);
    }

    /// <summary>Ends a program as Ctrl-C would.</summary>
    public static async Task InterruptAsync(Process process)
    {
        _ = Libc.Kill(process.Id, Libc.SignalInterrupt);
        await process.WaitForExitAsync(Cancellation);
    }
}
