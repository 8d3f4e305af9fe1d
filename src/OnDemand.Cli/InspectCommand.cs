using System.CommandLine;
using OnDemand.Captures.Inspection;
using OnDemand.Captures.Replay;

namespace OnDemand.Cli;

/// <summary><c>ondemand inspect</c>: what is in a capture, and a scenario to start from.</summary>
internal static class InspectCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var input = new Argument<string>("IN") { Description = "The capture (pcap or pcapng); - for standard input." };
        var scenario = new Option<string?>("--write-scenario")
        {
            Description = "Write a scenario to start from, for 'ondemand replay'; - for standard output instead of the table.",
            HelpName = "S.yaml",
        };
        var json = new Option<bool>("--json") { Description = "Write what was found as JSON instead of a table." };
        var command = new Command("inspect", "Say what is in a capture: hosts, flows and who opened them, likely internal addresses.")
        {
            input, scenario, json,
        };
        command.SetAction((parsed, cancellationToken) => RunAsync(
            parsed.GetRequiredValue(input), parsed.GetValue(scenario), parsed.GetValue(json), streams, cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(
        string path, string? scenarioPath, bool json, CommandStreams streams, CancellationToken cancellationToken)
    {
        bool scenarioToOutput = scenarioPath == ReplayOptions.StandardStream;
        if (scenarioToOutput && json)
        {
            throw new UsageException("Standard output can take the scenario or the JSON, not both; give --write-scenario a file name.");
        }

        NamedFiles.Check([("IN", path, false), ("--write-scenario", scenarioPath, true)]);
        Stream input = streams.OpenInput(path);
        Inspector inspector;
        await using (input.ConfigureAwait(false))
        {
            inspector = await Inspector.InspectAsync(path, input, InspectionLimits.Default, cancellationToken).ConfigureAwait(false);
        }

        if (json)
        {
            InspectionJson.Write(streams.Output, inspector.Report);
        }
        else if (!scenarioToOutput)
        {
            using TextWriter text = streams.OpenText();
            InspectionTable.Write(text, inspector.Report);
        }

        int status = ExitStatus.Done;
        if (scenarioPath is not null && !TryWriteScenario(scenarioPath, inspector, streams))
        {
            string sentence = $"{path} has no flow between two IPv6 addresses beyond the link, so there is no scenario to write.";
            await streams.Error.WriteAsync($"ondemand: {sentence}\n").ConfigureAwait(false);
            status = ExitStatus.Usage;
        }

        if (inspector.Report.Damage is { } damage)
        {
            await streams.Error.WriteAsync($"ondemand: {path}: {damage}\n").ConfigureAwait(false);
            status = ExitStatus.DamagedInput;
        }

        return status;
    }

    private static bool TryWriteScenario(string path, Inspector inspector, CommandStreams streams)
    {
        if (inspector.Scenario is not { } scenario)
        {
            return false;
        }

        using TextWriter output = streams.CreateText(path);
        scenario.Write(output);
        return true;
    }
}
