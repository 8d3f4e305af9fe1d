using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Tap;

/// <summary>
/// The program that says into which of a TAP's queues the kernel puts a frame (TUNSETSTEERINGEBPF of linux/if_tun.h, since 4.16). What it looks
/// at is what a rewrite leaves alone, and is the same in both directions: both ports together, of ICMPv6 the identifier of an echo. So both
/// directions of a flow go through one queue, in order. Fragments of one datagram share its identification, but not always the queue of the
/// flow's whole datagrams; and the directions of ESP differ, which has no ports. Left to itself the kernel put all UDP flows between two hosts
/// into one queue.
/// </summary>
/// <remarks>
/// <code>
///        if the frame is not IPv6, or ends too early                 queue 0
/// mixed: fragment  -> identification
///        ICMPv6    -> the 16 bits behind its checksum
///        others    -> source port ^ destination port
/// (mixed * 0x9e3779b1) >> 16, modulo the number of queues, which the kernel does
/// </code>
/// The product (Knuth, The Art of Computer Programming, 6.4) matters: of the ports of its own choice Linux gives clients even ones first.
/// </remarks>
internal static class QueueSteering
{
    private const uint SocketFilter = 1;             // BPF_PROG_TYPE_SOCKET_FILTER
    private const int EtherType = 12;
    private const int Ipv6EtherType = 0x86dd;
    private const int NextHeader = 14 + 6;
    private const int Payload = 14 + 40;
    private const int FragmentHeader = 44;           // RFC 8200 §4.5
    private const int Icmpv6 = 58;                   // RFC 4443

    // linux/bpf.h and linux/bpf_common.h: class, mode, size and source of the instructions used, registers, and how far jumps go.
    private const byte LoadOctet = 0x30;             // BPF_LD | BPF_ABS | BPF_B: r0 = what is there, in the host's order; the end if nothing is
    private const byte LoadHalf = 0x28;              // … | BPF_H
    private const byte LoadWord = 0x20;              // … | BPF_W
    private const byte JumpAlways = 0x05;            // BPF_JMP | BPF_JA
    private const byte JumpIfEqual = 0x15;           // BPF_JMP | BPF_JEQ | BPF_K
    private const byte JumpIfOther = 0x55;           // BPF_JMP | BPF_JNE | BPF_K
    private const byte Copy = 0xbf;                  // BPF_ALU64 | BPF_MOV | BPF_X
    private const byte SetNumber = 0xb7;             // BPF_ALU64 | BPF_MOV | BPF_K
    private const byte ExclusiveOr = 0xaf;           // BPF_ALU64 | BPF_XOR | BPF_X
    private const byte Multiply = 0x24;              // BPF_ALU | BPF_MUL | BPF_K: 32 bits
    private const byte ShiftRight = 0x74;            // BPF_ALU | BPF_RSH | BPF_K
    private const byte Exit = 0x95;                  // BPF_JMP | BPF_EXIT
    private const int Golden = unchecked((int)0x9e37_79b1);

    private static readonly ulong[] Program =
    [
        One(Copy, 6, 1),                             // loads from the packet want its description in r6
        One(LoadHalf, number: EtherType),
        One(JumpIfOther, offset: 14, number: Ipv6EtherType),
        One(LoadOctet, number: NextHeader),
        One(JumpIfEqual, offset: 6, number: FragmentHeader),
        One(JumpIfEqual, offset: 7, number: Icmpv6),
        One(LoadHalf, number: Payload),
        One(Copy, 7, 0),
        One(LoadHalf, number: Payload + 2),
        One(ExclusiveOr, 0, 7),
        One(JumpAlways, offset: 3),
        One(LoadWord, number: Payload + 4),          // fragments
        One(JumpAlways, offset: 1),
        One(LoadHalf, number: Payload + 4),          // ICMPv6
        One(Multiply, number: Golden),               // all
        One(ShiftRight, number: 16),
        One(Exit),
        One(SetNumber),                              // no IPv6
        One(Exit),
    ];

    /// <summary>Has the kernel keep the program.</summary>
    /// <param name="error">Why it does not: EPERM where that is forbidden, ENOSYS where it has no bpf(2).</param>
    /// <returns>The program's descriptor; null if there is none.</returns>
    public static unsafe FileDescriptor? TryLoad(out int error)
    {
        fixed (ulong* instructions = Program)
        fixed (byte* license = "MIT\0"u8)
        {
            PacketProgram request = new()
            {
                Type = SocketFilter,
                Count = (uint)Program.Length,
                Instructions = (nint)instructions,
                License = (nint)license,
            };
            FileDescriptor program = Libc.Load(&request);
            error = program.IsInvalid ? Libc.LastError : 0;
            if (!program.IsInvalid)
            {
                return program;
            }

            program.Dispose();
            return null;
        }
    }

    // struct bpf_insn: code, two registers, offset of a jump (from the next instruction), number.
    private static ulong One(byte code, int register = 0, int other = 0, short offset = 0, int number = 0)
    {
        int registers = BitConverter.IsLittleEndian ? register | (other << 4) : (register << 4) | other;
        return BitConverter.IsLittleEndian
            ? code | ((ulong)registers << 8) | ((ulong)(ushort)offset << 16) | ((ulong)(uint)number << 32)
            : ((ulong)code << 56) | ((ulong)registers << 48) | ((ulong)(ushort)offset << 32) | (uint)number;
    }
}
