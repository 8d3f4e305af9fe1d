using System.CommandLine;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;

namespace OnDemand.Cli;

/// <summary><c>ondemand bindings</c>: what sockets have asked for and got.</summary>
internal static class BindingsCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        Option<string?> programs = ControlAccess.ProgramsOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("bindings", "List the addresses that your sockets have got; for root, everybody's.") { programs, json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using ControlClient client = ControlAccess.OpenPrograms(parsed.GetValue(programs));
            BindingsResource bindings = await client.BindingsAsync(cancellationToken).ConfigureAwait(false);
            return await ControlAccess.WriteAsync(
                streams, parsed.GetValue(json), bindings, context => context.BindingsResource, BindingTables.Write).ConfigureAwait(false);
        });
        return command;
    }
}
