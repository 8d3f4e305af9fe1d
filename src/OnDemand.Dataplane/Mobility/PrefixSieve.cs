using System.Runtime.CompilerServices;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

/// <summary>
/// Tells at once that an address shares its first half with none that was ever added: most remote addresses, which would otherwise cost a
/// cache miss in a large index to be found unknown. A small Bloom filter; what it lets through may still be unknown.
/// </summary>
internal sealed class PrefixSieve
{
    private const int Bits = 1024;
    private const int Shift = 64 - 10;

    private readonly ulong[] _words = new ulong[Bits / 64];

    /// <summary>Adds an address, for ever: there are few prefixes, and one that has gone does no harm.</summary>
    public void Add(in IpAddress address)
    {
        uint bit = BitOf(address);
        _words[bit / 64] |= 1UL << (int)(bit % 64);
    }

    /// <summary>Whether an address may have been added.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool MayHave(in IpAddress address)
    {
        uint bit = BitOf(address);
        return (_words[bit / 64] >> (int)(bit % 64) & 1) != 0;
    }

    // The golden ratio's fraction spreads the prefixes (multiplicative hashing).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint BitOf(in IpAddress address) => (uint)((address.FirstWord * 0x9e37_79b9_7f4a_7c15) >> Shift);
}
