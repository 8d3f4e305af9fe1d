using System.CommandLine;

namespace OnDemand.Cli;

/// <summary><c>ondemand prefixes</c>: what the network gave a running dataplane.</summary>
internal static class PrefixesCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("prefixes", "List the prefixes of a running dataplane, their lifetimes and windows.") { control, json };
        command.SetAction((parsed, cancellationToken) => ControlAccess.ShowAsync(
            streams, parsed.GetValue(control), parsed.GetValue(json), client => client.PrefixesAsync(cancellationToken),
            context => context.PrefixesResource, static (text, resource) => ControlTables.Write(text, resource.Prefixes)));
        return command;
    }
}
