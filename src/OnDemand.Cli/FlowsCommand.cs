using System.CommandLine;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary><c>ondemand flows</c>: the flows of a running dataplane.</summary>
internal static class FlowsCommand
{
    private const int DefaultLimit = 1000;
    private const int MostFlows = 1 << 28;

    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var type = new Option<string?>("--type")
        {
            Description = "Only flows of this address type; 'untyped' for those without.",
            HelpName = "T",
        };
        var protocol = new Option<string?>("--protocol")
        {
            Description = "Only flows of this protocol, by name or number.",
            HelpName = "P",
        };
        var limit = new Option<int>("--limit")
        {
            Description = $"List at most so many; {DefaultLimit} unless given.",
            HelpName = "N",
            DefaultValueFactory = _ => DefaultLimit,
        };
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("flows", "List the flows of a running dataplane.") { type, protocol, limit, control, json };
        command.SetAction((parsed, cancellationToken) =>
        {
            int most = parsed.GetValue(limit);
            if (most is < 1 or > MostFlows)
            {
                throw new UsageException($"Found --limit {most}, expected a number from 1 to {MostFlows}.");
            }

            return ControlAccess.ShowAsync(
                streams, parsed.GetValue(control), parsed.GetValue(json),
                client => client.FlowsAsync(TypeOf(parsed.GetValue(type)), ProtocolOf(parsed.GetValue(protocol)), most, cancellationToken),
                context => context.FlowsResource, ControlTables.Write);
        });
        return command;
    }

    private static AddressType? TypeOf(string? word)
    {
        if (word is null)
        {
            return null;
        }

        return AddressTypes.TryParse(word, out AddressType type) || word == AddressTypes.ToName(AddressType.None)
            ? type
            : throw Unknown("--type", word, [.. ScenarioFields.TypeNames, AddressTypes.ToName(AddressType.None)]);
    }

    private static string? ProtocolOf(string? word) =>
        word is null || ScenarioText.TryProtocol(word, out _) ? word : throw Unknown("--protocol", word, [.. ScenarioText.Protocols]);

    private static UsageException Unknown(string option, string word, string[] known)
    {
        string near = NearestName.Of(word, known) is { } name ? $"'{name}', the nearest of" : "one of";
        return new UsageException($"Found {option} {ScalarNode.Quote(word)}, expected {near} {string.Join(", ", known)}.");
    }
}
