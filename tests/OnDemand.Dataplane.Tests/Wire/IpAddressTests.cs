using System.Net;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class IpAddressTests
{
    [Theory]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("2001:db8::1")]
    [InlineData("2001:DB8:0:0:8:800:200C:417A")]
    [InlineData("ff02::1:ff00:1")]
    [InlineData("fe80::1")]
    [InlineData("::ffff:192.0.2.1")]
    [InlineData("64:ff9b::192.0.2.33")]
    [Rfc(4291, "2.2")]
    public void Text_is_read_as_the_framework_reads_it(string text)
    {
        IpAddress address = IpAddress.Parse(text);

        Assert.Equal(IPAddress.Parse(text), ToFramework(address));
        Assert.Equal(IPAddress.Parse(text).ToString(), address.ToString());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("192.0.2.1")]
    [InlineData("2001:db8::1::2")]
    [InlineData("2001:db8::g")]
    [InlineData("fe80::1%eth0")]
    [InlineData("[2001:db8::1]")]
    [InlineData("[2001:db8::1]:80")]
    [InlineData("2001:db8::1/64")]
    [InlineData("12345")]
    public void What_is_not_a_plain_IPv6_address_is_refused(string? text)
    {
        Assert.False(IpAddress.TryParse(text, out IpAddress address));
        Assert.Equal(IpAddress.Unspecified, address);
        Assert.Throws<FormatException>(() => IpAddress.Parse(text!));
    }

    [Fact]
    [Rfc(5952, "4")]
    public void Every_address_survives_its_text_and_its_octets() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll<ulong, ulong>((high, low) =>
        {
            var address = new IpAddress(high, low);
            byte[] octets = new byte[16];
            address.Write(octets);
            return IpAddress.Parse(address.ToString()) == address && IpAddress.Read(octets) == address
                && new IPAddress(octets).ToString() == address.ToString();
        }));

    [Fact]
    public void What_kind_of_address_it_is_agrees_with_the_framework() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(5000), Prop.ForAll<ushort, ulong>((top, low) =>
        {
            // Half of the draws near the special ranges.
            ushort first = (low & 1) == 0 ? top : (ushort)(0xfe00 | (top & 0x1ff));
            var address = new IpAddress((ulong)first << 48, low);
            IPAddress framework = ToFramework(address);
            return address.IsMulticast == framework.IsIPv6Multicast && address.IsLinkLocal == framework.IsIPv6LinkLocal;
        }));

    [Fact]
    public void Loopback_and_unspecified_are_one_address_each()
    {
        Assert.True(IpAddress.Parse("::1").IsLoopback);
        Assert.False(IpAddress.Parse("::2").IsLoopback);
        Assert.False(IpAddress.Parse("1::1").IsLoopback);
        Assert.True(IpAddress.Parse("::").IsUnspecified);
        Assert.False(IpAddress.Parse("::1").IsUnspecified);
        Assert.False(IpAddress.Parse("1::").IsUnspecified);
    }

    [Fact]
    [Rfc(1071, "1")]
    public void The_sum_of_an_address_is_that_of_its_octets() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(5000), Prop.ForAll<ulong, ulong, byte>((high, low, edge) =>
        {
            var address = new IpAddress((edge & 1) == 0 ? high : ulong.MaxValue - edge, (edge & 2) == 0 ? low : ulong.MaxValue - edge);
            byte[] octets = new byte[16];
            address.Write(octets);
            return address.Sum == NaiveChecksum.Sum(octets);
        }));

    [Fact]
    [Rfc(6724, "2.2")]
    public void The_common_prefix_is_counted_bit_by_bit() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(5000), Prop.ForAll<ulong, ulong, byte>((high, low, at) =>
        {
            var one = new IpAddress(high, low);
            int bit = at % 129;
            var other = bit < 64 ? new IpAddress(high ^ (1UL << (63 - bit)), ~low) : bit < 128 ? new IpAddress(high, low ^ (1UL << (127 - bit))) : one;
            return one.CommonPrefixLength(other) == bit && other.CommonPrefixLength(one) == bit;
        }));

    [Fact]
    public void Addresses_are_ordered_as_their_octets_are() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll<ulong, ulong, ulong>((high, low, other) =>
        {
            var one = new IpAddress(high, low);
            var two = new IpAddress((other & 1) == 0 ? high : other, other);
            byte[] left = new byte[16];
            byte[] right = new byte[16];
            one.Write(left);
            two.Write(right);
            int order = left.AsSpan().SequenceCompareTo(right);
            return Math.Sign(one.CompareTo(two)) == Math.Sign(order) && one < two == order < 0 && one > two == order > 0
                && one <= two == order <= 0 && one >= two == order >= 0;
        }));

    private static IPAddress ToFramework(IpAddress address)
    {
        byte[] octets = new byte[16];
        address.Write(octets);
        return new IPAddress(octets);
    }
}
