using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Many reads and writes at once: writev(2), and io_uring(7), for which the C library has no functions.</content>
internal static partial class Libc
{
    /// <summary>PROT_READ and PROT_WRITE of mmap(2).</summary>
    public const int ProtectReadWrite = 3;

    /// <summary>MAP_SHARED and MAP_POPULATE of mmap(2).</summary>
    public const int MapSharedNow = 0x8001;

    // The same on every architecture: system calls since 5.1 have one table.
    private const nint RingSetupNumber = 425;
    private const nint RingEnterNumber = 426;

    /// <summary>writev(2).</summary>
    [LibraryImport(Library, EntryPoint = "writev", SetLastError = true)]
    public static partial nint WriteParts(int descriptor, ReadOnlySpan<IoPart> parts, int count);

    /// <summary>write(2), of octets that do not move.</summary>
    /// <param name="descriptor">Where to.</param>
    /// <param name="part">The octets.</param>
    /// <returns>How many were written, or -1 with <see cref="LastError"/>.</returns>
    public static nint Write(int descriptor, in IoPart part) => Write(descriptor, part.Start, part.Length);

    /// <summary>mmap(2).</summary>
    [LibraryImport(Library, EntryPoint = "mmap", SetLastError = true)]
    public static partial nint Map(nint address, nuint length, int protection, int flags, int descriptor, long offset);

    /// <summary>munmap(2).</summary>
    [LibraryImport(Library, EntryPoint = "munmap", SetLastError = true)]
    public static partial int Unmap(nint address, nuint length);

    /// <summary>io_uring_setup(2).</summary>
    /// <param name="entries">Requests that fit.</param>
    /// <param name="parameters">What is wanted; afterwards what is there.</param>
    /// <returns>The ring's descriptor, or -1 with <see cref="LastError"/>.</returns>
    public static unsafe nint SetUpRing(uint entries, RingParameters* parameters) =>
        SystemCall(RingSetupNumber, (nint)entries, (nint)parameters, 0, 0, 0, 0);

    /// <summary>io_uring_enter(2), without a signal mask.</summary>
    /// <param name="ring">The ring.</param>
    /// <param name="submitted">Requests to begin.</param>
    /// <param name="completed">Completions to wait for.</param>
    /// <param name="flags">IORING_ENTER_*.</param>
    /// <returns>Requests begun, or -1 with <see cref="LastError"/>.</returns>
    public static nint EnterRing(int ring, uint submitted, uint completed, uint flags) =>
        SystemCall(RingEnterNumber, ring, (nint)submitted, (nint)completed, (nint)flags, 0, 0);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, nint start, nint length);

    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint first, nint second, nint third, nint fourth, nint fifth, nint sixth);
}

/// <summary>struct iovec of readv(2): octets that stay where they are while the kernel works on them.</summary>
/// <param name="Start">Where they begin.</param>
/// <param name="Length">How many.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct IoPart(nint Start, nint Length);

/// <summary>struct io_uring_params of linux/io_uring.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RingParameters
{
    public uint Submissions;
    public uint Completions;
    public uint Flags;
    public uint PollThreadProcessor;
    public uint PollThreadIdle;
    public uint Features;
    public uint WorkQueueDescriptor;
    public fixed uint Reserved[3];
    public SubmissionOffsets Submission;
    public CompletionOffsets Completion;
}

/// <summary>struct io_sqring_offsets: where the parts of the submission ring lie in its mapping.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SubmissionOffsets
{
    public uint Head;
    public uint Tail;
    public uint Mask;
    public uint Entries;
    public uint Flags;
    public uint Dropped;
    public uint Array;
    public uint Reserved;
    public ulong UserAddress;
}

/// <summary>struct io_cqring_offsets: where the parts of the completion ring lie in its mapping.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CompletionOffsets
{
    public uint Head;
    public uint Tail;
    public uint Mask;
    public uint Entries;
    public uint Overflow;
    public uint Completions;
    public uint Flags;
    public uint Reserved;
    public ulong UserAddress;
}

/// <summary>struct io_uring_sqe: a request.</summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct RingRequest
{
    public byte Operation;
    public byte Flags;
    public ushort Priority;
    public int Descriptor;
    public ulong Offset;
    public nint Address;
    public uint Length;
    public uint OperationFlags;
    public ulong Name;
}

/// <summary>struct io_uring_cqe: what became of a request.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RingResult
{
    public ulong Name;
    public int Result;
    public uint Flags;
}
