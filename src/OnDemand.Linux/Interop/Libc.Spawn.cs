using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Child processes.</content>
internal static partial class Libc
{
    /// <summary>POSIX_SPAWN_SETSIGDEF: the given signals have their default effect in the child.</summary>
    public const short SpawnDefaultSignals = 4;

    /// <summary>Enough octets for a posix_spawnattr_t of any C library (336 in glibc and musl).</summary>
    public const int SpawnAttributesLength = 512;

    /// <summary>The octets of a sigset_t.</summary>
    public const int SignalSetLength = 128;

    /// <summary>The octets of a siginfo_t.</summary>
    public const int SignalInformationLength = 128;

    /// <summary>P_PID of waitid(2).</summary>
    public const int WaitForProcess = 1;

    /// <summary>WEXITED of waitid(2).</summary>
    public const int WaitExited = 4;

    /// <summary>WNOWAIT of waitid(2): the process stays to be waited for.</summary>
    public const int WaitKeep = 0x0100_0000;

    /// <summary>The terminal of the process, see tty(4).</summary>
    public const string Terminal = "/dev/tty";

    /// <summary>posix_spawnp(3).</summary>
    /// <param name="child">Gets the child's number.</param>
    /// <param name="file">The program, looked up in PATH.</param>
    /// <param name="noActions">0: what is open and not to be closed stays open.</param>
    /// <param name="attributes">A posix_spawnattr_t.</param>
    /// <param name="arguments">Its arguments from its own name on, with a null at the end.</param>
    /// <param name="environment">Its environment, see environ(7).</param>
    /// <returns>0, or the error.</returns>
    [LibraryImport(Library, EntryPoint = "posix_spawnp", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Spawn(
        out int child, string file, nint noActions, ReadOnlySpan<byte> attributes, string?[] arguments, nint environment);

    /// <summary>posix_spawnattr_init(3).</summary>
    [LibraryImport(Library, EntryPoint = "posix_spawnattr_init")]
    public static partial int InitializeSpawnAttributes(Span<byte> attributes);

    /// <summary>posix_spawnattr_destroy(3).</summary>
    [LibraryImport(Library, EntryPoint = "posix_spawnattr_destroy")]
    public static partial int DestroySpawnAttributes(Span<byte> attributes);

    /// <summary>posix_spawnattr_setflags(3).</summary>
    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setflags")]
    public static partial int SetSpawnFlags(Span<byte> attributes, short flags);

    /// <summary>posix_spawnattr_setsigdefault(3).</summary>
    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setsigdefault")]
    public static partial int SetSpawnDefaultSignals(Span<byte> attributes, ReadOnlySpan<byte> signals);

    /// <summary>sigaddset(3); a set of zeros is empty.</summary>
    [LibraryImport(Library, EntryPoint = "sigaddset")]
    public static partial int AddSignal(Span<byte> signals, int signal);

    /// <summary>waitid(2).</summary>
    [LibraryImport(Library, EntryPoint = "waitid", SetLastError = true)]
    public static partial int AwaitEnd(int kind, int process, Span<byte> information, int options);

    /// <summary>waitpid(2).</summary>
    [LibraryImport(Library, EntryPoint = "waitpid", SetLastError = true)]
    public static partial int WaitFor(int process, out int status, int options);

    /// <summary>getpgrp(2).</summary>
    [LibraryImport(Library, EntryPoint = "getpgrp")]
    public static partial int GetProcessGroup();

    /// <summary>tcgetpgrp(3): the process group in the foreground of a terminal.</summary>
    [LibraryImport(Library, EntryPoint = "tcgetpgrp", SetLastError = true)]
    public static partial int GetForegroundGroup(FileDescriptor terminal);
}
