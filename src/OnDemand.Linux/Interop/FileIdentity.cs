using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <summary>Which file a path leads to, whatever it is called: a symbolic link and another hard link lead to the same one.</summary>
/// <param name="Device">The device that it is on.</param>
/// <param name="Inode">Its number there.</param>
internal readonly record struct FileIdentity(ulong Device, ulong Inode)
{
    /// <summary>Looks at a path.</summary>
    /// <param name="path">The path; symbolic links are followed.</param>
    /// <param name="identity">The file that is there.</param>
    /// <returns>Whether there is one that can be looked at.</returns>
    public static bool TryGet(string path, out FileIdentity identity)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        bool isThere = Libc.GetStatus(Libc.WorkingDirectory, path, 0, Libc.StatusInode, status) == 0;
        identity = !isThere ? default : new FileIdentity(
            MemoryMarshal.Read<ulong>(status[Libc.StatusDeviceOffset..]), MemoryMarshal.Read<ulong>(status[Libc.StatusInodeOffset..]));
        return isThere;
    }
}
