using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

internal static partial class Libc
{
    /// <summary>SIGINT of signal(7).</summary>
    public const int SignalInterrupt = 2;

    /// <summary>SIGKILL of signal(7).</summary>
    public const int SignalKill = 9;

    /// <summary>SIGPIPE of signal(7).</summary>
    public const int SignalPipe = 13;

    /// <summary>SIGTERM of signal(7).</summary>
    public const int SignalTerminate = 15;

    /// <summary>CLONE_NEWNET of setns(2).</summary>
    public const int NetworkNamespace = 0x4000_0000;

    /// <summary>CLOCK_BOOTTIME of clock_gettime(2): only forward, also while the machine is suspended.</summary>
    public const int ClockOfBootTime = 7;

    /// <summary>clock_gettime(2), which does not enter the kernel for this clock, see vdso(7).</summary>
    /// <param name="clock">The clock.</param>
    /// <param name="time">Takes its time.</param>
    /// <returns>0, or -1 if there is no such clock.</returns>
    [SuppressGCTransition]
    [LibraryImport(Library, EntryPoint = "clock_gettime")]
    public static partial int GetClock(int clock, out TimeSpec time);

    /// <summary>setns(2): the calling thread goes to another namespace.</summary>
    /// <param name="descriptor">The namespace.</param>
    /// <param name="kind">Its kind.</param>
    /// <returns>0, or -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "setns", SetLastError = true)]
    public static partial int SetNamespace(int descriptor, int kind);

    /// <summary>kill(2).</summary>
    /// <param name="process">The process.</param>
    /// <param name="signal">The signal; 0 only asks whether it is there.</param>
    /// <returns>0, or -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int process, int signal);

    /// <summary>signal(2) with SIG_DFL: what the runtime has set is inherited over execve(2) where it means to ignore.</summary>
    /// <param name="signal">The signal.</param>
    /// <param name="handler">0 is SIG_DFL.</param>
    /// <returns>The handler before.</returns>
    [LibraryImport(Library, EntryPoint = "signal", SetLastError = true)]
    public static partial nint Signal(int signal, nint handler);

    /// <summary>setenv(3): what the runtime calls its environment is a copy that execvp(3) knows nothing of.</summary>
    /// <param name="name">The variable.</param>
    /// <param name="value">Its value.</param>
    /// <param name="overwrite">Whether an old value gives way.</param>
    /// <returns>0, or -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "setenv", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int SetEnvironment(string name, string value, [MarshalAs(UnmanagedType.Bool)] bool overwrite);

    /// <summary>execvp(3): this process becomes another program.</summary>
    /// <param name="file">The program, looked up in PATH.</param>
    /// <param name="arguments">Its arguments from its own name on, with a null at the end.</param>
    /// <returns>Only on failure: -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "execvp", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Execute(string file, string?[] arguments);
}
