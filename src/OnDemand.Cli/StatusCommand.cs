using System.CommandLine;

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
        command.SetAction((parsed, cancellationToken) => ControlAccess.ShowAsync(
            streams, parsed.GetValue(control), parsed.GetValue(json), client => client.StatusAsync(cancellationToken),
            context => context.StatusResource, ControlTables.Write));
        return command;
    }
}
