using System.Diagnostics;
using System.Globalization;

namespace OnDemand.Linux.Tests.Setsc;

/// <summary>What a run of the probe program printed.</summary>
internal sealed class Probe
{
    private readonly Dictionary<string, string> _values;

    private Probe(string output) => _values = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        .Where(line => line.Contains('=', StringComparison.Ordinal))
        .ToDictionary(line => line[..line.IndexOf('=', StringComparison.Ordinal)], line => line[(line.IndexOf('=', StringComparison.Ordinal) + 1)..]);

    public string this[string name] => _values[name];

    public int Number(string name) => int.Parse(this[name], CultureInfo.InvariantCulture);

    /// <summary>Runs the probe against a server's socket; it must end well.</summary>
    public static Task<Probe> RunAsync(string? socket, params string[] arguments) => RunAsync("probe", socket, arguments);

    /// <summary>The same with the sanitizers compiled in.</summary>
    public static Task<Probe> RunCheckedAsync(string? socket, params string[] arguments) => RunAsync("probe-checked", socket, arguments);

    /// <summary>Reads what is left of a probe that was started by hand.</summary>
    public static async Task<Probe> FinishAsync(Process process)
    {
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? new Probe(output)
            : throw new InvalidOperationException($"The probe ended with {process.ExitCode}:\n{output}{await error}");
    }

    private static async Task<Probe> RunAsync(string program, string? socket, string[] arguments)
    {
        using Process process = CPrograms.Start(CPrograms.Find(program), socket, arguments);
        process.StandardInput.Close();
        return await FinishAsync(process);
    }
}
