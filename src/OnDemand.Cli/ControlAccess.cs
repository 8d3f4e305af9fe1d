using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;

namespace OnDemand.Cli;

/// <summary>What all commands to a running dataplane have in common.</summary>
internal static class ControlAccess
{
    private const string Variable = "ONDEMAND_CONTROL";
    private const string ProgramsVariable = "ONDEMAND_PROGRAMS";

    /// <summary>The option that names the control socket.</summary>
    /// <returns>The option.</returns>
    public static Option<string?> PathOption() => new("--control")
    {
        Description = $"The control socket of the dataplane; else what {Variable} says, else the one in {ControlSocket.DefaultDirectory}.",
        HelpName = "PATH",
    };

    /// <summary>The option that names the programs' socket.</summary>
    /// <returns>The option.</returns>
    public static Option<string?> ProgramsOption() => new("--programs")
    {
        Description =
            $"The programs' socket of the dataplane; else what {ProgramsVariable} says, else the one in {ControlSocket.DefaultDirectory}.",
        HelpName = "PATH",
    };

    /// <summary>The option for JSON.</summary>
    /// <returns>The option.</returns>
    public static Option<bool> JsonOption() => new("--json") { Description = "Write JSON instead of a table." };

    /// <summary>Makes a client for the socket that the user means.</summary>
    /// <param name="option">What <c>--control</c> says; null if it was not given.</param>
    /// <returns>The client.</returns>
    public static ControlClient Open(string? option) => new(PathOf(option));

    /// <summary>Makes a client for the programs' socket that the user means.</summary>
    /// <param name="option">What <c>--programs</c> says; null if it was not given.</param>
    /// <returns>The client.</returns>
    public static ControlClient OpenPrograms(string? option) =>
        new(PathOf(option, forPrograms: true), $"--programs or {ProgramsVariable}");

    /// <summary>The programs' socket of a dataplane that the user has named by its TAP.</summary>
    /// <param name="option">What <c>--programs</c> says; null if it was not given.</param>
    /// <param name="tap">The TAP.</param>
    /// <returns>The path: the option's, the variable's or the usual one.</returns>
    public static string ProgramsOf(string? option, string tap) =>
        (option ?? Environment.GetEnvironmentVariable(ProgramsVariable)) is { Length: > 0 } path
            ? path
            : ControlSocket.ForProgramsBeside(ControlSocket.DefaultFor(tap));

    /// <summary>The socket that the user means.</summary>
    /// <param name="option">What <c>--control</c> or <c>--programs</c> says; null if it was not given.</param>
    /// <param name="directory">Where sockets are to be looked for if the user has said nothing.</param>
    /// <param name="forPrograms">Whether the programs' socket is meant.</param>
    /// <returns>Its path.</returns>
    /// <exception cref="UsageException">The path is empty, or nothing was said and there are several.</exception>
    public static string PathOf(string? option, string directory = ControlSocket.DefaultDirectory, bool forPrograms = false)
    {
        string name = forPrograms ? "--programs" : "--control";
        if (option is { Length: 0 })
        {
            throw new UsageException($"The path after {name} is empty.");
        }

        if ((option ?? Environment.GetEnvironmentVariable(forPrograms ? ProgramsVariable : Variable)) is { Length: > 0 } path)
        {
            return path;
        }

        return ControlSocket.FindAlive(directory, forPrograms) switch
        {
            [] => forPrograms ? ProgramsOf(option: null, HostSettings.DefaultTap) : ControlSocket.DefaultPath,
            [string only] => only,
            var several => throw new UsageException(
                $"Several dataplanes run on this host ({string.Join(", ", several)}); say which one with {name}."),
        };
    }

    /// <summary>Asks the dataplane and writes its answer: as JSON, indented, with a line feed at the end, or as a table.</summary>
    /// <typeparam name="T">The answer.</typeparam>
    /// <param name="streams">Where to.</param>
    /// <param name="control">What <c>--control</c> says; null if it was not given.</param>
    /// <param name="json">Whether to write JSON.</param>
    /// <param name="ask">Asks.</param>
    /// <param name="choose">The answer's serializer.</param>
    /// <param name="write">Writes the table.</param>
    /// <returns>The exit status.</returns>
    public static async Task<int> ShowAsync<T>(
        CommandStreams streams, string? control, bool json, Func<ControlClient, Task<T>> ask, Func<ControlJson, JsonTypeInfo<T>> choose,
        Action<TextWriter, T> write)
    {
        using ControlClient client = Open(control);
        return await WriteAsync(streams, json, await ask(client).ConfigureAwait(false), choose, write).ConfigureAwait(false);
    }

    /// <summary>Writes an answer: as JSON, indented, with a line feed at the end, or as a table.</summary>
    /// <typeparam name="T">The answer's type.</typeparam>
    /// <param name="streams">Where to.</param>
    /// <param name="json">Whether to write JSON.</param>
    /// <param name="answer">The answer.</param>
    /// <param name="choose">Its serializer.</param>
    /// <param name="write">Writes the table.</param>
    /// <returns>The exit status.</returns>
    public static async Task<int> WriteAsync<T>(
        CommandStreams streams, bool json, T answer, Func<ControlJson, JsonTypeInfo<T>> choose, Action<TextWriter, T> write)
    {
        if (json)
        {
            await JsonSerializer.SerializeAsync(streams.Output, answer, choose(JsonStyles.Readable)).ConfigureAwait(false);
            await streams.Output.WriteAsync("\n"u8.ToArray()).ConfigureAwait(false);
        }
        else
        {
            using TextWriter text = streams.OpenText();
            write(text, answer);
        }

        return ExitStatus.Done;
    }

    /// <summary>Reads what the user wrote with the reader that the dataplane will use, so that a mistake is found before anything is
    /// sent.</summary>
    /// <typeparam name="T">What is read.</typeparam>
    /// <param name="json">The request.</param>
    /// <param name="read">Reads it.</param>
    /// <param name="inside">The internal addresses; null where they are not known.</param>
    /// <returns>What was read.</returns>
    /// <exception cref="UsageException">It is wrong.</exception>
    public static T Check<T>(byte[] json, Func<MoveReader, ScenarioNode, T> read, IReadOnlyList<IpPrefix>? inside = null)
    {
        const string name = "arguments";
        try
        {
            return read(new MoveReader(name, inside ?? []), JsonNodes.Read(name, json));
        }
        catch (ScenarioException wrong)
        {
            // The place in a request that the user never saw would tell him nothing.
            string sentence = wrong.Message[$"{wrong.File}:{wrong.Line}:{wrong.Column}: ".Length..];
            throw new UsageException(char.ToUpperInvariant(sentence[0]) + sentence[1..], wrong);
        }
    }

    /// <summary>The exit status for what the dataplane refused.</summary>
    /// <param name="refused">What it said.</param>
    /// <returns>The status.</returns>
    public static int StatusOf(ControlException refused) => refused.Problem switch
    {
        { Type: ProblemTypes.Host or ProblemTypes.TypeNotSupported or ProblemTypes.NetworkRefused } => ExitStatus.Host,
        { Type: ProblemTypes.NetworkSilent or ProblemTypes.Forbidden or ProblemTypes.Quota or ProblemTypes.NoRoom } => ExitStatus.Host,
        { Type: ProblemTypes.Unavailable } => ExitStatus.NoAnswer,
        { Status: >= 400 and < 500 } => ExitStatus.Usage,
        _ => ExitStatus.Internal,
    };
}
