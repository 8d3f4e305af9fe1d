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

            string? path = parsed.GetValue(control);
            return parsed.GetValue(prometheus)
                ? WriteMetricsAsync(streams, path, cancellationToken)
                : ControlAccess.ShowAsync(
                    streams, path, parsed.GetValue(json), client => client.CountersAsync(cancellationToken),
                    context => context.CountersResource, ControlTables.Write);
        });
        return command;
    }

    private static async Task<int> WriteMetricsAsync(CommandStreams streams, string? control, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.Open(control);
        string metrics = await client.MetricsAsync(cancellationToken).ConfigureAwait(false);
        using TextWriter text = streams.OpenText();
        await text.WriteAsync(metrics).ConfigureAwait(false);
        return ExitStatus.Done;
    }
}
