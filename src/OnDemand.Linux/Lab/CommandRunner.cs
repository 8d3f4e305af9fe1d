using System.ComponentModel;
using System.Diagnostics;

namespace OnDemand.Linux.Lab;

/// <summary>What a program gave.</summary>
/// <param name="Status">Its exit status.</param>
/// <param name="Output">Its standard output.</param>
/// <param name="Error">Its standard error.</param>
internal readonly record struct CommandResult(int Status, string Output, string Error);

/// <summary>Runs the few programs that a lab is built with: ip, ethtool, sh.</summary>
internal static class CommandRunner
{
    /// <summary>Runs a program to its end.</summary>
    /// <param name="program">The program, looked up in PATH and in the places where a user's PATH does not lead.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="input">Its standard input; null for an empty one.</param>
    /// <param name="cancellationToken">Kills it.</param>
    /// <returns>What it gave.</returns>
    /// <exception cref="HostException">The program is not installed.</exception>
    public static async Task<CommandResult> RunAsync(
        string program, IReadOnlyList<string> arguments, string? input = null, CancellationToken cancellationToken = default)
    {
        using var process = new Process();
        process.StartInfo = new ProcessStartInfo(Find(program), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        try
        {
            process.Start();
        }
        catch (Win32Exception)
        {
            throw Missing(program);
        }

        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
            Task<string> error = process.StandardError.ReadToEndAsync(cancellationToken);
            await WriteAsync(process.StandardInput, input).ConfigureAwait(false);
            string text = await output.ConfigureAwait(false);
            string complaint = await error.ConfigureAwait(false);
            await process.WaitForExitAsync(cancellationToken).ConfigureAwait(false);
            return new CommandResult(process.ExitCode, text, complaint);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    /// <summary>Runs a program that must succeed.</summary>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="input">Its standard input; null for an empty one.</param>
    /// <param name="cancellationToken">Kills it.</param>
    /// <returns>Its standard output.</returns>
    /// <exception cref="HostException">It failed, or is not installed.</exception>
    public static async Task<string> MustAsync(
        string program, IReadOnlyList<string> arguments, string? input = null, CancellationToken cancellationToken = default)
    {
        CommandResult result = await RunAsync(program, arguments, input, cancellationToken).ConfigureAwait(false);
        if (result.Status == 0)
        {
            return result.Output;
        }

        string[] said = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string because = said.Length > 0 ? string.Join("; ", said.Take(3)) : $"exit status {result.Status}";
        throw new HostException($"'{program} {string.Join(' ', arguments)}' failed: {because.TrimEnd('.')}.");
    }

    /// <summary>Whether a program is installed.</summary>
    /// <param name="program">Its name.</param>
    /// <returns>Whether it is.</returns>
    public static bool Has(string program) => Path.IsPathRooted(Find(program));

    /// <summary>What to say when a program is not there.</summary>
    /// <param name="program">The program.</param>
    /// <returns>The exception.</returns>
    public static HostException Missing(string program)
    {
        string package = program == "ip" ? "iproute2" : program;
        return new HostException($"The lab needs the program '{program}'; install the package {package}.");
    }

    /// <summary>The path of a program: /usr/sbin is not in every user's PATH, and that is where ip and ethtool are.</summary>
    /// <param name="program">Its name or path.</param>
    /// <returns>Its path, or the name if it was not found.</returns>
    public static string Find(string program)
    {
        if (program.Contains('/', StringComparison.Ordinal))
        {
            return program;
        }

        string path = Environment.GetEnvironmentVariable("PATH") ?? string.Empty;
        string[] places = [.. path.Split(':'), "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        return places.Where(place => place.Length > 0).Select(place => Path.Combine(place, program)).FirstOrDefault(File.Exists) ?? program;
    }

    /// <summary>Why a program cannot be run.</summary>
    /// <param name="program">Its name or path.</param>
    /// <param name="isThere">Whether there is something of that name.</param>
    /// <returns>The reason; null if it can.</returns>
    public static string? WhyNotRun(string program, out bool isThere)
    {
        const UnixFileMode executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        string path = Find(program);
        bool isPath = path.Contains('/', StringComparison.Ordinal);      // else it is in no directory of PATH, and the present one does not count
        bool isDirectory = isPath && Directory.Exists(path);
        isThere = isDirectory || (isPath && File.Exists(path));
        return isDirectory ? $"'{program}' is a directory"
            : !isThere ? $"there is no program '{program}'"
            : (File.GetUnixFileMode(path) & executable) == 0 ? $"'{program}' is not executable"
            : null;
    }

    private static async Task WriteAsync(StreamWriter target, string? input)
    {
        await using (target.ConfigureAwait(false))
        {
            try
            {
                if (input is not null)
                {
                    await target.WriteAsync(input).ConfigureAwait(false);
                }
            }
            catch (IOException)
            {
                // The program ended before it read everything; its exit status says why.
            }
        }
    }
}
