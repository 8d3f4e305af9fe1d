using System.CommandLine;
using System.Text.Json;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary><c>ondemand attach</c>: moves the host of a running dataplane.</summary>
internal static class AttachCommand
{
    private const int MostPrefixes = 4096;

    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var name = new Argument<string?>("NAME")
        {
            Description = "The point of attachment; may be left out if --file names it.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string[]> prefix = PrefixOption();
        var window = new Option<string?>("--window")
        {
            Description = "How long prefixes that are replaced gracefully stay, as in 10s; else what the configuration says, or 30s.",
            HelpName = "D",
        };
        var file = new Option<string?>("--file")
        {
            Description = "The move as one event of a scenario (attach, prefixes, window) instead of --prefix and --window; - for stdin.",
            HelpName = "MOVE.yaml",
        };
        Option<string?> control = ControlAccess.PathOption();
        Option<bool> json = ControlAccess.JsonOption();
        var command = new Command("attach", "Attach the host to a network: the first time, or by a move.")
        {
            name, prefix, window, file, control, json,
        };
        command.SetAction((parsed, cancellationToken) =>
        {
            string? path = parsed.GetValue(file);
            string[] prefixes = parsed.GetValue(prefix) ?? [];
            if (path is not null && (prefixes.Length > 0 || parsed.GetValue(window) is not null))
            {
                throw new UsageException("The move is either in --file or in --prefix and --window, not in both.");
            }

            AttachBody body = path is null
                ? FromArguments(parsed.GetValue(name), prefixes, parsed.GetValue(window))
                : FromFile(path, parsed.GetValue(name), streams);
            return MoveAsync(
                streams, parsed.GetValue(control), parsed.GetValue(json), client => client.AttachAsync(body, cancellationToken));
        });
        return command;
    }

    /// <summary>Makes a move and writes what it led to.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <param name="control">What <c>--control</c> says.</param>
    /// <param name="json">Whether to write JSON.</param>
    /// <param name="move">The move.</param>
    /// <returns>The exit status.</returns>
    public static Task<int> MoveAsync(CommandStreams streams, string? control, bool json, Func<ControlClient, Task<MoveResource>> move) =>
        ControlAccess.ShowAsync(streams, control, json, move, context => context.MoveResource, ControlTables.Write);

    /// <summary>The option for what the network gives.</summary>
    /// <returns>The option.</returns>
    public static Option<string[]> PrefixOption() => new("--prefix")
    {
        Description = "A prefix that the network gives, with its type and lifetimes; may be given several times.",
        HelpName = "P[,type=T][,preferred=1h][,valid=2h][,home=true]",
        DefaultValueFactory = _ => [],
    };

    /// <summary>Checks a move that was told on the command line.</summary>
    /// <param name="name">The point of attachment.</param>
    /// <param name="prefixes">What <see cref="PrefixOption"/> says.</param>
    /// <param name="window">How long prefixes that are replaced gracefully stay; null for what the configuration says.</param>
    /// <param name="scenario">The dataplane's scenario, if it is known: its internal addresses and its room are checked against too.</param>
    /// <returns>The move as it is asked for, and as it was understood.</returns>
    /// <exception cref="UsageException">It is wrong.</exception>
    public static (AttachBody Body, AttachEvent Move) Read(string name, string[] prefixes, string? window, Scenario? scenario = null)
    {
        int most = scenario?.BuildOptions().MaximumPrefixes ?? MostPrefixes;
        var body = new AttachBody(name, [.. prefixes.Select(ReadPrefix)], window);
        byte[] octets = JsonSerializer.SerializeToUtf8Bytes(body, ControlJson.Default.AttachBody);
        return (body, ControlAccess.Check(octets, (reader, node) => reader.ReadAttach(node, most), scenario?.Internal));
    }

    private static AttachBody FromArguments(string? name, string[] prefixes, string? window) => Read(
        name ?? throw new UsageException("An attachment needs the name of the point of attachment, as in 'ondemand attach ar2'."),
        prefixes,
        window).Body;

    private static AttachBody FromFile(string path, string? name, CommandStreams streams)
    {
        using var content = new MemoryStream();
        using (Stream input = streams.OpenInput(path))
        {
            byte[] octets = new byte[ScenarioTree.LargestFile + 1];   // one more than allowed, so that too long is seen
            content.Write(octets, 0, input.ReadAtLeast(octets, octets.Length, throwOnEndOfStream: false));
        }

        AttachEvent move = new MoveReader(path == ReplayOptions.StandardStream ? "standard input" : path, [])
            .ReadFile(content.GetBuffer().AsSpan(0, (int)content.Length), name);
        return new AttachBody(
            move.Name,
            [
                .. move.Prefixes.Select(one => new PrefixGift(
                    one.Prefix.ToString(), AddressTypes.ToName(one.Type), ScenarioText.Format(one.PreferredLifetime),
                    ScenarioText.Format(one.ValidLifetime), one.Home)),
            ],
            move.Window is { } window ? ScenarioText.Format(window) : null);
    }

    // 2001:db8:a2:1::/64,type=nonpersistent,preferred=30m,valid=1h
    private static PrefixGift ReadPrefix(string text)
    {
        string[] parts = text.Split(',');
        var gift = new PrefixGift(parts[0], null, null, null, null);
        HashSet<string> seen = [];
        foreach (string part in parts.Skip(1))
        {
            string[] pair = part.Split('=', 2);
            if (pair.Length != 2 || pair[1].Length == 0)
            {
                throw Wrong(part, "a word and its value, as in type=fixed");
            }

            if (!seen.Add(pair[0]))
            {
                throw Wrong(part, "each word once");
            }

            gift = pair[0] switch
            {
                "type" => gift with { Type = pair[1] },
                "preferred" => gift with { Preferred = pair[1] },
                "valid" => gift with { Valid = pair[1] },
                "home" when bool.TryParse(pair[1], out bool home) => gift with { Home = home },
                "home" => throw Wrong(part, "home=true or home=false"),
                _ => throw Wrong(part, "type, preferred, valid or home"),
            };
        }

        return gift;

        UsageException Wrong(string part, string expected) =>
            new($"Found {ScalarNode.Quote(part)} in --prefix {ScalarNode.Quote(text)}, expected {expected}.");
    }
}
