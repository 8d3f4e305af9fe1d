using System.Net;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class IpPrefixTests
{
    [Fact]
    public void A_prefix_contains_what_the_framework_says_it_contains() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(5000), Prop.ForAll<ulong, ulong, byte>((high, low, at) =>
        {
            int length = at % 129;
            var prefix = new IpPrefix(new IpAddress(high, low), length);
            var framework = new IPNetwork(ToFramework(prefix.Address), length);
            int flipped = (int)(low % 128);
            var near = flipped < 64 ? new IpAddress(high ^ (1UL << (63 - flipped)), low) : new IpAddress(high, low ^ (1UL << (127 - flipped)));
            return prefix.Contains(new IpAddress(high, low)) && prefix.Contains(near) == framework.Contains(ToFramework(near))
                && prefix.Contains(near) == (flipped >= length);
        }));

    [Fact]
    public void Bits_past_the_length_are_cleared()
    {
        var prefix = new IpPrefix(IpAddress.Parse("2001:db8:ffff:ffff:ffff::1"), 33);

        Assert.Equal("2001:db8:8000::/33", prefix.ToString());
        Assert.Equal(new IpPrefix(IpAddress.Parse("2001:db8:8000::"), 33), prefix);
    }

    [Theory]
    [InlineData("::/0")]
    [InlineData("2001:db8::/32")]
    [InlineData("2001:db8:0:1::/64")]
    [InlineData("2001:db8:0:0:8000::/65")]
    [InlineData("2001:db8::1/128")]
    public void Text_goes_there_and_back(string text) => Assert.Equal(text, IpPrefix.Parse(text).ToString());

    [Fact]
    public void A_bare_address_is_that_one_address()
    {
        IpPrefix prefix = IpPrefix.Parse("2001:db8::7");

        Assert.Equal(128, prefix.Length);
        Assert.True(prefix.IsSingleAddress);
        Assert.False(prefix.Contains(IpAddress.Parse("2001:db8::6")));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("2001:db8::1/64")]
    [InlineData("2001:db8::/129")]
    [InlineData("2001:db8::/-1")]
    [InlineData("2001:db8::/")]
    [InlineData("2001:db8::/6 4")]
    [InlineData("2001:db8::/64/64")]
    [InlineData("192.0.2.0/24")]
    [InlineData("/64")]
    public void What_is_not_a_prefix_is_refused(string? text)
    {
        Assert.False(IpPrefix.TryParse(text, out _));
        Assert.Throws<FormatException>(() => IpPrefix.Parse(text!));
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(129)]
    public void A_length_outside_0_to_128_is_the_callers_mistake(int length) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new IpPrefix(IpAddress.Loopback, length));

    private static IPAddress ToFramework(IpAddress address)
    {
        byte[] octets = new byte[16];
        address.Write(octets);
        return new IPAddress(octets);
    }
}
