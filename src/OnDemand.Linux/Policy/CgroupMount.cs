using System.Globalization;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Policy;

/// <summary>
/// Where the cgroup hierarchy of version 2 can be reached: where it is mounted, or, if that is not to be seen from here, where the nearest
/// process above this one has it. What <c>ip netns exec</c> starts has a /sys of its own, without cgroups.
/// </summary>
internal static class CgroupMount
{
    // Once found through another process, which may end, the directory is kept open.
    private static readonly Lock Gate = new();
    private static FileDescriptor? _kept;

    /// <summary>Looks for it.</summary>
    /// <returns>The directory; null if there is none, or none that may be looked at.</returns>
    public static string? Find()
    {
        if (Find("self", string.Empty) is { } visible)
        {
            return visible;
        }

        lock (Gate)
        {
            for (int process = ParentOf("self"); process > 0 && _kept is not { IsInvalid: false }; process = ParentOf(Text(process)))
            {
                if (Find(Text(process), $"/proc/{Text(process)}/root") is { } directory)
                {
                    _kept?.Dispose();
                    _kept = Libc.Open(directory, Libc.PathOnly | Libc.CloseOnExec, 0);
                }
            }

            return _kept is not { IsInvalid: false } ? null : $"/proc/self/fd/{Text(_kept.Number)}";
        }
    }

    private static string? Find(string process, string before)
    {
        try
        {
            return CgroupPaths.FindMount(File.ReadLines($"/proc/{process}/mountinfo")) is { } mount && File.Exists($"{before}{mount}/cgroup.procs")
                ? before + mount : null;
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // 0 for the first process, and for one that has ended.
    private static int ParentOf(string process)
    {
        const string head = "PPid:\t";
        try
        {
            string? line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith(head, StringComparison.Ordinal));
            return line is null ? 0 : int.Parse(line.AsSpan(head.Length), CultureInfo.InvariantCulture);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
