using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Processes by descriptor. The C library has no wrappers for these where it is older than the kernel, hence syscall(2); the
/// numbers are the same on every architecture.</content>
internal static partial class Libc
{
    private const nint OpenProcessCall = 434;             // __NR_pidfd_open
    private const nint TakeDescriptorCall = 438;          // __NR_pidfd_getfd

    /// <summary>pidfd_open(2).</summary>
    /// <param name="process">The process.</param>
    /// <returns>Its descriptor, or an invalid one with <see cref="LastError"/>.</returns>
    public static FileDescriptor OpenProcess(int process) => SystemCall(OpenProcessCall, process, 0, 0);

    /// <summary>pidfd_getfd(2): a second descriptor of what a process has open, as dup(2) makes one.</summary>
    /// <param name="process">The process, from <see cref="OpenProcess"/> or SO_PEERPIDFD.</param>
    /// <param name="descriptor">The number there.</param>
    /// <returns>The descriptor, or an invalid one with <see cref="LastError"/>.</returns>
    public static FileDescriptor TakeDescriptor(FileDescriptor process, int descriptor)
    {
        bool added = false;
        try
        {
            process.DangerousAddRef(ref added);
            return SystemCall(TakeDescriptorCall, process.Number, descriptor, 0);
        }
        finally
        {
            if (added)
            {
                process.DangerousRelease();
            }
        }
    }

    /// <summary>syscall(2) with three arguments, for calls that give a descriptor.</summary>
    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    private static partial FileDescriptor SystemCall(nint number, nint first, nint second, nint third);
}
