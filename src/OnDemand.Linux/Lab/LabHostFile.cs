using System.Globalization;
using System.Text.Json;
using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Lab;

/// <summary>
/// Writes the configuration of the host's dataplane: the scenario up to its first attachment, and what is this host's own.
/// </summary>
internal static class LabHostFile
{
    /// <summary>The TAP of a lab's host.</summary>
    public const string Tap = "od0";

    /// <summary>Writes it.</summary>
    /// <param name="directory">The lab's place.</param>
    /// <param name="scenario">The scenario.</param>
    public static void Write(LabDirectory directory, LabScenario scenario)
    {
        // Later moves come over the control socket, together with those of the network.
        AttachEvent? first = scenario.Scenario.Network.OfType<AttachEvent>().FirstOrDefault();
        Scenario beginning = scenario.Scenario with
        {
            Network = first is null ? [] : [first with { At = ScenarioTime.Start }],
        };
        using var file = new StreamWriter(directory.HostFile) { NewLine = "\n" };
        ScenarioWriter.Write(file, beginning, new ScenarioRemarks { Head = ["Written by 'ondemand lab' for 'ondemand run'."] });
        file.WriteLine("host:");
        file.WriteLine($"  tap: {Tap}");
        file.WriteLine($"  control: {directory.Control}");
        file.WriteLine($"  state: {directory.DataplaneState}");
        file.WriteLine($"  uplinks: [{string.Join(", ", LabNodes.Routers)}]");
        file.WriteLine($"  ring: {(scenario.UseRing ? "on" : "off")}");
        file.WriteLine($"  coalesce: {(scenario.Coalesce ? "on" : "off")}");
        file.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  queues: {scenario.Queues}"));
        if (scenario.Provider is { } provider)
        {
            // JSON is YAML, and quotes whatever a command may hold.
            IEnumerable<string> command = provider.Command.Select(word => $"\"{JsonEncodedText.Encode(word)}\"");
            file.WriteLine("  provider:");
            file.WriteLine($"    command: [{string.Join(", ", command)}]");
            file.WriteLine($"    timeout: {ScenarioText.Format(provider.Timeout)}");
            file.WriteLine(
                $"    retry: {{first: {ScenarioText.Format(provider.Retry.First)}, most: {ScenarioText.Format(provider.Retry.Most)}}}");
            file.WriteLine($"    moves: {(provider.MayMove ? "true" : "false")}");
        }
    }
}
