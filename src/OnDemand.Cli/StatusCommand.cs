using System.CommandLine;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary><c>ondemand status</c>: how a running dataplane is.</summary>
internal static class StatusCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("status", "Say where the host of a running dataplane is attached, and what it has.") { control, json };
        command.SetAction((parsed, cancellationToken) =>
            RunAsync(streams, parsed.GetValue(control), parsed.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(CommandStreams streams, string? control, bool json, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.Open(control);
        StatusResource resource = await client.StatusAsync(cancellationToken).ConfigureAwait(false);
        if (json)
        {
            await ControlAccess.WriteJsonAsync(streams, resource, context => context.StatusResource).ConfigureAwait(false);
            return ExitStatus.Done;
        }

        using TextWriter text = streams.OpenText();
        ControlTables.Write(text, resource);
        return ExitStatus.Done;
    }
}
