using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Files, devices and waiting.</content>
internal static partial class Libc
{
    public const int WriteOnly = 1;              // O_WRONLY
    public const int ReadWrite = 2;              // O_RDWR
    public const int Create = 0x40;              // O_CREAT
    public const int Truncate = 0x200;           // O_TRUNC
    public const int PathOnly = 0x200000;        // O_PATH
    public const int NonBlocking = 0x800;        // O_NONBLOCK, EFD_NONBLOCK
    public const int CloseOnExec = 0x80000;      // O_CLOEXEC, EFD_CLOEXEC

    public const int LockExclusive = 2;          // LOCK_EX
    public const int LockNonBlocking = 4;        // LOCK_NB

    public const short PollIn = 1;
    public const short PollError = 8;
    public const short PollHangUp = 16;
    public const short PollInvalid = 32;

    /// <summary>open(2).</summary>
    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial FileDescriptor Open(string path, int flags, uint mode);

    /// <summary>read(2).</summary>
    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    public static partial nint Read(int descriptor, Span<byte> buffer, nint length);

    /// <summary>write(2).</summary>
    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    public static partial nint Write(int descriptor, ReadOnlySpan<byte> buffer, nint length);

    /// <summary>fsync(2).</summary>
    [LibraryImport(Library, EntryPoint = "fsync", SetLastError = true)]
    public static partial int Synchronize(int descriptor);

    /// <summary>ioctl(2) with something that is read or filled in.</summary>
    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(int descriptor, nuint request, Span<byte> argument);

    /// <summary>ioctl(2) with a number.</summary>
    [LibraryImport(Library, EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Control(int descriptor, nuint request, nuint argument);

    /// <summary>ppoll(2), without a signal mask. A null timeout waits for ever.</summary>
    [LibraryImport(Library, EntryPoint = "ppoll", SetLastError = true)]
    public static unsafe partial int Poll(Span<PollEntry> entries, nuint count, TimeSpec* timeout, nint noSignalMask);

    /// <summary>eventfd(2).</summary>
    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    public static partial FileDescriptor EventCounter(uint initial, int flags);

    /// <summary>flock(2).</summary>
    [LibraryImport(Library, EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(int descriptor, int operation);
}

/// <summary>struct pollfd of poll(2).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollEntry
{
    public int Descriptor;
    public short Wanted;
    public short Found;
}

/// <summary>struct timespec of a 64-bit machine.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimeSpec
{
    public long Seconds;
    public long Nanoseconds;
}
