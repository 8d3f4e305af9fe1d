using OnDemand.Dataplane.Selection;
using Xunit;

namespace OnDemand.Dataplane.Tests.Selection;

public sealed class PortRangeTests
{
    [Theory]
    [InlineData("22", 22, 22, "22")]
    [InlineData("5000-5999", 5000, 5999, "5000-5999")]
    [InlineData("0 - 65535", 0, 65535, "0-65535")]
    [InlineData("80-80", 80, 80, "80")]
    public void A_port_or_a_range_is_read_and_written(string text, int first, int last, string canonical)
    {
        Assert.True(PortRange.TryParse(text, out PortRange range));
        Assert.Equal((first, last, canonical), (range.First, range.Last, range.ToString()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("-")]
    [InlineData("80-")]
    [InlineData("-80")]
    [InlineData("80-79")]
    [InlineData("65536")]
    [InlineData("1-2-3")]
    [InlineData("http")]
    [InlineData("+80")]
    public void What_is_no_range_of_ports_is_refused(string? text) => Assert.False(PortRange.TryParse(text, out _));

    [Fact]
    public void A_range_that_ends_before_it_begins_cannot_be_made() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new PortRange(80, 79));
}
