using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Lab;

/// <summary>How to start this very program again: the file, and what comes before its own arguments.</summary>
/// <param name="File">The program, or what runs it.</param>
/// <param name="Arguments">What comes first.</param>
internal sealed record LabProgram(string File, IReadOnlyList<string> Arguments)
{
    /// <summary>The <c>ondemand</c> that is running, or that lies beside what is running.</summary>
    public static LabProgram Self { get; } = Find();

    /// <summary>All of a command line.</summary>
    /// <param name="arguments">The arguments of <c>ondemand</c>.</param>
    /// <returns>Program and arguments.</returns>
    public string[] Line(params IEnumerable<string> arguments) => [File, .. Arguments, .. arguments];

    private static LabProgram Find()
    {
        if (Environment.ProcessPath is { } running && Path.GetFileName(running) == "ondemand")
        {
            return new LabProgram(running, []);
        }

        string beside = Path.Combine(AppContext.BaseDirectory, "ondemand");
        return System.IO.File.Exists(beside)
            ? new LabProgram(beside, [])
            : new LabProgram(Environment.ProcessPath ?? "dotnet", [Path.Combine(AppContext.BaseDirectory, "ondemand.dll")]);
    }
}

/// <summary>The <c>ondemand run</c> of a lab's host, from outside: it is started, told about moves and ended like anybody's.</summary>
/// <param name="name">The lab's name.</param>
/// <param name="directory">The lab's place.</param>
internal sealed class LabDataplane(string name, LabDirectory directory)
{
    // Starts a program in a session of its own that does not end with its terminal; says its number.
    private const string DetachScript = "log=$1; shift; setsid \"$@\" </dev/null >>\"$log\" 2>&1 & echo $!";

    private static readonly TimeSpan StartPatience = TimeSpan.FromSeconds(20);

    /// <summary>Starts it and waits until it answers.</summary>
    /// <param name="record">Where it records what passes; null for nowhere.</param>
    /// <param name="cancellationToken">Stops waiting; it is ended then.</param>
    /// <returns>The process.</returns>
    /// <exception cref="HostException">It ended at once, or did not answer; the sentence is its own.</exception>
    public async Task<LabProcess> StartAsync(string? record, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(directory.DataplaneState);
        string[] recording = record is null ? [] : ["--record", record];
        string text = await CommandRunner.MustAsync(
            "sh",
            [
                "-c", DetachScript, "sh", directory.Log, CommandRunner.Find("ip"), "netns", "exec",
                LabNodes.Namespace(name, LabNodes.Host),
                .. LabProgram.Self.Line(["run", "--config", directory.HostFile, .. recording]),
            ],
            null,
            cancellationToken).ConfigureAwait(false);
        int id = int.Parse(text.Trim(), CultureInfo.InvariantCulture);
        LabProcess process = LabProcess.Find(id) ?? throw Ended();
        try
        {
            await WaitAsync(process, cancellationToken).ConfigureAwait(false);
            return process;
        }
        catch
        {
            await process.EndAsync(TimeSpan.FromSeconds(1), CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Tells it that the host has come to a point of attachment.</summary>
    /// <param name="point">The point of attachment.</param>
    /// <param name="prefixes">What the network gives there.</param>
    /// <param name="window">The replacement window.</param>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes when it is done.</returns>
    public Task AttachAsync(
        string point, IEnumerable<PrefixAdvertisement> prefixes, Duration window, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>Tells it that the host is attached nowhere.</summary>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes when it is done.</returns>
    public Task DetachAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    /// <summary>Tells it that the network takes a prefix back.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it stays.</param>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes when it is done.</returns>
    public Task WithdrawAsync(IpPrefix prefix, Duration window, CancellationToken cancellationToken) => throw new NotSupportedException();

    private async Task WaitAsync(LabProcess process, CancellationToken cancellationToken)
    {
        long until = Environment.TickCount64 + (long)StartPatience.TotalMilliseconds;
        while (!File.Exists(directory.Control))
        {
            if (!process.IsAlive)
            {
                throw Ended();
            }

            if (Environment.TickCount64 >= until)
            {
                throw new HostException($"The dataplane does not answer on {directory.Control}; its log is {directory.Log}.");
            }

            await Task.Delay(20, cancellationToken).ConfigureAwait(false);
        }
    }

    private HostException Ended()
    {
        string last = File.Exists(directory.Log) ? File.ReadLines(directory.Log).LastOrDefault(line => line.Length > 0) ?? string.Empty : string.Empty;
        const string prefix = "ondemand: ";
        string because = last.StartsWith(prefix, StringComparison.Ordinal) ? last[prefix.Length..] : last;
        return new HostException(because.Length > 0 ? $"The dataplane did not start: {because}" : "The dataplane did not start and said nothing.");
    }
}
