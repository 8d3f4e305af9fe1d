using System.Globalization;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Cli;

/// <summary>One replay from its options to its exit status: the scenario is read, the replay done, reports and pictures are written.</summary>
internal static class ReplayJob
{
    /// <summary>Does it.</summary>
    /// <param name="options">What to read and write.</param>
    /// <param name="streams">Standard input, output and error.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>The exit status.</returns>
    public static async Task<int> RunAsync(ReplayOptions options, CommandStreams streams, CancellationToken cancellationToken)
    {
        WarmUp.Begin();
        Scenario? scenario = options.Scenario switch
        {
            "" => null,                              // a recording brings its own
            ReplayOptions.StandardStream => ScenarioReader.Load("standard input", streams.Input),
            { } file => ScenarioReader.Load(file),
        };
        using var progress = new ProgressLine(streams.Error, LengthOf(options.Input));
        ReplayResult result = scenario is null
            ? await RecordingRun.RunAsync(options, streams.OpenInput, streams.CreateOutput, progress.Show, cancellationToken).ConfigureAwait(false)
            : await ReplayRun.RunAsync(
                options, scenario, streams.OpenInput, streams.CreateOutput, progress.Show, cancellationToken).ConfigureAwait(false);
        progress.Clear();
        WriteReports(options, streams, result.Report);
        return await ExplainAsync(options, streams, result).ConfigureAwait(false);
    }

    private static void WriteReports(ReplayOptions options, CommandStreams streams, ReplayReport report)
    {
        if (options.Report is { } path)
        {
            using Stream file = streams.CreateOutput(path);
            ReportJson.Write(file, report);
        }

        if (options.Timeline is { } timeline)
        {
            using TextWriter file = streams.CreateText(timeline);
            TimelineHtml.Write(file, report);
        }

        if (options.Json)
        {
            ReportJson.Write(streams.Output, report);
        }
        else if (!options.Quiet)
        {
            using TextWriter text = streams.OpenText();
            ReportTable.Write(text, report, ReportTableOptions.Default with { Explain = options.Explain });
        }
    }

    private static async Task<int> ExplainAsync(ReplayOptions options, CommandStreams streams, ReplayResult result)
    {
        int status = ExitStatus.Done;
        if (result.Report.Verification is { Passed: false } failed)
        {
            await streams.Error.WriteAsync(string.Create(
                CultureInfo.InvariantCulture,
                $"ondemand: {options.Output}: verification failed for {failed.Violations} of {failed.Checked} packets; first: {failed.Examples[0]}.\n"))
                .ConfigureAwait(false);
            status = ExitStatus.VerificationFailed;
        }

        if (result.Failure is { } failure)
        {
            await streams.Error.WriteAsync($"ondemand: {options.Output}: {failure}\n").ConfigureAwait(false);
            status = ExitStatus.Usage;
        }

        if (result.Damage is { } damage)
        {
            await streams.Error.WriteAsync($"ondemand: {options.Input}: {damage}\n").ConfigureAwait(false);
            status = ExitStatus.DamagedInput;
        }

        return status;
    }

    private static long LengthOf(string path) =>
        path != ReplayOptions.StandardStream && File.Exists(path) ? new FileInfo(path).Length : 0;
}
