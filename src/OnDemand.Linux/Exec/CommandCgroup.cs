using System.Globalization;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Policy;

namespace OnDemand.Linux.Exec;

/// <summary>
/// The cgroup that a command is started in, see <see cref="ExecCgroup"/>: below the cgroup that this process is in, so that limits and whoever
/// counts stay what they are, or, if nothing may be made there, below the root of the hierarchy.
/// </summary>
/// <remarks>
/// It is removed when its last process has ended. Processes that the command leaves behind live on in it; then it stays, and is removed by
/// the next command that is started for the same dataplane from the same place, or with the cgroup above it (systemd removes those of a
/// service or session that has ended with everything in them).
/// </remarks>
internal sealed class CommandCgroup
{
    private const int MostAttempts = 8;              // against others that remove what is empty
    private const int Patience = 40;                 // looks at a cgroup whose last process has just ended
    private const int Pause = 5;                     // milliseconds between two of them

    private readonly string _home;

    private CommandCgroup(string root, string home, string path)
    {
        _home = root + home;
        Directory = root + path;
    }

    /// <summary>Its directory.</summary>
    public string Directory { get; }

    /// <summary>Makes the cgroup and puts this process into it.</summary>
    /// <param name="tap">The dataplane's TAP.</param>
    /// <param name="type">The type.</param>
    /// <param name="onNet">Whether with ON_NET.</param>
    /// <returns>The cgroup.</returns>
    /// <exception cref="HostException">This host does not allow it.</exception>
    public static CommandCgroup Enter(string tap, AddressType type, bool onNet) => Enter(
        CgroupMount.Find(), HomeOf(File.ReadLines("/proc/self/cgroup")), tap, type, onNet);

    /// <summary>Makes the cgroup and puts this process into it.</summary>
    /// <param name="root">Where the hierarchy is mounted; null if it is not.</param>
    /// <param name="home">The path of the cgroup that this process is in.</param>
    /// <param name="tap">The dataplane's TAP.</param>
    /// <param name="type">The type.</param>
    /// <param name="onNet">Whether with ON_NET.</param>
    /// <returns>The cgroup.</returns>
    /// <exception cref="HostException">This host does not allow it.</exception>
    internal static CommandCgroup Enter(string? root, string? home, string tap, AddressType type, bool onNet)
    {
        if (root is null || home is null)
        {
            throw new HostException(
                "This host has no cgroup hierarchy of version 2, by which the sockets of a command are known; mount it with 'mount -t cgroup2 "
                + "none /sys/fs/cgroup/unified', or name the program in a policy rule.");
        }

        string reason = string.Empty;
        foreach (string parent in (string[])[Without(home, tap), string.Empty])
        {
            string top = $"{parent}/{ExecCgroup.DirectoryOf(tap)}";
            Sweep(root + top);
            string path = string.Create(
                CultureInfo.InvariantCulture, $"{top}/{ExecCgroup.DirectoryOf(type, onNet)}/{Environment.ProcessId}");
            var cgroup = new CommandCgroup(root, home, path);
            if (cgroup.TryEnter(out reason))
            {
                if (ExecCgroup.Read(root, path, tap) is { } said && said.SpeaksFor(Libc.GetEffectiveUserId()))
                {
                    return cgroup;
                }

                reason = $"{root}{top} belongs to another user";
                cgroup.Leave();
            }

            cgroup.TryRemove();
        }

        throw new HostException(
            $"No cgroup can be made for the command ({reason}); it takes root, or a subtree of the cgroups that is delegated to you, as in "
            + "'systemd-run --user --scope -p Delegate=yes ondemand exec …'.");
    }

    /// <summary>
    /// Removes what commands that were killed have left: below the cgroup that this process is in, and at the root of the hierarchy. Only
    /// directories named as here, and only empty ones: the kernel refuses to remove others.
    /// </summary>
    /// <param name="tap">The dataplane's TAP.</param>
    /// <returns>How many commands' cgroups were removed.</returns>
    public static int RemoveLeft(string tap) => CgroupMount.Find() is { } root
        ? RemoveLeft(root, HomeOf(File.ReadLines("/proc/self/cgroup")) ?? string.Empty, tap) : 0;

    /// <summary>Removes what commands that were killed have left.</summary>
    /// <param name="root">Where the hierarchy is mounted.</param>
    /// <param name="home">The path of the cgroup that this process is in.</param>
    /// <param name="tap">The dataplane's TAP.</param>
    /// <returns>How many commands' cgroups were removed.</returns>
    internal static int RemoveLeft(string root, string home, string tap)
    {
        string name = ExecCgroup.DirectoryOf(tap);
        var whole = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true };
        List<string> tops = [$"{root}/{name}"];
        try
        {
            tops.AddRange(System.IO.Directory.EnumerateDirectories(root + Without(home, tap), name, whole));
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            // Something was removed while it was looked at; what is left then is left.
        }

        // The innermost first: a command may have been started within a command.
        int removed = 0;
        foreach (string top in tops.Distinct().OrderByDescending(path => path.Length))
        {
            removed += Sweep(top);
            foreach (string ofType in ChildrenOf(top).Where(path => ExecCgroup.IsOfType(Path.GetFileName(path))))
            {
                _ = TryRemove(ofType);
            }

            _ = TryRemove(top);
        }

        return removed;
    }

    /// <summary>The cgroup (version 2) of a process.</summary>
    /// <param name="lines">The lines of <c>/proc/PID/cgroup</c>, see cgroups(7).</param>
    /// <returns>Its path; null if there is none, or none that can be reached from here.</returns>
    internal static string? HomeOf(IEnumerable<string> lines)
    {
        const string head = "0::";
        string? line = lines.FirstOrDefault(line => line.StartsWith(head, StringComparison.Ordinal));
        string? path = line?[head.Length..];

        // Seen from within a cgroup namespace, what is outside begins with "/..".
        return path is null || path.StartsWith("/..", StringComparison.Ordinal) ? null : path == "/" ? string.Empty : path;
    }

    /// <summary>Puts this process back where it was.</summary>
    public void Leave() => _ = MoveTo(_home);

    /// <summary>Removes the cgroup, and what is above it and empty.</summary>
    /// <returns>Whether it is gone; if not, processes are left in it.</returns>
    public bool TryRemove()
    {
        bool removed = false;

        // The kernel lets go of a process that has ended a moment later.
        for (int look = 0; look < Patience && !(removed = TryRemove(Directory)) && IsEmpty(Directory); look++)
        {
            Thread.Sleep(Pause);
        }

        string ofType = Path.GetDirectoryName(Directory)!;
        if (removed && TryRemove(ofType))
        {
            _ = TryRemove(Path.GetDirectoryName(ofType)!);
        }

        return removed;
    }

    // A command within a command takes its place.
    private static string Without(string home, string tap)
    {
        int at = $"{home}/".IndexOf($"/{ExecCgroup.DirectoryOf(tap)}/", StringComparison.Ordinal);
        return at < 0 ? home : home[..at];
    }

    // What commands have left whose processes have all ended since. One that is just being made has its process.
    private static int Sweep(string top)
    {
        int removed = 0;
        foreach (string cgroup in ChildrenOf(top).Where(path => ExecCgroup.IsOfType(Path.GetFileName(path))).SelectMany(ChildrenOf))
        {
            if (ExecCgroup.ProcessOf(Path.GetFileName(cgroup)) is not null && !System.IO.Directory.Exists($"/proc/{Path.GetFileName(cgroup)}")
                && TryRemove(cgroup))
            {
                removed++;
            }
        }

        return removed;
    }

    private static string[] ChildrenOf(string directory)
    {
        try
        {
            return System.IO.Directory.GetDirectories(directory);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static bool IsEmpty(string cgroup)
    {
        try
        {
            return System.IO.Directory.EnumerateFiles(cgroup, "cgroup.procs", SearchOption.AllDirectories)
                .All(file => File.ReadAllText(file).Length == 0);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    // The kernel refuses it as long as a process is in it.
    private static bool TryRemove(string cgroup)
    {
        try
        {
            System.IO.Directory.Delete(cgroup);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static int MoveTo(string cgroup)
    {
        using FileDescriptor processes = Libc.Open($"{cgroup}/cgroup.procs", Libc.ReadWrite | Libc.CloseOnExec, 0);
        if (processes.IsInvalid)
        {
            return Libc.LastError;
        }

        ReadOnlySpan<byte> self = "0"u8;
        return Libc.Write(processes.Number, self, self.Length) < 0 ? Libc.LastError : 0;
    }

    private bool TryEnter(out string reason)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                System.IO.Directory.CreateDirectory(
                    Directory,
                    UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
                    | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
            }
            catch (DirectoryNotFoundException) when (attempt < MostAttempts)
            {
                continue;                            // somebody removed what was empty
            }
            catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
            {
                reason = problem.Message.TrimEnd('.');
                return false;
            }

            int error = MoveTo(Directory);
            if (error == 0)
            {
                reason = string.Empty;
                return true;
            }

            if (error is not (Errno.Enoent or Errno.Enodev) || attempt == MostAttempts)
            {
                reason = new LinuxException($"moving into {Directory}", error).Message;
                return false;
            }
        }
    }
}
