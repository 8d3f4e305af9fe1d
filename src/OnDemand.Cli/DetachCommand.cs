using System.CommandLine;

namespace OnDemand.Cli;

/// <summary><c>ondemand detach</c>: the host leaves its network without another.</summary>
internal static class DetachCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("detach", "Detach the host from its network.") { control, json };
        command.SetAction((parsed, cancellationToken) => AttachCommand.MoveAsync(
            streams, parsed.GetValue(control), parsed.GetValue(json), client => client.DetachAsync(cancellationToken)));
        return command;
    }
}
