using System.CommandLine;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary><c>ondemand counters</c>: what a running dataplane has counted.</summary>
internal static class CountersCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var prometheus = new Option<bool>("--prometheus") { Description = "Write all metrics in Prometheus's text format." };
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("counters", "Say what a running dataplane has counted: frames, reasons, types.")
        {
            prometheus, control, json,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            if (parsed.GetValue(prometheus) && parsed.GetValue(json))
            {
                throw new UsageException("The counters are either --json or --prometheus, not both.");
            }

            return RunAsync(streams, parsed.GetValue(control), parsed.GetValue(json), parsed.GetValue(prometheus), cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        CommandStreams streams, string? control, bool json, bool prometheus, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.Open(control);
        if (prometheus)
        {
            string metrics = await client.MetricsAsync(cancellationToken).ConfigureAwait(false);
            using TextWriter output = streams.OpenText();
            await output.WriteAsync(metrics).ConfigureAwait(false);
            return ExitStatus.Done;
        }

        CountersResource counters = await client.CountersAsync(cancellationToken).ConfigureAwait(false);
        if (json)
        {
            await ControlAccess.WriteJsonAsync(streams, counters, context => context.CountersResource).ConfigureAwait(false);
            return ExitStatus.Done;
        }

        using TextWriter text = streams.OpenText();
        ControlTables.Write(text, counters);
        return ExitStatus.Done;
    }
}
