using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

internal static partial class Libc
{
    /// <summary>sched_getcpu(3): the processor on which the calling thread runs at this moment.</summary>
    /// <returns>Its number, or -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "sched_getcpu", SetLastError = true)]
    public static partial int GetProcessor();

    /// <summary>sched_getaffinity(2): on which processors a thread may run.</summary>
    /// <param name="thread">The thread; 0 for the calling one.</param>
    /// <param name="length">Octets of the mask.</param>
    /// <param name="mask">Takes one bit for each processor.</param>
    /// <returns>0, or -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "sched_getaffinity", SetLastError = true)]
    public static partial int GetProcessors(int thread, nuint length, Span<ulong> mask);

    /// <summary>sched_setaffinity(2): on which processors a thread may run.</summary>
    /// <param name="thread">The thread; 0 for the calling one.</param>
    /// <param name="length">Octets of the mask.</param>
    /// <param name="mask">One bit for each processor.</param>
    /// <returns>0, or -1 with <see cref="LastError"/>.</returns>
    [LibraryImport(Library, EntryPoint = "sched_setaffinity", SetLastError = true)]
    public static partial int SetProcessors(int thread, nuint length, ReadOnlySpan<ulong> mask);
}
