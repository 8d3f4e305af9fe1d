using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>
/// Finds the path of a cgroup (version 2) by the number that <see cref="SocketRecord.CgroupId"/> is: that of its directory's inode. What has been
/// found is kept, and checked when it is used. Belongs to one thread at a time.
/// </summary>
/// <param name="root">Where the hierarchy is mounted, see <see cref="FindMount"/>.</param>
/// <param name="limit">How many cgroups are looked at in a search, and kept.</param>
internal sealed class CgroupPaths(string root, int limit = 16_384)
{
    private const int DashedFields = 6;    // fields of a line of mountinfo before the optional ones

    private readonly Dictionary<ulong, string> _paths = [];

    /// <summary>How many searches through the hierarchy there have been.</summary>
    public long Searches { get; private set; }

    /// <summary>Where the hierarchy of version 2 is mounted.</summary>
    /// <param name="mountInfo">The lines of <c>/proc/self/mountinfo</c>, see proc(5).</param>
    /// <returns>The directory; null if it is mounted nowhere.</returns>
    public static string? FindMount(IEnumerable<string> mountInfo)
    {
        foreach (string line in mountInfo)
        {
            // 36 25 0:30 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw
            string[] fields = line.Split(' ');
            int dash = Array.IndexOf(fields, "-", Math.Min(DashedFields, fields.Length));
            if (dash > 0 && dash + 1 < fields.Length && fields[dash + 1] == "cgroup2")
            {
                return Unescape(fields[4]);
            }
        }

        return null;
    }

    /// <summary>The number of a cgroup.</summary>
    /// <param name="directory">Its directory.</param>
    /// <returns>The number; 0 if there is no such directory.</returns>
    public static ulong IdOf(string directory)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        return Libc.GetStatus(Libc.WorkingDirectory, directory, Libc.DoNotFollow, Libc.StatusInode, status) == 0
            ? MemoryMarshal.Read<ulong>(status[Libc.StatusInodeOffset..])
            : 0;
    }

    /// <summary>Finds the path of a cgroup.</summary>
    /// <param name="id">Its number.</param>
    /// <returns>Its path below the mount, as in <c>/system.slice/sshd.service</c>, <c>/</c> for the mount itself; null if it is not there (any
    /// more) or beyond the limit.</returns>
    public string? Find(ulong id)
    {
        if (id == 0)
        {
            return null;
        }

        if (_paths.TryGetValue(id, out string? path) && IdOf(DirectoryOf(path)) == id)
        {
            return path;
        }

        Search();
        return _paths.GetValueOrDefault(id);
    }

    // The nearest to the root first: the limit cuts off what is deepest.
    private void Search()
    {
        Searches++;
        _paths.Clear();
        Queue<string> waiting = new(["/"]);
        while (waiting.TryDequeue(out string? path) && _paths.Count < limit)
        {
            ulong id = IdOf(DirectoryOf(path));
            if (id == 0)
            {
                continue;    // removed meanwhile
            }

            _paths[id] = path;
            string prefix = path.Length == 1 ? path : path + "/";
            foreach (string child in ChildrenOf(DirectoryOf(path)))
            {
                waiting.Enqueue(prefix + child);
            }
        }
    }

    private static IEnumerable<string> ChildrenOf(string directory)
    {
        try
        {
            return [.. Directory.EnumerateDirectories(directory).Select(static child => Path.GetFileName(child))];
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return [];    // removed meanwhile
        }
    }

    // Spaces and the like are written in octal.
    private static string Unescape(string field) =>
        field.Replace("\\040", " ", StringComparison.Ordinal).Replace("\\011", "\t", StringComparison.Ordinal)
            .Replace("\\012", "\n", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal);

    private string DirectoryOf(string path) => root + path;
}
