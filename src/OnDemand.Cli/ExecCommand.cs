using System.CommandLine;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux;
using OnDemand.Linux.Control;
using OnDemand.Linux.Exec;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Tap;

namespace OnDemand.Cli;

/// <summary><c>ondemand exec</c>: a command whose sockets, and those of everything it starts, have a type.</summary>
internal static class ExecCommand
{
    private const string TapVariable = "ONDEMAND_TAP";

    // A dataplane that is busy is not waited for.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Makes the command.</summary>
    /// <param name="streams">Standard input, output and error.</param>
    /// <returns>The command.</returns>
    public static Command Create(CommandStreams streams)
    {
        var type = new Option<string>("--type")
        {
            HelpName = "TYPE",
            Required = true,
            Description = $"One of {string.Join(", ", ScenarioFields.TypeNames)}.",
        };
        type.CompletionSources.Add([.. ScenarioFields.TypeNames]);
        var onNet = new Option<bool>("--on-net") { Description = "An address of the network that the host is attached to at the time." };
        var tap = new Option<string?>("--tap")
        {
            HelpName = "TAP",
            Description = $"The dataplane's TAP; else what {TapVariable} says, else that of the only dataplane on this host.",
        };
        Option<string?> programs = ControlAccess.ProgramsOption();
        var program = new Argument<string[]>("COMMAND") { Description = "The program and its arguments.", Arity = ArgumentArity.OneOrMore };
        var command = new Command(
            "exec",
            "Run a command whose sockets have a type: ondemand exec --type session-lasting -- ssh host. It runs in a cgroup of its own, so this "
            + "holds for its children and for static programs; a socket's own setsc() comes first. The exit status is the command's, 128 + n if "
            + "signal n ended it, 127 if there is no such program, 126 if it cannot be run; 4, and nothing is run, if the dataplane that is "
            + "running says that the user has no right to the type, or if no cgroup can be made here.")
        {
            type, onNet, tap, programs, program,
        };

        // Not asynchronous: that would end this process some time after SIGTERM, whatever the command does.
        command.SetAction(parsed =>
        {
            string dataplane = TapOf(parsed.GetValue(tap));
            AddressType wanted = TypeOf(parsed.GetRequiredValue(type));
            AskForRight(ControlAccess.ProgramsOf(parsed.GetValue(programs), dataplane), wanted, streams);
            return Run(dataplane, wanted, parsed.GetValue(onNet), parsed.GetRequiredValue(program), streams);
        });
        return command;
    }

    // The dataplane decides by each socket, whenever it runs; this only spares the user a command that would run without its type.
    private static void AskForRight(string programs, AddressType type, CommandStreams streams)
    {
        using var client = new ControlClient(programs);
        using var patience = new CancellationTokenSource(Patience);
        RightResource right;
        try
        {
            right = client.RightToAsync(type, patience.Token).GetAwaiter().GetResult();
        }
        catch (Exception silent) when (silent is NoAnswerException or ControlException or OperationCanceledException)
        {
            return;
        }

        if (right.Reason is { } reason)
        {
            throw new HostException(reason);
        }

        if (right.Programs is { } few)
        {
            streams.Error.WriteLine(
                $"ondemand: Only {string.Join(", ", few)} may have {AddressTypes.ToName(type)} addresses on this host; whatever else the command "
                + "runs goes by policy.");
        }
    }

    private static int Run(string tap, AddressType type, bool onNet, string[] program, CommandStreams streams)
    {
        CommandCgroup cgroup = CommandCgroup.Enter(tap, type, onNet);
        try
        {
            return ChildCommand.Run(program, cgroup.Leave);
        }
        catch (LinuxException problem)
        {
            cgroup.Leave();
            streams.Error.WriteLine($"ondemand: The command cannot be run: {problem.Message}.");
            return problem.Error == Errno.Enoent ? ExitStatus.NotFound : ExitStatus.CannotRun;
        }
        finally
        {
            // What the command leaves behind lives on, and its cgroup with it.
            _ = cgroup.TryRemove();
        }
    }

    private static AddressType TypeOf(string word) => AddressTypes.TryParse(word, out AddressType type) ? type : throw new UsageException(
        $"There is no type {ScalarNode.Quote(word)}; {(NearestName.Of(word, ScenarioFields.TypeNames) is { } near ? $"'{near}' is near, of " : "there are ")}"
        + $"{string.Join(", ", ScenarioFields.TypeNames)}.");

    // No dataplane need run: the command's sockets have their type as soon as one does.
    private static string TapOf(string? option)
    {
        string? name = option ?? (Environment.GetEnvironmentVariable(TapVariable) is { Length: > 0 } set ? set : null);
        if (name is null)
        {
            return ControlSocket.FindTaps() switch
            {
                [] => Linux.Config.HostSettings.DefaultTap,
                [string only] => only,
                var several => throw new UsageException(
                    $"Several dataplanes run on this host ({string.Join(", ", several)}); say which one with --tap."),
            };
        }

        return InterfaceRequest.IsValidName(name) ? name : throw new UsageException($"{ScalarNode.Quote(name)} is no name of an interface.");
    }
}
