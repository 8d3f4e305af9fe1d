using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Sockets;

/// <summary>What <c>/proc</c> knows of processes and their sockets (proc(5)). A process that ends meanwhile, or that may not be looked at
/// (it takes the same user or CAP_SYS_PTRACE), counts as one without sockets.</summary>
internal static class ProcessSockets
{
    private const int LinkLength = 64;
    private const int PathLength = 4096;
    private static ReadOnlySpan<byte> Prefix => "socket:["u8;

    /// <summary>The inodes of a process's sockets.</summary>
    /// <param name="process">The process.</param>
    /// <returns>The inodes, of each descriptor one; an inode that has several descriptors is there several times.</returns>
    public static IReadOnlyList<uint> InodesOf(int process)
    {
        List<uint> inodes = [];
        foreach (int descriptor in DescriptorsOf(process))
        {
            if (TryGetInode(process, descriptor, out uint inode))
            {
                inodes.Add(inode);
            }
        }

        return inodes;
    }

    /// <summary>The descriptors that a process has open.</summary>
    /// <param name="process">The process.</param>
    /// <returns>Their numbers.</returns>
    public static IEnumerable<int> DescriptorsOf(int process) => NumbersIn($"/proc/{Text(process)}/fd");

    /// <summary>All processes.</summary>
    /// <returns>Their numbers.</returns>
    public static IEnumerable<int> All() => NumbersIn("/proc");

    /// <summary>Which socket a descriptor is.</summary>
    /// <param name="process">The process.</param>
    /// <param name="descriptor">Its descriptor.</param>
    /// <param name="inode">The socket's inode.</param>
    /// <returns>Whether it is a socket.</returns>
    public static bool TryGetInode(int process, int descriptor, out uint inode)
    {
        Span<byte> target = stackalloc byte[LinkLength];
        nint length = Libc.ReadLink($"/proc/{Text(process)}/fd/{Text(descriptor)}", target, (nuint)target.Length);
        inode = 0;
        ReadOnlySpan<byte> link = target[..(int)Math.Max(length, 0)];
        return link.StartsWith(Prefix) && link[^1] == (byte)']'
            && uint.TryParse(link[Prefix.Length..^1], NumberStyles.None, CultureInfo.InvariantCulture, out inode);
    }

    /// <summary>The program that a process runs.</summary>
    /// <param name="process">The process.</param>
    /// <returns>The path as the kernel names it, with <c> (deleted)</c> after it when the file is no longer there; null for a process of the kernel
    /// or one that may not be looked at.</returns>
    public static string? ProgramOf(int process)
    {
        byte[] target = ArrayPool<byte>.Shared.Rent(PathLength);
        try
        {
            nint length = Libc.ReadLink($"/proc/{Text(process)}/exe", target, PathLength);
            return length > 0 ? Encoding.UTF8.GetString(target, 0, (int)length) : null;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(target);
        }
    }

    /// <summary>Whether a process runs, or ran, for a user: one of its four user numbers is that. A socket keeps the number that its maker had.</summary>
    /// <param name="process">The process.</param>
    /// <param name="uid">The user.</param>
    /// <returns>Whether it does.</returns>
    public static bool IsOf(int process, uint uid)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        string directory = $"/proc/{Text(process)}";
        if (Libc.GetStatus(Libc.WorkingDirectory, directory, Libc.DoNotFollow, Libc.StatusUser, status) != 0)
        {
            return false;
        }

        uint owner = MemoryMarshal.Read<uint>(status[Libc.StatusUserOffset..]);

        // The directory of a process that has changed its user, and so may not be traced, belongs to root.
        return owner == uid || (owner == 0 && UsersOf(directory).Contains(uid));
    }

    private static List<uint> UsersOf(string directory)
    {
        List<uint> users = [];
        try
        {
            string? line = File.ReadLines($"{directory}/status").FirstOrDefault(static line => line.StartsWith("Uid:", StringComparison.Ordinal));
            foreach (string word in (line ?? string.Empty).Split('\t').Skip(1))
            {
                users.Add(uint.Parse(word, CultureInfo.InvariantCulture));
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            users.Clear();    // it has ended
        }

        return users;
    }

    private static IEnumerable<int> NumbersIn(string directory)
    {
        using IEnumerator<string> names = NamesIn(directory).GetEnumerator();
        while (true)
        {
            try
            {
                if (!names.MoveNext())
                {
                    yield break;
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                yield break;    // it has ended, or may not be looked at
            }

            if (int.TryParse(Path.GetFileName(names.Current.AsSpan()), NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            {
                yield return number;
            }
        }
    }

    // Lazy, so that opening the directory fails where it is caught.
    private static IEnumerable<string> NamesIn(string directory)
    {
        foreach (string name in Directory.EnumerateFileSystemEntries(directory))
        {
            yield return name;
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
