using System.Diagnostics;
using OnDemand.Captures.Files;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;

namespace OnDemand.Captures.Replay;

/// <summary>How far a replay is.</summary>
/// <param name="Octets">Octets of the input that were read.</param>
/// <param name="Packets">Packets that were read.</param>
/// <param name="Elapsed">The time it took so far.</param>
public readonly record struct ReplayProgress(long Octets, long Packets, TimeSpan Elapsed);

/// <summary>What came of a replay.</summary>
/// <param name="Report">Everything about it.</param>
/// <param name="Damage">Where the input is damaged; null if it is not.</param>
/// <param name="Failure">One sentence why the output could not be written as wanted; null if it could.</param>
public sealed record ReplayResult(ReplayReport Report, CaptureDamage? Damage, string? Failure);

/// <summary>Replays a capture through the engine as a scenario says, from files to files.</summary>
public static class ReplayRun
{
    /// <summary>Flows that a report lists at most; the others are only counted.</summary>
    public const int MostReportedFlows = 10_000;

    /// <summary>Octets that are read, worked on and written at a time.</summary>
    internal const int BlockLength = 512 << 10;

    private static readonly TimeSpan ProgressPeriod = TimeSpan.FromSeconds(1);

    /// <summary>Does a replay.</summary>
    /// <param name="options">What to read and write.</param>
    /// <param name="scenario">The scenario.</param>
    /// <param name="open">Opens the input.</param>
    /// <param name="create">Creates an output.</param>
    /// <param name="progress">Is told about once a second how far it is; null if nobody wants to know.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>What came of it; reports and timeline are for the caller to write. Without a table, report, timeline or explanation to
    /// be written, the report lists no flows.</returns>
    /// <exception cref="ScenarioException">The scenario's times do not fit the capture's.</exception>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    public static async Task<ReplayResult> RunAsync(
        ReplayOptions options,
        Scenario scenario,
        Func<string, Stream> open,
        Func<string, Stream> create,
        Action<ReplayProgress>? progress,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(scenario);
        ArgumentNullException.ThrowIfNull(open);
        ArgumentNullException.ThrowIfNull(create);
        var watch = Stopwatch.StartNew();
        CaptureReader reader = Reader(open(options.Input));
        await using (reader.ConfigureAwait(false))
        {
            bool any = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (!any)
            {
                // No capture at all is most likely a wrong name, and what the outputs' names have now is left alone.
                if (reader.Damage == Damages.Empty)
                {
                    await EmptyAsync(options, create).ConfigureAwait(false);
                }

                return new ReplayResult(Empty(options, scenario), reader.Damage, null);
            }

            var files = new ReplayFiles(options, create, reader);
            await using (files.ConfigureAwait(false))
            {
                await files.CopyAsync(reader, scenario, options, watch, progress, ProgressPeriod, cancellationToken).ConfigureAwait(false);
                return new ReplayResult(files.Report(options, scenario, watch.Elapsed), reader.Damage, files.Failure);
            }
        }
    }

    /// <summary>The format that a name asks for.</summary>
    /// <param name="path">The output's name.</param>
    /// <param name="input">The input's format.</param>
    /// <param name="explain">Whether packets get comments, which only pcapng can hold.</param>
    /// <returns>The format; null for the input's.</returns>
    /// <exception cref="IOException">Comments are wanted in a file whose name says pcap.</exception>
    internal static CaptureFormat? FormatOf(string path, CaptureFormat input, bool explain)
    {
        bool pcap = path.EndsWith(".pcap", StringComparison.OrdinalIgnoreCase);
        if (pcap && explain)
        {
            throw new IOException($"'{path}' is named as a pcap file, which cannot hold the comments of --explain; name it .pcapng.");
        }

        return path.EndsWith(".pcapng", StringComparison.OrdinalIgnoreCase) || explain ? CaptureFormat.PcapNg
            : pcap && input == CaptureFormat.PcapNg ? CaptureFormat.PcapNanoseconds
            : null;
    }

    // A file is there and costs no waiting, so it is read by the thread that works on it or by the one that writes, whichever has time;
    // anything else is read ahead by a thread of its own.
    private static CaptureReader Reader(Stream input) => input is FileStream { CanSeek: true }
        ? CaptureReader.Create(input, new CaptureReaderOptions { BufferLength = BlockLength })
        : CaptureReader.Create(BackgroundPipes.ReadAhead(input, BackgroundPipes.PartLength), new CaptureReaderOptions { BufferLength = BlockLength });

    private static async Task EmptyAsync(ReplayOptions options, Func<string, Stream> create)
    {
        foreach (string? path in (string?[])[options.Output, options.HostOutput])
        {
            if (path is not null)
            {
                Stream nothing = create(path);
                await nothing.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private static ReplayReport Empty(ReplayOptions options, Scenario scenario) => new()
    {
        Input = options.Input,
        Scenario = options.Scenario,
        Output = options.Output,
        Seed = scenario.Seed,
        TakenOutside = options.TakenOutside,
    };
}
