using System.CommandLine;
using System.Text.Json;
using OnDemand.Linux;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;

namespace OnDemand.Cli;

/// <summary><c>ondemand watch</c>: what becomes of sockets' addresses, a line a notice.</summary>
internal static class WatchCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        Option<string?> programs = ControlAccess.ProgramsOption();
        var json = new Option<bool>("--json") { Description = "Write JSON, an object a line." };
        var command = new Command("watch", "Tell what becomes of your sockets' addresses, until Ctrl-C; for root, of everybody's.")
        {
            programs, json,
        };
        command.SetAction((parsed, cancellationToken) =>
            WatchAsync(streams, parsed.GetValue(programs), parsed.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> WatchAsync(CommandStreams streams, string? programs, bool json, CancellationToken cancellationToken)
    {
        using ControlClient client = ControlAccess.OpenPrograms(programs);
        using TextWriter text = streams.OpenText();
        try
        {
            await foreach (NoticeResource notice in client.WatchAsync(cancellationToken).ConfigureAwait(false))
            {
                string line = json ? JsonSerializer.Serialize(notice, JsonStyles.Compact.NoticeResource) : BindingTables.Line(notice);
                await text.WriteLineAsync(line).ConfigureAwait(false);
                await text.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitStatus.Done;    // Ctrl-C is the usual way out
        }

        throw new NoAnswerException("The dataplane has ended.");
    }
}
