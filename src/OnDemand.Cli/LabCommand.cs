using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using OnDemand.Linux.Lab;

namespace OnDemand.Cli;

/// <summary><c>ondemand lab</c>: a mobile host, two access routers, an anchor and a correspondent in network namespaces.</summary>
internal static partial class LabCommand
{
    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams) => new(
        "lab", "A network in a box: a mobile host that really moves between two access routers, and a correspondent.")
    {
        Up(streams), Down(streams), Show(streams), Shell(streams), Execute(streams), Move(streams), Run(streams),
    };

    private static Command Up(CommandStreams streams)
    {
        Option<string> name = Name();
        Option<string?> scenario = Scenario();
        Option<bool> plain = Plain();
        Option<string?> record = Record();
        var command = new Command("up", "Build a lab, start its dataplane and attach its host.") { name, scenario, plain, record };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var options = new LabOptions
            {
                Name = parsed.GetRequiredValue(name),
                ScenarioFile = parsed.GetValue(scenario),
                Plain = parsed.GetValue(plain),
                Record = parsed.GetValue(record),
            };
            CheckRecord(options);
            await LabPrivileges.EnterAsync(options.Name, create: true, cancellationToken).ConfigureAwait(false);
            Lab lab = await Lab.UpAsync(options, cancellationToken).ConfigureAwait(false);
            WriteLab(streams, lab, json: false);
            return ExitStatus.Done;
        });
        return command;
    }

    private static void CheckRecord(LabOptions options)
    {
        NamedFiles.Check([("the scenario", options.ScenarioFile, false), ("--record", options.Record, true)]);
        if (options is { Plain: true, Record: not null })
        {
            throw new UsageException("A lab that is --plain has no dataplane that could --record; leave one of them out.");
        }
    }

    private static Command Down(CommandStreams streams)
    {
        Option<string> name = Name();
        var command = new Command("down", "Remove a lab with everything that runs in it, also what a killed command left.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            string lab = parsed.GetRequiredValue(name);
            await LabPrivileges.EnterAsync(lab, create: false, cancellationToken).ConfigureAwait(false);
            bool any = await Lab.DownAsync(lab, cancellationToken).ConfigureAwait(false);
            using TextWriter text = streams.OpenText();
            await text.WriteLineAsync(any ? $"The lab '{lab}' is gone." : $"There was no lab '{lab}'.").ConfigureAwait(false);
            return ExitStatus.Done;
        });
        return command;
    }

    private static Command Show(CommandStreams streams)
    {
        Option<string> name = Name();
        var json = new Option<bool>("--json") { Description = "Write what the network knows as JSON instead of a drawing." };
        var command = new Command("show", "Draw a lab: where the host is and where its prefixes are routed.") { name, json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            string called = parsed.GetRequiredValue(name);
            await LabPrivileges.EnterAsync(called, create: false, cancellationToken).ConfigureAwait(false);
            Lab lab = Lab.Open(called);
            WriteLab(streams, lab, parsed.GetValue(json));
            return ExitStatus.Done;
        });
        return command;
    }

    private static Command Shell(CommandStreams streams)
    {
        Option<string> name = Name();
        Argument<string> node = Node();
        var command = new Command("shell", "Open a shell on a node.") { name, node };
        command.SetAction((parsed, cancellationToken) => BecomeAsync(
            parsed.GetRequiredValue(name), parsed.GetRequiredValue(node), [Environment.GetEnvironmentVariable("SHELL") ?? "/bin/sh"],
            streams, cancellationToken));
        return command;
    }

    private static Command Execute(CommandStreams streams)
    {
        Option<string> name = Name();
        Argument<string> node = Node();
        var program = new Argument<string[]>("COMMAND") { Description = "The program and its arguments.", Arity = ArgumentArity.OneOrMore };
        var command = new Command("exec", "Run a program on a node: ondemand lab exec host -- ping 2001:db8:c::1") { name, node, program };
        command.SetAction((parsed, cancellationToken) => BecomeAsync(
            parsed.GetRequiredValue(name), parsed.GetRequiredValue(node), parsed.GetRequiredValue(program), streams, cancellationToken));
        return command;
    }

    // This process becomes the program: signals, terminal and exit status are the program's own.
    private static async Task<int> BecomeAsync(
        string name, string node, string[] program, CommandStreams streams, CancellationToken cancellationToken)
    {
        if (await RefuseProgramAsync(program[0], streams).ConfigureAwait(false) is { } status)
        {
            return status;
        }

        await LabPrivileges.EnterAsync(name, create: false, cancellationToken).ConfigureAwait(false);
        Lab lab = Lab.Open(name);
        LabPrivileges.Become(
            [CommandRunner.Find("ip"), "netns", "exec", LabNodes.Namespace(name, node), .. program],
            lab.Directory.Variables);
        return ExitStatus.Internal;
    }

    // Nodes have this host's files. ip(8), which starts the program, would have a status of its own for this.
    private static async Task<int?> RefuseProgramAsync(string program, CommandStreams streams)
    {
        if (CommandRunner.WhyNotRun(program, out bool isThere) is not { } reason)
        {
            return null;
        }

        await streams.Error.WriteLineAsync($"ondemand: The command cannot be run: {reason}.").ConfigureAwait(false);
        return isThere ? ExitStatus.CannotRun : ExitStatus.NotFound;
    }

    private static void WriteLab(CommandStreams streams, Lab lab, bool json)
    {
        if (json)
        {
            streams.Output.Write(JsonSerializer.SerializeToUtf8Bytes(lab.State, LabJson.Default.LabState));
            streams.Output.Write("\n"u8);
            return;
        }

        string dataplane = lab.State switch
        {
            { Plain: true } => "ordinary addresses, no dataplane",
            { Dataplane: { IsAlive: true } process } =>
                string.Create(CultureInfo.InvariantCulture, $"dataplane running, process {process.Id}"),
            _ => $"no dataplane is running, see {lab.Directory.Log}",
        };
        using TextWriter text = streams.OpenText();
        LabDrawing.Write(text, lab.State, dataplane, DateTimeOffset.UtcNow);
    }

    private static Option<string> Name()
    {
        var name = new Option<string>("--name")
        {
            Description = "The lab's name: several labs can be there at once.",
            HelpName = "LAB",
            DefaultValueFactory = _ => LabOptions.UsualName,
        };
        name.Validators.Add(result => Refuse(result, result.Tokens, LabNodes.WhyNoName));
        return name;
    }

    // What nobody could have meant is wrong usage, and nothing of this host.
    private static void Refuse(SymbolResult result, IReadOnlyList<Token> tokens, Func<string, string?> why)
    {
        if (tokens is [.., { } token] && why(token.Value) is { } reason)
        {
            result.AddError(reason);
        }
    }

    private static Option<string?> Scenario() => new("--scenario")
    {
        Description = "Take prefixes and policy from a scenario instead of the usual ones.",
        HelpName = "S.yaml",
    };

    private static Option<bool> Plain() => new("--plain")
    {
        Description = "Give the host ordinary addresses and no dataplane, to compare with.",
    };

    private static Option<string?> Record() => new("--record")
    {
        Description = "Record what the dataplane sees on both sides.",
        HelpName = "REC.pcapng",
    };

    private static Argument<string> Node()
    {
        var node = new Argument<string>("NODE") { Description = $"One of {string.Join(", ", LabNodes.All)}." };
        node.CompletionSources.Add([.. LabNodes.All]);
        node.Validators.Add(result => Refuse(result, result.Tokens, LabNodes.WhyNoNode));
        return node;
    }
}
