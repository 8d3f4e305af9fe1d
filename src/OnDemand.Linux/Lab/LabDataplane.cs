using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;

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
    // Not 'ip netns exec', which hides the cgroups that say which command a socket belongs to.
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
                "-c", DetachScript, "sh", directory.Log, CommandRunner.Find("nsenter"),
                $"--net=/run/netns/{LabNodes.Namespace(name, LabNodes.Host)}",
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

    /// <summary>Checks that it answers.</summary>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes with its answer.</returns>
    /// <exception cref="NoAnswerException">It does not.</exception>
    public Task CheckAsync(CancellationToken cancellationToken) => AskAsync(client => client.StatusAsync(cancellationToken));

    /// <summary>Tells it that the host has come to a point of attachment.</summary>
    /// <param name="point">The point of attachment.</param>
    /// <param name="prefixes">What the network gives there.</param>
    /// <param name="window">The replacement window.</param>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes when it is done.</returns>
    public Task AttachAsync(
        string point, IEnumerable<PrefixAdvertisement> prefixes, Duration window, CancellationToken cancellationToken) =>
        AskAsync(client => client.AttachAsync(
            new AttachBody(point, [.. prefixes.Select(Gift)], ScenarioText.Format(window)), cancellationToken));

    /// <summary>Tells it that the host is attached nowhere.</summary>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes when it is done.</returns>
    public Task DetachAsync(CancellationToken cancellationToken) => AskAsync(client => client.DetachAsync(cancellationToken));

    /// <summary>Tells it that the network takes a prefix back.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it stays; zero: it ends at once.</param>
    /// <param name="cancellationToken">Stops waiting for the answer.</param>
    /// <returns>Completes when it is done.</returns>
    public Task WithdrawAsync(IpPrefix prefix, Duration window, CancellationToken cancellationToken) =>
        AskAsync(client => client.WithdrawAsync(
            new WithdrawBody(prefix.ToString(), window == Duration.Zero ? null : ScenarioText.Format(window)), cancellationToken));

    // A connection for each command: a lab lives between commands for as long as it likes.
    private async Task AskAsync<T>(Func<ControlClient, Task<T>> command)
    {
        using var client = new ControlClient(directory.Control);
        await command(client).ConfigureAwait(false);
    }

    private static PrefixGift Gift(PrefixAdvertisement given) => new(
        given.Prefix.ToString(),
        given.Type == AddressType.None ? null : AddressTypes.ToName(given.Type),
        Lifetime(given.PreferredLifetime),
        Lifetime(given.ValidLifetime),
        given.Home ? true : null);

    private static string? Lifetime(Duration duration) => duration == Duration.Infinite ? null : ScenarioText.Format(duration);

    private async Task WaitAsync(LabProcess process, CancellationToken cancellationToken)
    {
        long until = Environment.TickCount64 + (long)StartPatience.TotalMilliseconds;
        while (!await AnswersAsync(cancellationToken).ConfigureAwait(false))
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

    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        try
        {
            await CheckAsync(cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (NoAnswerException)
        {
            return false;
        }
    }

    private HostException Ended()
    {
        IEnumerable<string> said = File.Exists(directory.Log) ? File.ReadLines(directory.Log) : [];
        string last = said.LastOrDefault(line => line.Length > 0) ?? "It said nothing.";
        const string prefix = "ondemand: ";
        string because = last.StartsWith(prefix, StringComparison.Ordinal) ? last[prefix.Length..] : last;
        return new HostException($"The dataplane did not start: {because}");
    }
}
