using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Tests.Wire.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class EthernetFrameTests
{
    [Fact]
    public void The_IPv6_header_is_where_scapy_put_it()
    {
        OracleFrame[] frames = [.. OracleFrame.All.Where(frame => frame.NetworkOffset != 0)];

        Assert.All(frames, frame => Assert.Equal(frame.NetworkOffset, EthernetFrame.FindIpv6(frame.Octets)));
        Assert.Equal([14, 18, 22], frames.Select(frame => frame.NetworkOffset).Distinct().Order());
    }

    [Theory]
    [InlineData(0x0800)]
    [InlineData(0x0806)]
    [InlineData(0x88cc)]
    [InlineData(0x0040)]
    public void Other_ether_types_carry_no_IPv6(int type)
    {
        byte[] frame = (Frames.Udp(Frames.Host, 1, Frames.Server, 2) with { Link = LinkHeader.Ethernet }).Build();
        frame[12] = (byte)(type >> 8);
        frame[13] = (byte)type;

        Assert.Equal(-1, EthernetFrame.FindIpv6(frame));
    }

    [Theory]
    [InlineData(0x8100)]
    [InlineData(0x88a8)]
    [InlineData(0x9100)]
    [InlineData(0x9200)]
    [InlineData(0x9300)]
    public void Any_number_of_tags_is_stepped_over(int tag)
    {
        for (int tags = 0; tags < 12; tags++)
        {
            byte[] header = [.. new byte[12], .. Enumerable.Repeat<byte[]>([(byte)(tag >> 8), (byte)tag, 0, 5], tags).SelectMany(octets => octets), 0x86, 0xdd];
            Assert.Equal(14 + (4 * tags), EthernetFrame.FindIpv6(header));
        }
    }

    [Fact]
    public void A_cut_header_carries_no_IPv6()
    {
        byte[] frame = (Frames.Udp(Frames.Host, 1, Frames.Server, 2) with { Link = LinkHeader.DoubleVlan }).Build();

        for (int length = 0; length < 22; length++)
        {
            Assert.Equal(-1, EthernetFrame.FindIpv6(frame.AsSpan(0, length)));
        }

        Assert.Equal(22, EthernetFrame.FindIpv6(frame.AsSpan(0, 22)));
    }
}
