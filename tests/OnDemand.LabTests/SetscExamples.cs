using System.Diagnostics;
using OnDemand.Linux.Lab;

namespace OnDemand.LabTests;

/// <summary>The C library and its examples, on a lab's host: each line that is written to an example it sends, and it says the answer.</summary>
internal static class SetscExamples
{
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Builds the library and the examples.</summary>
    /// <param name="rig">The lab.</param>
    /// <returns>Where they are.</returns>
    public static async Task<string> BuildAsync(LabRig rig)
    {
        string root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "OnDemand.Dataplane.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        string place = Path.Combine(rig.Place, "setsc");
        await CommandRunner.MustAsync("make", ["-s", "-C", Path.Combine(root, "src", "setsc"), $"OUT={place}", "all", "examples"], null, Cancellation);
        return place;
    }

    /// <summary>Starts an example that talks to the correspondent.</summary>
    /// <param name="rig">The lab.</param>
    /// <param name="place">Where it was built.</param>
    /// <param name="name">Its name.</param>
    /// <param name="arguments">Its arguments from the port on.</param>
    /// <returns>The process.</returns>
    public static Process Start(LabRig rig, string place, string name, params string[] arguments) => rig.Start(
        LabNodes.Host,
        [
            "env", $"LD_LIBRARY_PATH={place}", $"ONDEMAND_PROGRAMS={rig.Lab.Directory.Programs}", "stdbuf", "-oL", Path.Combine(place, name),
            LabLinks.PeerAddress, .. arguments,
        ]);

    /// <summary>The next line that a program says, or why there is none.</summary>
    public static async Task<string> ReadAsync(Process program) =>
        await program.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation)
            ?? $"(it ended: {await program.StandardError.ReadToEndAsync(Cancellation)})";

    public static async Task WriteAsync(Process program, string line)
    {
        await program.StandardInput.WriteLineAsync(line.AsMemory(), Cancellation);
        await program.StandardInput.FlushAsync(Cancellation);
    }

    /// <summary>A server that says from where it is spoken to says so of this prefix.</summary>
    public static async Task AssertSaysAsync(Process program, string line, string from)
    {
        await WriteAsync(program, line);
        Assert.StartsWith($"{line} from {from}", await ReadAsync(program), StringComparison.Ordinal);
    }
}
