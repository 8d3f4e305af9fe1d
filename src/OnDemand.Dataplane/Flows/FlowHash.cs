using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// The seeded hash of every table: multiply wide and fold, the construction of the wyhash family. The seed comes from the options, so
/// nobody on the wire can choose keys that collide without knowing it, and the same seed gives the same tables.
/// </summary>
internal readonly struct FlowHash(ulong seed)
{
    private readonly ulong _first = Mix(seed ^ 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db);
    private readonly ulong _second = Mix(seed ^ 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3);
    private readonly ulong _secondRound = Mix(seed ^ 0x1d8e_4e27_c47d_124f, 0xa076_1d64_78bd_642f);

    /// <summary>Hashes an address and a 64-bit tail.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Of(in IpAddress address, ulong tail) => Of(address.FirstWord, address.SecondWord, tail);

    /// <summary>Hashes an address.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Of(IpAddress address) => Mix(address.FirstWord ^ _first, address.SecondWord ^ _second);

    /// <summary>Hashes two addresses and a tail.</summary>
    public ulong Of(IpAddress one, IpAddress other, ulong tail) =>
        Of(one.FirstWord ^ other.SecondWord, one.SecondWord, tail) ^ Of(other.FirstWord, other.SecondWord, ~tail);

    /// <summary>Hashes a number.</summary>
    public ulong Of(ulong key) => Mix(key ^ _first, _second);

    /// <summary>Hashes the two words of an address and a tail.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Of(ulong first, ulong second, ulong tail) => Mix(Mix(first ^ _first, second ^ _second) ^ tail, _secondRound);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Mix(ulong left, ulong right)
    {
        if (Bmi2.X64.IsSupported)
        {
            return Bmi2.X64.MultiplyNoFlags(left, right) ^ (left * right);   // both halves in registers
        }

        ulong high = Math.BigMul(left, right, out ulong low);
        return high ^ low;
    }
}
