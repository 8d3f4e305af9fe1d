using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Small programs that the kernel runs: bpf(2), for which the C library has no function.</content>
internal static partial class Libc
{
    private const nint LoadProgram = 5;              // BPF_PROG_LOAD
    private const nint LoadProgramLength = 48;       // up to prog_flags; the rest is zero to the kernel

    // Older than the common table. What is not listed gets ENOSYS.
    private static nint ProgramNumber => RuntimeInformation.ProcessArchitecture switch
    {
        Architecture.X64 => 321,
        Architecture.S390x => 351,
        Architecture.Arm64 or Architecture.RiscV64 or Architecture.LoongArch64 => 280,
        _ => -1,
    };

    /// <summary>bpf(2): has the kernel check a program and keep it.</summary>
    /// <param name="request">The program.</param>
    /// <returns>Its descriptor, or an invalid one with <see cref="LastError"/>.</returns>
    public static unsafe FileDescriptor Load(PacketProgram* request) => SystemCall(ProgramNumber, LoadProgram, (nint)request, LoadProgramLength);
}

/// <summary>union bpf_attr of linux/bpf.h for BPF_PROG_LOAD, as far as it is needed.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PacketProgram
{
    public uint Type;
    public uint Count;
    public nint Instructions;
    public nint License;
    public uint LogLevel;
    public uint LogSize;
    public nint Log;
    public uint KernelVersion;
    public uint Flags;
}
