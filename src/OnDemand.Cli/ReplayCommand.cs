using System.CommandLine;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Reports;

namespace OnDemand.Cli;

/// <summary><c>ondemand replay</c>: what a scenario would have done to a capture.</summary>
internal static class ReplayCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <param name="replay">Does the replay.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams, ReplayRunner replay)
    {
        var input = new Argument<string>("IN") { Description = "The capture (pcap or pcapng); - for standard input." };
        Option<string?> scenario = File(
            "--scenario",
            "S.yaml",
            "What the network does and what programs ask for; 'ondemand inspect IN --write-scenario S.yaml' writes one. A recording needs none.");
        Option<string?> output = File(
            "--output", "OUT", "The capture as the network would have seen it, in the format of IN; - for standard output.");
        Option<string?> hostOutput = File("--host-output", "H", "The capture as the host would have seen it.");
        Option<string?> translations = File(
            "--translations", "T.json", "Which internal address stood as which typed address, for which flow and when.");
        Option<string?> report = File("--report", "R.json", "Everything about the replay: totals, moves, prefixes, flows.");
        Option<string?> timeline = File("--timeline", "T.html", "A picture of the flows over time, in one file.");
        var taken = new Option<string>("--taken")
        {
            Description = "Where the capture was taken: inside, with internal addresses, or outside, with typed ones.",
            HelpName = "inside|outside",
            DefaultValueFactory = _ => "inside",
        };
        taken.Validators.Add(result =>
        {
            string value = result.Tokens is [.., { } last] ? last.Value : "inside";
            if (value is not ("inside" or "outside"))
            {
                result.AddError($"Found --taken '{value}', expected inside or outside.");
            }
        });
        var explain = new Option<bool>("--explain") { Description = "Say for each flow why it got its address and what happened to it." };
        var json = new Option<bool>("--json") { Description = "Write the report to standard output as JSON instead of a table." };
        var quiet = new Option<bool>("--quiet") { Description = "Write nothing to standard output." };
        var command = new Command("replay", "Replay a capture as if the host had moved as a scenario says.")
        {
            input, scenario, output, hostOutput, taken, translations, report, timeline, explain, json, quiet,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            string path = parsed.GetRequiredValue(input);
            var options = new ReplayOptions
            {
                Input = path,
                Scenario = parsed.GetValue(scenario) ?? (RecordingRun.IsRecording(path) ? string.Empty : throw WithoutScenario(path)),
                Output = parsed.GetValue(output) ?? throw new UsageException(
                    "A replay needs --output, the capture to write; - is standard output."),
                HostOutput = parsed.GetValue(hostOutput),
                TakenOutside = parsed.GetValue(taken) == "outside",
                Translations = parsed.GetValue(translations),
                Report = parsed.GetValue(report),
                Timeline = parsed.GetValue(timeline),
                Explain = parsed.GetValue(explain),
                Json = parsed.GetValue(json),
                Quiet = parsed.GetValue(quiet),
                MostFlows = parsed.GetValue(report) is null && parsed.GetValue(timeline) is null && !parsed.GetValue(explain) && !parsed.GetValue(json)
                    ? ReportTableOptions.Default.Rows : ReplayRun.MostReportedFlows,        // a table shows no more
            };
            CheckRecording(options);
            return replay(WithFreeOutput(options), streams, cancellationToken);
        });
        return command;
    }

    private static Option<string?> File(string name, string helpName, string description) =>
        new(name) { HelpName = helpName, Description = description };

    // What is not there may be a recording whose name was mistyped.
    private static UsageException WithoutScenario(string path) => path != ReplayOptions.StandardStream && !Path.Exists(path)
        ? new UsageException($"There is no file '{Path.GetFullPath(path)}'.")
        : new UsageException($"A replay needs --scenario; 'ondemand inspect {path} --write-scenario S.yaml' writes one to start from.");

    // A recording has both sides in it and its own configuration; it is made anew as it is or not at all.
    private static void CheckRecording(ReplayOptions options)
    {
        if (options.Scenario.Length > 0)
        {
            return;
        }

        string? useless = options.HostOutput is not null ? "--host-output" : options.Translations is not null ? "--translations"
            : options.TakenOutside ? "--taken outside" : null;
        if (useless is not null)
        {
            throw new UsageException($"{options.Input} is a recording and shows both sides already: leave {useless} out, or name a --scenario to replay it as a capture.");
        }
    }

    private static ReplayOptions WithFreeOutput(ReplayOptions options)
    {
        (string Name, string? Path, bool IsWritten)[] files =
        [
            ("IN", options.Input, false), ("--scenario", options.Scenario, false), ("--output", options.Output, true),
            ("--host-output", options.HostOutput, true), ("--translations", options.Translations, true), ("--report", options.Report, true),
            ("--timeline", options.Timeline, true),
        ];
        NamedFiles.Check(files);
        string? user = files.FirstOrDefault(file => file is { IsWritten: true, Path: ReplayOptions.StandardStream }).Name;
        return user is not null && options.Json
            ? throw new UsageException($"{user} and --json both write to standard output; give {user} a file name.")
            : user is not null ? options with { Quiet = true } : options;
    }
}
