using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Diagnostics.CodeAnalysis;
using OnDemand.Captures.Replay;
using OnDemand.Captures.Scenarios;
using OnDemand.Linux;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;

namespace OnDemand.Cli;

/// <summary>Does a replay and gives the exit status; what it throws becomes a sentence.</summary>
/// <param name="options">What to read and write.</param>
/// <param name="streams">Standard input, output and error.</param>
/// <param name="cancellationToken">Stops the replay.</param>
/// <returns>The exit status.</returns>
internal delegate Task<int> ReplayRunner(ReplayOptions options, CommandStreams streams, CancellationToken cancellationToken);

/// <summary>
/// The <c>ondemand</c> command from its arguments to its exit status. Whatever goes wrong, the user gets one sentence on standard error
/// and never a stack trace.
/// </summary>
internal static class CommandLine
{
    // After SIGINT or SIGTERM: routes and namespaces are taken back before the process ends.
    private static readonly TimeSpan CleanUpTime = TimeSpan.FromSeconds(20);

    private const string Mistake = "A mistake in this program, please report it";

    /// <summary>The program's version, as <c>--version</c> says it.</summary>
    public static string Version { get; } = typeof(CommandLine).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary>Runs the command.</summary>
    /// <param name="arguments">The arguments.</param>
    /// <param name="streams">Standard input, output and error.</param>
    /// <param name="replay">Does the replay; null leaves the command out.</param>
    /// <returns>The exit status, one of <see cref="ExitStatus"/>.</returns>
    public static async Task<int> RunAsync(string[] arguments, CommandStreams streams, ReplayRunner? replay)
    {
        try
        {
            return await ParseAndRunAsync(arguments, streams, replay).ConfigureAwait(false);
        }
        catch (Exception problem) when (TryExplain(problem, out string? sentence, out int status))
        {
            await streams.Error.WriteAsync($"ondemand: {sentence}\n").ConfigureAwait(false);
            return status;
        }
    }

    private static async Task<int> ParseAndRunAsync(string[] arguments, CommandStreams streams, ReplayRunner? replay)
    {
        // The one question that scripts ask in a loop is answered before any parser is made.
        if (arguments is ["--version"])
        {
            await streams.Output.WriteAsync(System.Text.Encoding.UTF8.GetBytes($"ondemand {Version}\n")).ConfigureAwait(false);
            return ExitStatus.Done;
        }

        RootCommand root = Create(streams, replay);
        ParseResult parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            throw new UsageException(Explain(parsed));
        }

        using TextWriter text = streams.OpenText();
        var invocation = new InvocationConfiguration
        {
            Output = text,
            Error = streams.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = CleanUpTime,
        };
        return await parsed.InvokeAsync(invocation).ConfigureAwait(false);
    }

    private static RootCommand Create(CommandStreams streams, ReplayRunner? replay)
    {
        var root = new RootCommand(
            "On-demand mobility (RFC 8653): typed source addresses for every program, live on this host, in a lab, or in a capture.");
        root.Subcommands.Add(InspectCommand.Create(streams));
        if (replay is not null)
        {
            root.Subcommands.Add(ReplayCommand.Create(streams, replay));
            root.Subcommands.Add(DemoCommand.Create(streams, replay));
            foreach (Command program in DemoCommand.CreatePrograms(streams))
            {
                root.Subcommands.Add(program);
            }
        }

        root.Subcommands.Add(RunCommand.Create(streams));
        root.Subcommands.Add(ExecCommand.Create(streams));
        root.Subcommands.Add(LabCommand.Create(streams));
        root.Subcommands.Add(AttachCommand.Create(streams));
        root.Subcommands.Add(WithdrawCommand.Create(streams));
        root.Subcommands.Add(DetachCommand.Create(streams));
        root.Subcommands.Add(StatusCommand.Create(streams));
        root.Subcommands.Add(FlowsCommand.Create(streams));
        root.Subcommands.Add(PrefixesCommand.Create(streams));
        root.Subcommands.Add(CountersCommand.Create(streams));
        root.Subcommands.Add(TopCommand.Create(streams));
        root.Subcommands.Add(SetscCommand.Create(streams));
        root.Subcommands.Add(BindingsCommand.Create(streams));
        root.Subcommands.Add(WatchCommand.Create(streams));

        HelpOption help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExitStatus((HelpAction)help.Action!);
        RefuseEmpty(root);
        return root;
    }

    // An empty name is a script's variable that nothing was put into. What a command is run with may be empty: that is a list.
    private static void RefuseEmpty(Command command)
    {
        foreach (Option option in command.Options.Where(option => option.ValueType == typeof(string)))
        {
            option.Validators.Add(result => Refuse(result, result.Tokens, option.Name));
        }

        foreach (Argument argument in command.Arguments.Where(argument => argument.ValueType == typeof(string)))
        {
            argument.Validators.Add(result => Refuse(result, result.Tokens, argument.Name));
        }

        foreach (Command below in command.Subcommands)
        {
            RefuseEmpty(below);
        }

        static void Refuse(SymbolResult result, IReadOnlyList<Token> tokens, string name)
        {
            if (tokens.Any(token => token.Value.Length == 0))
            {
                result.AddError($"What is given for {name} is empty");
            }
        }
    }

    // A word that nothing is called comes before everything else that is missing because of it.
    private static string Explain(ParseResult parsed)
    {
        Command command = parsed.CommandResult.Command;
        string name = NameOf(parsed.CommandResult);
        string more = $"'{name} --help' tells more.";
        if (parsed.UnmatchedTokens is [{ } unknown, ..])
        {
            IEnumerable<Symbol> known = unknown.StartsWith('-') ? command.Options : command.Subcommands;
            string? near = NearestName.Of(unknown, known.Select(symbol => symbol.Name));
            string hint = near is null ? string.Empty : $"'{near}' is near; ";
            return $"There is no '{unknown}' in '{name}'; {hint}{more}";
        }

        string wrong = OneSentence(parsed.Errors[0].Message).TrimEnd('.')
            .Replace($"expected type '{typeof(int)}'", "a whole number", StringComparison.Ordinal)
            .Replace($"expected type '{typeof(bool)}'", "true or false", StringComparison.Ordinal);
        return $"{wrong}; {more}";
    }

    // As it is called: 'ondemand lab exec' is another command than 'ondemand exec'.
    private static string NameOf(CommandResult result) => result.Parent is CommandResult above
        ? $"{NameOf(above)} {result.Command.Name}" : "ondemand";

    // Every exception is explained: an unknown one is this program's mistake, and even then a stack trace helps no user.
    private static bool TryExplain(Exception problem, [NotNullWhen(true)] out string? sentence, out int status)
    {
        (sentence, status) = problem switch
        {
            HostException => (problem.Message, ExitStatus.Host),
            NoAnswerException => (problem.Message, ExitStatus.NoAnswer),
            ControlException refused => (problem.Message, ControlAccess.StatusOf(refused)),
            LinuxException => (OneSentence(problem.Message), ExitStatus.Host),
            UsageException or ScenarioException => (problem.Message, ExitStatus.Usage),
            FileNotFoundException { FileName: { Length: > 0 } file } => ($"There is no file '{file}'.", ExitStatus.Usage),
            IOException { HResult: Errno.Enospc or Errno.Edquot or Errno.Efbig or Errno.Eio } =>
                ($"{OneSentence(problem.Message)} What was being written ends there.", ExitStatus.Host),
            IOException or UnauthorizedAccessException => (OneSentence(problem.Message), ExitStatus.Usage),
            OperationCanceledException => ("Stopped.", ExitStatus.Interrupted),
            OutOfMemoryException => ("There is not enough memory; smaller limits in the scenario may help.", ExitStatus.Internal),
            _ => ($"{Mistake}: {problem.GetType().Name}: {OneSentence(problem.Message)}", ExitStatus.Internal),
        };
        return true;
    }

    private static string OneSentence(string message)
    {
        string line = string.Join(
            ' ', message.Split(['\r', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        return line.EndsWith('.') ? line : line + ".";
    }
}
