using System.Text;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Mobility;

public sealed class InterfaceIdentifierTests
{
    private static readonly byte[] Secret = [.. Enumerable.Range(0, 32).Select(octet => (byte)octet)];
    private static readonly IpAddress Internal = IpAddress.Parse("fd00:db8::1");

    [Theory]
    [Trait("RFC", "7217 §5")]
    [InlineData("2001:db8:f1::/64", "ar1", 0, "2001:db8:f1:0:ac66:1c0f:667f:b0d")]
    [InlineData("2001:db8:f1::/64", "ar1", 1, "2001:db8:f1:0:320d:7710:49f6:f68a")]
    [InlineData("2001:db8:f1:8000::/50", "", 0, "2001:db8:f1:a551:2045:a9c4:b7a3:511e")]
    public void Stable_addresses_stay_what_they_are_from_version_to_version(
        string prefix,
        string networkId,
        uint dadCounter,
        string expected)
    {
        // Computed with another SHA-256 over the documented fields. Hosts keep Fixed addresses over restarts and upgrades.
        byte[] network = Encoding.ASCII.GetBytes(networkId);

        IpAddress address = InterfaceIdentifier.Stable(IpPrefix.Parse(prefix), Internal, network, dadCounter, Secret);

        Assert.Equal(IpAddress.Parse(expected), address);
    }

    [Fact]
    [Trait("RFC", "7217 §5")]
    public void Each_argument_of_a_stable_address_changes_it()
    {
        IpPrefix prefix = IpPrefix.Parse("2001:db8:f1::/64");
        byte[] otherSecret = [.. Secret.Reverse()];
        IpAddress[] addresses =
        [
            InterfaceIdentifier.Stable(prefix, Internal, "ar1"u8, 0, Secret),
            InterfaceIdentifier.Stable(IpPrefix.Parse("2001:db8:f2::/64"), Internal, "ar1"u8, 0, Secret),
            InterfaceIdentifier.Stable(IpPrefix.Parse("2001:db8:f1::/63"), Internal, "ar1"u8, 0, Secret),
            InterfaceIdentifier.Stable(prefix, IpAddress.Parse("fd00:db8::2"), "ar1"u8, 0, Secret),
            InterfaceIdentifier.Stable(prefix, Internal, "ar2"u8, 0, Secret),
            InterfaceIdentifier.Stable(prefix, Internal, "ar1"u8, 1, Secret),
            InterfaceIdentifier.Stable(prefix, Internal, "ar1"u8, 0, otherSecret),
        ];

        Assert.Equal(addresses.Length, addresses.DistinctBy(address => address.Low).Count());
        Assert.Equal(addresses[0], InterfaceIdentifier.Stable(prefix, Internal, "ar1"u8, 0, Secret));
    }

    [Fact]
    public void Opaque_addresses_follow_from_the_seed_alone_and_the_counter_goes_on()
    {
        IpPrefix prefix = IpPrefix.Parse("2001:db8:a1:1::/64");
        ulong counter = 0;

        Assert.Equal(IpAddress.Parse("2001:db8:a1:1:5988:759f:d08d:dc6c"), InterfaceIdentifier.Opaque(prefix, Secret, ref counter));
        Assert.Equal(1UL, counter);
        Assert.Equal(IpAddress.Parse("2001:db8:a1:1:5cb6:e624:feca:45fa"), InterfaceIdentifier.Opaque(prefix, Secret, ref counter));
        Assert.Equal(2UL, counter);
    }

    [Fact]
    [Trait("RFC", "2526 §2")]
    public void A_counter_that_would_give_a_reserved_identifier_is_passed_over()
    {
        // Counters 0 and 1 would give 2001:db8::1d4 and 2001:db8::184, among the last 128 addresses of the prefix.
        ulong counter = 0;

        IpAddress address = InterfaceIdentifier.Opaque(IpPrefix.Parse("2001:db8::100/120"), Secret, ref counter);

        Assert.Equal((IpAddress.Parse("2001:db8::113"), 3UL), (address, counter));
    }

    [Fact]
    public void Addresses_lie_in_the_prefix_and_are_not_reserved_whatever_its_length() =>
        Prop.ForAll(Prefixes(127), Seeds(), (prefix, seed) =>
        {
            ulong counter = 0;
            IpAddress opaque = InterfaceIdentifier.Opaque(prefix, seed, ref counter);
            IpAddress stable = InterfaceIdentifier.Stable(prefix, Internal, seed, 0, seed);
            return prefix.Contains(opaque) && !InterfaceIdentifier.IsReserved(prefix, opaque)
                && prefix.Contains(stable) && !InterfaceIdentifier.IsReserved(prefix, stable)
                && counter > 0;
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(64, "2001:db8::", true)]
    [InlineData(64, "2001:db8::1", false)]
    [InlineData(48, "2001:db8:0:1::", true)]
    [InlineData(64, "2001:db8::fdff:ffff:ffff:ff7f", false)]
    [InlineData(64, "2001:db8::fdff:ffff:ffff:ff80", true)]
    [InlineData(64, "2001:db8::fdff:ffff:ffff:ffff", true)]
    [InlineData(64, "2001:db8::fe00:0:0:0", false)]
    [InlineData(64, "2001:db8::200:5eff:fdff:ffff", false)]
    [InlineData(64, "2001:db8::200:5eff:fe00:0", true)]
    [InlineData(64, "2001:db8::200:5eff:fe00:5213", true)]
    [InlineData(64, "2001:db8::200:5eff:feff:ffff", true)]
    [InlineData(64, "2001:db8::200:5eff:ff00:0", false)]
    [InlineData(96, "2001:db8::", true)]
    [InlineData(96, "2001:db8::5eff:fe00:0", false)]
    [InlineData(96, "2001:db8::ffff:ff7f", false)]
    [InlineData(96, "2001:db8::ffff:ff80", true)]
    [InlineData(120, "2001:db8::7f", false)]
    [InlineData(120, "2001:db8::80", true)]
    [InlineData(121, "2001:db8::7f", false)]
    [InlineData(127, "2001:db8::", true)]
    [InlineData(127, "2001:db8::1", false)]
    [Trait("RFC", "5453 §3")]
    public void Reserved_identifiers_are_known_for_every_length(int length, string text, bool expected)
    {
        IpAddress address = IpAddress.Parse(text);

        Assert.Equal(expected, InterfaceIdentifier.IsReserved(new IpPrefix(address, length), address));
    }

    [Theory]
    [InlineData("2001:db8:1:1::1234", "fd01:203:405:1::1234", "2001:db8:1:d550::1234")]
    [InlineData("fd01:203:405:d550::1234", "2001:db8:1:d550::1234", "fd01:203:405:1::1234")]
    [Trait("RFC", "6296 §3")]
    public void The_adjustment_is_that_of_RFC_6296s_example(string translated, string from, string expected)
    {
        IpAddress neutral = InterfaceIdentifier.Neutralize(IpAddress.Parse(translated), word: 3, IpAddress.Parse(from));

        Assert.Equal(IpAddress.Parse(expected), neutral);
    }

    [Fact]
    [Trait("RFC", "6296 §3.1")]
    public void A_neutral_address_has_the_sum_of_the_internal_one_and_differs_in_one_word_past_the_prefix() =>
        Prop.ForAll(Prefixes(96), Seeds(), Addresses(), (prefix, seed, internalAddress) =>
        {
            ulong counter = 0;
            IpAddress typed = InterfaceIdentifier.Opaque(prefix, seed, ref counter);
            return InterfaceIdentifier.MakeNeutral(prefix, typed, internalAddress, out IpAddress neutral)
                && prefix.Contains(neutral)
                && new IpPrefix(typed, Math.Max(64, (int)prefix.Length)).Contains(neutral)
                && SlowSum(neutral) % 0xffff == SlowSum(internalAddress) % 0xffff
                && neutral.Sum == internalAddress.Sum
                && Words(neutral).Zip(Words(typed)).Count(pair => pair.First != pair.Second) <= 1
                && !InterfaceIdentifier.IsReserved(prefix, neutral);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void With_one_word_left_a_neutral_address_is_found_exactly_where_one_exists()
    {
        // 2001:db8:: has the sum 0x2db9; the identifier has to make up for the rest.
        IpPrefix prefix = IpPrefix.Parse("2001:db8::/112");
        HashSet<int> sumsThatExist = [.. Enumerable.Range(0, 0x1_0000)
            .Select(identifier => new IpAddress(prefix.Address.High, (ulong)identifier))
            .Where(address => !InterfaceIdentifier.IsReserved(prefix, address))
            .Select(address => SlowSum(address) % 0xffff)];
        int found = 0;
        int missing = 0;
        for (ushort wanted = ushort.MaxValue; wanted >= 0xff00; wanted--)
        {
            var internalAddress = new IpAddress(0x2db9UL << 48, wanted);

            bool made = InterfaceIdentifier.MakeNeutral(prefix, IpAddress.Parse("2001:db8::5"), internalAddress, out IpAddress neutral);

            Assert.Equal(sumsThatExist.Contains(SlowSum(internalAddress) % 0xffff), made);
            Assert.True(!made || neutral.Sum == internalAddress.Sum);
            found += made ? 1 : 0;
            missing += made ? 0 : 1;
        }

        Assert.Equal((128, 128), (found, missing));
    }

    [Fact]
    [Trait("RFC", "6296 §3.1")]
    public void Where_the_word_would_be_zero_and_the_identifier_with_it_the_other_zero_is_taken()
    {
        // 2001:db8:0:1:: and the internal address both have the sum 0x2dba.
        IpPrefix prefix = IpPrefix.Parse("2001:db8:0:1::/64");

        Assert.True(InterfaceIdentifier.MakeNeutral(
            prefix, IpAddress.Parse("2001:db8:0:1:5::"), IpAddress.Parse("fd00::30b9"), out IpAddress neutral));
        Assert.Equal(IpAddress.Parse("2001:db8:0:1:ffff::"), neutral);
    }

    [Theory]
    [InlineData(112, true)]
    [InlineData(113, false)]
    [InlineData(127, false)]
    public void A_prefix_that_leaves_no_whole_word_has_no_neutral_address(int length, bool expected)
    {
        IpAddress typed = IpAddress.Parse("2001:db8::1");

        Assert.Equal(expected, InterfaceIdentifier.MakeNeutral(new IpPrefix(typed, length), typed, Internal, out _));
    }

    [Fact]
    public void A_callers_mistake_is_refused_with_a_sentence()
    {
        IpPrefix prefix = IpPrefix.Parse("2001:db8::/64");
        ulong counter = 0;

        Refused("single address", () => InterfaceIdentifier.Opaque(IpPrefix.Parse("2001:db8::1/128"), Secret, ref counter));
        Refused("A seed has at least 16 octets", () => InterfaceIdentifier.Opaque(prefix, Secret.AsSpan(0, 15), ref counter));
        Refused("A secret has at least 16 octets", () => InterfaceIdentifier.Stable(prefix, Internal, [], 0, Secret.AsSpan(0, 15)));
        Refused("does not lie in", () => InterfaceIdentifier.MakeNeutral(prefix, IpAddress.Loopback, Internal, out _));
        Assert.Equal(0UL, counter);
    }

    [Fact]
    public void Making_addresses_allocates_nothing()
    {
        IpPrefix prefix = IpPrefix.Parse("2001:db8::/64");
        ulong counter = 0;
        IpAddress warm = MakeAll(prefix, ref counter);

        long before = GC.GetAllocatedBytesForCurrentThread();
        IpAddress again = MakeAll(prefix, ref counter);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.NotEqual(warm, again);
        Assert.Equal(0, allocated);
    }

    private static IpAddress MakeAll(IpPrefix prefix, ref ulong counter)
    {
        InterfaceIdentifier.Stable(prefix, Internal, "ar1"u8, 0, Secret);
        IpAddress opaque = InterfaceIdentifier.Opaque(prefix, Secret, ref counter);
        InterfaceIdentifier.MakeNeutral(prefix, opaque, Internal, out IpAddress neutral);
        return neutral;
    }

    private static Arbitrary<IpPrefix> Prefixes(int longest) => Arb.From(
        from address in Addresses().Generator
        from length in Gen.Choose(0, longest)
        select new IpPrefix(address, length));

    private static Arbitrary<IpAddress> Addresses() => Arb.From(
        from words in Gen.ArrayOf(Gen.Frequency((3, Gen.Choose(0, 0xffff)), (1, Gen.Elements(0, 1, 0xfffe, 0xffff))), 8)
        where words.Any(word => word != 0)
        select Joined(words));

    private static Arbitrary<byte[]> Seeds() => Arb.From(Gen.ArrayOf(Gen.Choose(0, 255).Select(octet => (byte)octet), 16));

    private static IpAddress Joined(int[] words)
    {
        byte[] octets = [.. words.SelectMany(word => new[] { (byte)(word >> 8), (byte)word })];
        return IpAddress.Read(octets);
    }

    private static int[] Words(IpAddress address)
    {
        byte[] octets = new byte[IpAddress.Length];
        address.Write(octets);
        return [.. octets.Chunk(2).Select(pair => (pair[0] << 8) | pair[1])];
    }

    private static int SlowSum(IpAddress address) => Words(address).Sum();

    private static void Refused(string because, Action action) =>
        Assert.Contains(because, Assert.ThrowsAny<ArgumentException>(action).Message, StringComparison.Ordinal);
}
