using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>What a path names.</content>
internal static partial class Libc
{
    /// <summary>AT_FDCWD: relative paths count from the working directory.</summary>
    public const int WorkingDirectory = -100;

    /// <summary>AT_SYMLINK_NOFOLLOW.</summary>
    public const int DoNotFollow = 0x100;

    /// <summary>STATX_TYPE: only the type is asked for.</summary>
    public const uint StatusType = 1;

    /// <summary>STATX_UID.</summary>
    public const uint StatusUser = 8;

    /// <summary>STATX_INO.</summary>
    public const uint StatusInode = 0x100;

    /// <summary>AT_EMPTY_PATH: with an empty path the descriptor itself is meant.</summary>
    public const int EmptyPath = 0x1000;

    /// <summary>The octets of struct statx, and where stx_mode lies in it: the same on every architecture.</summary>
    public const int StatusLength = 256;

    /// <summary>Offset of stx_mode.</summary>
    public const int StatusModeOffset = 28;

    /// <summary>Offset of stx_uid.</summary>
    public const int StatusUserOffset = 20;

    /// <summary>Offset of stx_ino.</summary>
    public const int StatusInodeOffset = 32;

    /// <summary>Offset of stx_dev_major, which stx_dev_minor follows.</summary>
    public const int StatusDeviceOffset = 136;

    /// <summary>statx(2).</summary>
    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GetStatus(int directory, string path, int flags, uint mask, Span<byte> status);

    /// <summary>statx(2) of an open descriptor.</summary>
    [LibraryImport(Library, EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GetStatus(SafeHandle descriptor, string path, int flags, uint mask, Span<byte> status);

    /// <summary>readlink(2): the octets of what a symbolic link holds, without a zero at the end.</summary>
    [LibraryImport(Library, EntryPoint = "readlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ReadLink(string path, Span<byte> target, nuint length);
}
