using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <summary>Which file a path leads to, whatever it is called: a symbolic link and another hard link lead to the same one.</summary>
/// <param name="Device">The device that it is on.</param>
/// <param name="Inode">Its number there.</param>
internal readonly record struct FileIdentity(ulong Device, ulong Inode)
{
    private const int TypeMask = 0xf000;         // S_IFMT of inode(7)
    private const int RegularFile = 0x8000;      // S_IFREG

    /// <summary>Looks at a path.</summary>
    /// <param name="path">The path; symbolic links are followed.</param>
    /// <param name="identity">The file that is there.</param>
    /// <returns>Whether there is one that can be looked at.</returns>
    public static bool TryGet(string path, out FileIdentity identity) => TryGet(path, out identity, out _);

    /// <summary>Looks at a path.</summary>
    /// <param name="path">The path; symbolic links are followed.</param>
    /// <param name="identity">The file that is there.</param>
    /// <param name="isRegular">Whether it has octets that stay: it is no directory, device, pipe or socket.</param>
    /// <returns>Whether there is one that can be looked at.</returns>
    public static bool TryGet(string path, out FileIdentity identity, out bool isRegular) =>
        TryGet(Libc.WorkingDirectory, path, 0, out identity, out isRegular);

    /// <summary>Looks at what is open.</summary>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="identity">The file that it is.</param>
    /// <param name="isRegular">Whether it has octets that stay.</param>
    /// <returns>Whether it is open.</returns>
    public static bool TryGet(int descriptor, out FileIdentity identity, out bool isRegular) =>
        TryGet(descriptor, string.Empty, Libc.EmptyPath, out identity, out isRegular);

    private static bool TryGet(int directory, string path, int flags, out FileIdentity identity, out bool isRegular)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        bool isThere = Libc.GetStatus(directory, path, flags, Libc.StatusType | Libc.StatusInode, status) == 0;
        identity = !isThere ? default : new FileIdentity(
            MemoryMarshal.Read<ulong>(status[Libc.StatusDeviceOffset..]), MemoryMarshal.Read<ulong>(status[Libc.StatusInodeOffset..]));
        isRegular = isThere && (MemoryMarshal.Read<ushort>(status[Libc.StatusModeOffset..]) & TypeMask) == RegularFile;
        return isThere;
    }
}
