using System.CommandLine;
using OnDemand.Linux.Control;

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
        command.SetAction((parsed, cancellationToken) =>
            RunAsync(streams, parsed.GetValue(control), parsed.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(CommandStreams streams, string? control, bool json, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.Open(control);
        PrefixesResource resource = await client.PrefixesAsync(cancellationToken).ConfigureAwait(false);
        if (json)
        {
            await ControlAccess.WriteJsonAsync(streams, resource, context => context.PrefixesResource).ConfigureAwait(false);
            return ExitStatus.Done;
        }

        using TextWriter text = streams.OpenText();
        ControlTables.Write(text, resource.Prefixes);
        return ExitStatus.Done;
    }
}
