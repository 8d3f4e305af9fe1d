using System.CommandLine;
using System.Text.Json;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary><c>ondemand withdraw</c>: the network takes a prefix back.</summary>
internal static class WithdrawCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var prefix = new Argument<string>("PREFIX") { Description = "The prefix, as 'ondemand prefixes' lists it." };
        var window = new Option<string?>("--window")
        {
            Description = "How long it stays valid, as in 10s; else it ends at once.",
            HelpName = "D",
        };
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("withdraw", "Take a prefix away from the host.") { prefix, window, control, json };
        command.SetAction((parsed, cancellationToken) =>
        {
            var body = new WithdrawBody(parsed.GetRequiredValue(prefix), parsed.GetValue(window));
            byte[] octets = JsonSerializer.SerializeToUtf8Bytes(body, ControlJson.Default.WithdrawBody);
            _ = ControlAccess.Check(octets, (reader, node) => reader.ReadWithdraw(node));
            return AttachCommand.MoveAsync(
                streams, parsed.GetValue(control), parsed.GetValue(json), client => client.WithdrawAsync(body, cancellationToken));
        });
        return command;
    }
}
