using System.Text.Json;
using OnDemand.Linux.Control;

namespace OnDemand.Linux.Lab;

/// <summary>Where a lab keeps what it must know between commands.</summary>
/// <param name="name">The lab's name.</param>
internal sealed class LabDirectory(string name)
{
    /// <summary>The environment variable that says where labs are kept, for those without root.</summary>
    public const string Variable = "ONDEMAND_LAB_DIRECTORY";

    private const string RootPlace = "/run/ondemand-lab";

    private static readonly TimeSpan LockPatience = TimeSpan.FromSeconds(30);

    /// <summary>Where all labs are.</summary>
    public static string Parent => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } place ? place : RootPlace;

    /// <summary>This lab's place.</summary>
    public string Place { get; } = Path.Combine(Parent, name);

    /// <summary>The configuration of the host's dataplane.</summary>
    public string HostFile => Path.Combine(Place, "host.yaml");

    /// <summary>What the dataplane says.</summary>
    public string Log => Path.Combine(Place, "dataplane.log");

    /// <summary>The dataplane's control socket.</summary>
    public string Control => Path.Combine(Place, "control.sock");

    /// <summary>Where the dataplane answers programs.</summary>
    public string Programs => ControlSocket.ForProgramsBeside(Control);

    /// <summary>What tells a program on a node where this lab's dataplane listens, and what it is called: environment variables.</summary>
    public IReadOnlyList<(string Name, string Value)> Variables =>
        [("ONDEMAND_CONTROL", Control), ("ONDEMAND_PROGRAMS", Programs), ("ONDEMAND_TAP", LabHostFile.Tap)];

    /// <summary>Where the dataplane keeps its own state.</summary>
    public string DataplaneState => Path.Combine(Place, "state");

    private string StateFile => Path.Combine(Place, "state.json");

    /// <summary>The labs that are there, by their directories.</summary>
    /// <returns>Their names.</returns>
    public static IReadOnlyList<string> List() => Directory.Exists(Parent)
        ? [.. Directory.GetDirectories(Parent).Select(place => Path.GetFileName(place)).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Makes the directory and keeps other commands from this lab as long as the result is not disposed.</summary>
    /// <param name="cancellationToken">Gives up waiting.</param>
    /// <returns>To be disposed.</returns>
    /// <exception cref="HostException">Another command has been at work for too long, or the directory cannot be made.</exception>
    public async Task<IDisposable> LockAsync(CancellationToken cancellationToken)
    {
        try
        {
            Directory.CreateDirectory(Place);
        }
        catch (Exception problem) when (problem is UnauthorizedAccessException or IOException)
        {
            throw new HostException($"The directory {Place} cannot be made ({problem.Message.TrimEnd('.')}); set {Variable}.", problem);
        }

        // Beside the directory, which 'down' removes while it holds the lock.
        string file = Place + ".lock";
        long until = Environment.TickCount64 + (long)LockPatience.TotalMilliseconds;
        while (true)
        {
            try
            {
                return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (Environment.TickCount64 < until)
            {
                await Task.Delay(20, cancellationToken).ConfigureAwait(false);
            }
            catch (IOException)
            {
                throw new HostException($"Another command is still at work on the lab '{name}' ({file} is locked).");
            }
        }
    }

    /// <summary>Reads the state.</summary>
    /// <returns>The state; null if there is no lab, or one that was not finished.</returns>
    public LabState? Load()
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(StateFile), LabJson.Default.LabState);
        }
        catch (Exception problem) when (problem is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes the state, so that a reader sees either the old or the new one.</summary>
    /// <param name="state">The state.</param>
    public void Save(LabState state)
    {
        string fresh = StateFile + ".new";
        File.WriteAllBytes(fresh, JsonSerializer.SerializeToUtf8Bytes(state, LabJson.Default.LabState));
        File.Move(fresh, StateFile, overwrite: true);
    }

    /// <summary>Removes what a dataplane keeps for the next one, which goes on with it where it finds it.</summary>
    public void ForgetDataplane()
    {
        if (Directory.Exists(DataplaneState))
        {
            Directory.Delete(DataplaneState, recursive: true);
        }
    }

    /// <summary>Removes the directory and everything in it.</summary>
    public void Remove()
    {
        if (Directory.Exists(Place))
        {
            Directory.Delete(Place, recursive: true);
        }

        File.Delete(Place + ".lock");
        File.Delete(Place + ".holder");
        if (Directory.Exists(Parent) && !Directory.EnumerateFileSystemEntries(Parent).Any() && Parent == RootPlace)
        {
            Directory.Delete(Parent);
        }
    }
}
