using System.Globalization;
using System.Runtime.InteropServices;
using OnDemand.Captures.Replay;
using OnDemand.Linux.Interop;

namespace OnDemand.Cli;

/// <summary>Which file a path names, whatever it is called: by a symbolic link, through another directory, or by another name of it.</summary>
internal static class FileIdentity
{
    private const int Input = 0;
    private const int Output = 1;
    private const int TypeMask = 0xf000;
    private const int RegularFile = 0x8000;

    /// <summary>What is the same for two paths only if they name the same file.</summary>
    /// <param name="path">The path; <c>-</c> for standard input or output, which may be a file too.</param>
    /// <param name="isInput">Whether it is read.</param>
    /// <returns>The identity of a regular file, there or not yet there; of anything else the name.</returns>
    public static string Of(string path, bool isInput)
    {
        if (path == ReplayOptions.StandardStream)
        {
            return TryAsk(isInput ? Input : Output, string.Empty, Libc.EmptyPath, out string? file, out bool isFile) && isFile
                ? file : isInput ? "standard input" : "standard output";
        }

        string full = Path.GetFullPath(path);
        if (TryAsk(Libc.WorkingDirectory, full, 0, out string? known, out bool isRegular))
        {
            return isRegular ? known : full;
        }

        return Path.GetDirectoryName(full) is { } folder && TryAsk(Libc.WorkingDirectory, folder, 0, out string? parent, out _)
            ? $"{parent}/{Path.GetFileName(full)}" : full;
    }

    private static bool TryAsk(int directory, string path, int flags, out string identity, out bool isRegular)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        bool isThere = Libc.GetStatus(directory, path, flags, Libc.StatusType | Libc.StatusInode, status) == 0;
        ulong device = MemoryMarshal.Read<ulong>(status[Libc.StatusDeviceOffset..]);
        identity = string.Create(CultureInfo.InvariantCulture, $"{device:x}:{MemoryMarshal.Read<ulong>(status[Libc.StatusInodeOffset..]):x}");
        isRegular = isThere && (MemoryMarshal.Read<ushort>(status[Libc.StatusModeOffset..]) & TypeMask) == RegularFile;
        return isThere;
    }
}
