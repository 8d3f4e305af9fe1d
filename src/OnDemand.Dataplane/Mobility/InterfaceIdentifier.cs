using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

// Read RFC 7217 §5, RFC 5453 §3, RFC 2526 §2 and RFC 6296 §3 before changing this file.

/// <summary>
/// Makes typed addresses: everything past the prefix, for prefixes of any length below 128. Pure functions; no allocation. Reserved
/// identifiers are never made (<see cref="IsReserved"/>). No address made here says anything about another to who lacks the secret or
/// seed, except neutral ones: all neutral addresses of a host share their sum, so an observer can link them.
/// </summary>
public static class InterfaceIdentifier
{
    /// <summary>Octets that a secret or seed must have at least: 128 bits (RFC 7217 §5).</summary>
    public const int MinimumSecretLength = 16;

    private const int DigestLength = SHA256.HashSizeInBytes;
    private const int WordsInAddress = IpAddress.Length / 2;

    // What is hashed begins with what it is for, so that one secret may serve both.
    private const ulong StableDomain = 0x4F44_5374_6162_6C65;   // "ODStable"
    private const ulong OpaqueDomain = 0x4F44_4F70_6171_7565;   // "ODOpaque"

    /// <summary>
    /// A semantically opaque, stable address (RFC 7217 §5): the same for the same arguments, and unrelated to the host's addresses in
    /// other prefixes. The internal address stands where RFC 7217 has the interface.
    /// </summary>
    /// <param name="prefix">The typed prefix, shorter than 128 bits.</param>
    /// <param name="internalAddress">The internal address whose flows will use it.</param>
    /// <param name="networkId">What names the network or point of attachment; may be empty.</param>
    /// <param name="dadCounter">0, and one more each time the address turned out to be a duplicate.</param>
    /// <param name="secret">At least <see cref="MinimumSecretLength"/> octets that the host keeps to itself and over restarts.</param>
    /// <returns>The address.</returns>
    /// <exception cref="ArgumentException">The prefix leaves nothing to choose, or the secret is too short.</exception>
    public static IpAddress Stable(
        IpPrefix prefix,
        IpAddress internalAddress,
        ReadOnlySpan<byte> networkId,
        uint dadCounter,
        ReadOnlySpan<byte> secret)
    {
        ThrowIfUnusable(prefix, secret);
        var message = new Message(StableDomain, prefix, internalAddress);
        Span<byte> octets = stackalloc byte[Message.Length];
        message.Write(octets, networkId, secret);
        ulong counter = dadCounter;
        return FirstUnreserved(prefix, octets, ref counter);
    }

    /// <summary>A random-looking address: without the seed nothing tells it from random, with the seed it can be made again.</summary>
    /// <param name="prefix">The typed prefix, shorter than 128 bits.</param>
    /// <param name="seed">At least <see cref="MinimumSecretLength"/> octets that the host keeps to itself.</param>
    /// <param name="counter">What was never used with this seed before; on return the next such number.</param>
    /// <returns>The address.</returns>
    /// <exception cref="ArgumentException">The prefix leaves nothing to choose, or the seed is too short.</exception>
    public static IpAddress Opaque(IpPrefix prefix, ReadOnlySpan<byte> seed, ref ulong counter)
    {
        ThrowIfUnusable(prefix, seed);
        var message = new Message(OpaqueDomain, prefix, IpAddress.Unspecified);
        Span<byte> octets = stackalloc byte[Message.Length];
        message.Write(octets, [], seed);
        IpAddress address = FirstUnreserved(prefix, octets, ref counter);
        counter++;
        return address;
    }

    /// <summary>
    /// Makes an address checksum-neutral: changes one 16-bit word past the prefix so that its one's-complement sum is that of the internal
    /// address (RFC 6296 §3). Rewriting one into the other then leaves every checksum right, of transports we do not know too.
    /// </summary>
    /// <param name="prefix">The typed prefix.</param>
    /// <param name="typed">An address in it, as <see cref="Stable"/> or <see cref="Opaque"/> made it.</param>
    /// <param name="internalAddress">The internal address.</param>
    /// <param name="neutral">The neutral address in the same prefix.</param>
    /// <returns>
    /// False if the prefix leaves no whole word (it is longer than 112 bits), or if every word would give a reserved identifier, which
    /// with 64 bits of identifier another <paramref name="typed"/> avoids.
    /// </returns>
    /// <exception cref="ArgumentException">The address is not in the prefix.</exception>
    public static bool MakeNeutral(IpPrefix prefix, IpAddress typed, IpAddress internalAddress, out IpAddress neutral)
    {
        if (!prefix.Contains(typed))
        {
            throw new ArgumentException($"{typed} does not lie in {prefix}.", nameof(typed));
        }

        // The subnet bits of a prefix shorter than 64 stay as they are.
        for (int word = Math.Max(4, (prefix.Length + 15) / 16); word < WordsInAddress; word++)
        {
            neutral = Neutralize(typed, word, internalAddress);
            if (!IsReserved(prefix, neutral))
            {
                return true;
            }

            // Zero has two representations in one's complement; one of them may be free.
            if (WordOf(neutral, word) == 0 && !IsReserved(prefix, neutral = WithWord(neutral, word, ushort.MaxValue)))
            {
                return true;
            }
        }

        neutral = default;
        return false;
    }

    /// <summary>
    /// Whether the identifier of an address in a prefix is reserved: the subnet-router anycast address (RFC 4291 §2.6.1), the reserved
    /// subnet anycast addresses (RFC 2526) and, where the identifier has 64 bits, the IANA Ethernet block (RFC 5453).
    /// </summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="address">An address in it.</param>
    /// <returns>Whether it is.</returns>
    public static bool IsReserved(IpPrefix prefix, IpAddress address)
    {
        if (prefix.Length <= 64)
        {
            return address.Low is 0 or (>= 0xfdff_ffff_ffff_ff80 and <= 0xfdff_ffff_ffff_ffff) || address.Low >> 24 == 0x02_005e_fffe;
        }

        // RFC 2526 §2: any other identifier with all ones but for the last seven bits; shorter ones it does not reserve.
        ulong identifier = address.Low & ~IpPrefix.LowMask(prefix.Length);
        ulong greatest = ~IpPrefix.LowMask(prefix.Length);
        return identifier == 0 || (greatest > 0x7f && identifier >= greatest - 0x7f);
    }

    /// <summary>Gives one word the value with which the sums of two addresses are equal (RFC 6296 §3.1; 0xffff is made zero).</summary>
    /// <param name="typed">The address to change.</param>
    /// <param name="word">The word, 0 to 7 from the left.</param>
    /// <param name="internalAddress">The address whose sum is wanted.</param>
    /// <returns>The changed address.</returns>
    internal static IpAddress Neutralize(IpAddress typed, int word, IpAddress internalAddress)
    {
        uint sum = (uint)WordOf(typed, word) + internalAddress.Sum + (ushort)~typed.Sum;
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        return WithWord(typed, word, sum == ushort.MaxValue ? (ushort)0 : (ushort)sum);
    }

    private static IpAddress FirstUnreserved(IpPrefix prefix, Span<byte> message, ref ulong counter)
    {
        Span<byte> digest = stackalloc byte[DigestLength];
        while (true)
        {
            BinaryPrimitives.WriteUInt64BigEndian(message[Message.CounterOffset..], counter);
            SHA256.HashData(message, digest);
            IpAddress random = IpAddress.Read(digest);
            var address = new IpAddress(
                prefix.Address.High | (random.High & ~IpPrefix.HighMask(prefix.Length)),
                prefix.Address.Low | (random.Low & ~IpPrefix.LowMask(prefix.Length)));
            if (!IsReserved(prefix, address))
            {
                return address;
            }

            counter++;
        }
    }

    private static void ThrowIfUnusable(
        IpPrefix prefix,
        ReadOnlySpan<byte> secret,
        [CallerArgumentExpression(nameof(secret))] string? secretName = null)
    {
        if (prefix.IsSingleAddress)
        {
            throw new ArgumentException($"{prefix} is a single address; there is nothing to choose.", nameof(prefix));
        }

        if (secret.Length < MinimumSecretLength)
        {
            throw new ArgumentException(
                $"A {secretName} has at least {MinimumSecretLength} octets (RFC 7217 §5), not {secret.Length}.",
                secretName);
        }
    }

    private static ushort WordOf(IpAddress address, int word) =>
        (ushort)((word < 4 ? address.High : address.Low) >> (48 - (word % 4 * 16)));

    private static IpAddress WithWord(IpAddress address, int word, ushort value)
    {
        int shift = 48 - (word % 4 * 16);
        ulong clear = ~(0xffffUL << shift);
        ulong set = (ulong)value << shift;
        return word < 4
            ? new IpAddress((address.High & clear) | set, address.Low)
            : new IpAddress(address.High, (address.Low & clear) | set);
    }

    /// <summary>
    /// What is hashed: fields of fixed length at fixed places, so no two inputs read the same; those of any length enter as their digest.
    /// </summary>
    private readonly record struct Message(ulong Domain, IpPrefix Prefix, IpAddress InternalAddress)
    {
        public const int CounterOffset = 105;
        public const int Length = CounterOffset + sizeof(ulong);

        public void Write(Span<byte> octets, ReadOnlySpan<byte> networkId, ReadOnlySpan<byte> secret)
        {
            BinaryPrimitives.WriteUInt64BigEndian(octets, Domain);
            Prefix.Address.Write(octets[8..]);
            octets[24] = Prefix.Length;
            InternalAddress.Write(octets[25..]);
            SHA256.HashData(networkId, octets[41..]);
            SHA256.HashData(secret, octets[73..]);
        }
    }
}
