using System.Diagnostics;
using System.Globalization;
using OnDemand.Captures.Files;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Captures.Recording;

/// <summary>Replays a recording of a live run from file to file: the recording made anew, and whether it is the same.</summary>
public static class RecordingRun
{
    private static readonly TimeSpan ProgressPeriod = TimeSpan.FromSeconds(1);

    /// <summary>Whether a file is a recording, so that its replay needs no scenario.</summary>
    /// <param name="path">The file; one that cannot be read is none.</param>
    /// <returns>Whether it is.</returns>
    public static bool IsRecording(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            byte[] head = new byte[RecordingFormat.HeadLength];
            return RecordingFormat.IsRecording(head.AsSpan(0, file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)));
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return false;            // whoever opens it next says why
        }
    }

    /// <summary>Does a replay.</summary>
    /// <param name="options">What to read and write; the scenario is the recording's own.</param>
    /// <param name="open">Opens the input.</param>
    /// <param name="create">Creates the output.</param>
    /// <param name="progress">Is told about once a second how far it is; null if nobody wants to know.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>What came of it. The report's verification fails with the first difference, if the new recording is not the old one.</returns>
    /// <exception cref="ScenarioException">A record is not understood.</exception>
    /// <exception cref="IOException">A file cannot be read or written.</exception>
    public static async Task<ReplayResult> RunAsync(
        ReplayOptions options,
        Func<string, Stream> open,
        Func<string, Stream> create,
        Action<ReplayProgress>? progress,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(open);
        ArgumentNullException.ThrowIfNull(create);
        var watch = Stopwatch.StartNew();
        var replay = new RecordingReplay(options.Input, density: options.Timeline is not null);
        CaptureReader reader = CaptureReader.Create(BackgroundPipes.ReadAhead(open(options.Input), BackgroundPipes.PartLength));
        Stream? output = null;
        await using (reader.ConfigureAwait(false))
        {
            try
            {
                TimeSpan told = TimeSpan.Zero;
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    TakeBuffered(reader, replay);
                    output = await WriteAsync(replay, output, options, create, cancellationToken).ConfigureAwait(false);
                    if (progress is not null && watch.Elapsed - told > ProgressPeriod)
                    {
                        told = watch.Elapsed;
                        progress(new ReplayProgress(reader.Position, replay.Counts.PacketsRead, told));
                    }
                }

                replay.Finish();
                output = await WriteAsync(replay, output, options, create, cancellationToken).ConfigureAwait(false);
                output ??= create(options.Output);   // damaged before its first step: an empty output says so
            }
            finally
            {
                if (output is not null)
                {
                    await output.DisposeAsync().ConfigureAwait(false);
                }
            }

            ReplayReport report = replay.Complete(new ReplayReport
            {
                Input = options.Input,
                Scenario = "its own configuration",
                Output = options.Output,
                Elapsed = watch.Elapsed,
            });
            return new ReplayResult(report, reader.Damage ?? DamageOf(replay, reader), null);
        }
    }

    private static CaptureDamage? DamageOf(RecordingReplay replay, CaptureReader reader) => replay.HasEnded ? null : new CaptureDamage(
        reader.Position,
        string.Create(CultureInfo.InvariantCulture, $"The recording has no end: it was cut at byte {reader.Position}; everything before was done."));

    private static void TakeBuffered(CaptureReader reader, RecordingReplay replay)
    {
        while (reader.TryRead(out CaptureRecord record))
        {
            replay.Take(record);
        }
    }

    // Nothing that is there is overwritten before the input has shown that it is a recording.
    private static async Task<Stream?> WriteAsync(
        RecordingReplay replay, Stream? output, ReplayOptions options, Func<string, Stream> create, CancellationToken cancellationToken)
    {
        if (replay.Ready.IsEmpty)
        {
            return output;
        }

        output ??= create(options.Output);
        await output.WriteAsync(replay.Ready, cancellationToken).ConfigureAwait(false);
        replay.Clear();
        return output;
    }
}
