using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Tap;

public sealed class TapDeviceTests
{
    [Theory]
    [InlineData("")]
    [InlineData("sixteen-octets-0")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("..")]
    public void A_name_that_the_kernel_would_not_take_is_refused_in_words(string name)
    {
        HostException problem = Assert.Throws<HostException>(() => TapDevice.Open(name));

        Assert.Contains($"'{name}' cannot be the name of an interface", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_other_end_is_not_the_tap_itself_and_no_real_device()
    {
        var tap = new MacAddress(0x0011_2233_4455);

        Assert.Equal("00:11:22:33:44:55", tap.ToString());
        Assert.Equal("02:11:22:33:44:54", tap.OtherEnd.ToString());
    }
}
