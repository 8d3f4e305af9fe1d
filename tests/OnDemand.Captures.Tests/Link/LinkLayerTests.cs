using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Link;
using Xunit;

namespace OnDemand.Captures.Tests.Link;

public sealed class LinkLayerTests
{
    private const string Addresses = "020000000001" + "020000000002";
    private const string SllHead = "0000" + "0001" + "0006" + "0200000000010000";
    private const string Sll2Head = "86dd" + "0000" + "00000002" + "0001" + "00" + "06" + "0200000000010000";

    private static readonly ushort[] Known = [0, 1, 12, 14, 101, 108, 113, 229, 276];

    [Theory]
    [InlineData(1, Addresses + "86dd" + "60", 14)]
    [InlineData(1, Addresses + "8100" + "0001" + "86dd" + "60", 18)]
    [InlineData(1, Addresses + "88a8" + "0001" + "8100" + "0002" + "86dd" + "60", 22)]
    [InlineData(1, Addresses + "9100" + "0001" + "9200" + "0002" + "9300" + "0003" + "86dd" + "6f", 26)]
    [InlineData(0, "0a000000" + "60", 4)]
    [InlineData(0, "0000000a" + "60", 4)]
    [InlineData(0, "18000000" + "60", 4)]
    [InlineData(0, "0000001c" + "60", 4)]
    [InlineData(108, "0000001e" + "60", 4)]
    [InlineData(108, "1e000000" + "60", 4)]
    [InlineData(12, "60", 0)]
    [InlineData(14, "60", 0)]
    [InlineData(101, "60", 0)]
    [InlineData(229, "60", 0)]
    [InlineData(113, SllHead + "86dd" + "60", 16)]
    [InlineData(113, SllHead + "8100" + "0001" + "86dd" + "60", 20)]
    [InlineData(276, Sll2Head + "60", 20)]
    public void Ipv6_is_found_behind_its_link_header(ushort linkType, string frame, int offset)
    {
        byte[] octets = Convert.FromHexString(frame);

        Assert.True(LinkLayer.TryFindIpv6(linkType, octets, out int found));
        Assert.Equal(offset, found);
        for (int length = 0; length < octets.Length; length++)
        {
            Assert.False(LinkLayer.TryFindIpv6(linkType, octets.AsSpan(0, length), out found));
            Assert.Equal(0, found);
        }
    }

    [Theory]
    [InlineData(1, Addresses + "0800" + "45")]
    [InlineData(1, Addresses + "86dd" + "45")]
    [InlineData(1, Addresses + "8864" + "1100000100020057" + "60")]
    [InlineData(1, Addresses + "8847" + "00001140" + "60")]
    [InlineData(1, Addresses + "8100" + "0001" + "0800" + "60")]
    [InlineData(0, "02000000" + "45")]
    [InlineData(0, "02000000" + "60")]
    [InlineData(101, "45")]
    [InlineData(113, SllHead + "0800" + "60")]
    [InlineData(113, SllHead + "9100" + "0001" + "86dd" + "60")]
    [InlineData(276, "0800" + "000000000002000100060200000000010000" + "60")]
    [InlineData(105, "60")]
    [InlineData(65535, "60")]
    public void Anything_else_is_not_taken_for_ipv6(ushort linkType, string frame) =>
        Assert.False(LinkLayer.TryFindIpv6(linkType, Convert.FromHexString(frame), out _));

    [Fact]
    public void No_frame_makes_it_read_outside_or_find_another_version() =>
        Prop.ForAll<byte[], ushort, ushort>((frame, first, second) =>
        {
            // Tags and announcements of IPv6 are rare in random octets, so they are put in.
            ushort linkType = Known[first % Known.Length];
            if (frame.Length > 0)
            {
                byte[][] parts = [[0x81, 0], [0x86, 0xDD], [10, 0, 0, 0], [0x60]];
                byte[] part = parts[second % parts.Length];
                part.AsSpan(0, Math.Min(part.Length, frame.Length)).CopyTo(frame);
            }

            bool found = LinkLayer.TryFindIpv6(linkType, frame, out int offset);
            return found ? frame[offset] >> 4 == 6 : offset == 0;
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(1, Addresses + "8100" + "0001" + "86dd", "020000000002" + "020000000001" + "8100" + "0001" + "86dd")]
    [InlineData(0, "1e000000", "1e000000")]
    [InlineData(101, "", "")]
    [InlineData(113, SllHead + "86dd", "0004" + "0001" + "0000" + "0000000000000000" + "86dd")]
    [InlineData(113, "0004" + "0001" + "0006" + "0200000000010000" + "86dd", "0000" + "0001" + "0000" + "0000000000000000" + "86dd")]
    [InlineData(276, Sll2Head, "86dd" + "0000" + "00000002" + "0001" + "04" + "00" + "0000000000000000")]
    public void A_link_header_is_copied_or_turned_round(ushort linkType, string header, string turned)
    {
        byte[] frame = Convert.FromHexString(header + "60");
        int offset = frame.Length - 1;
        byte[] destination = new byte[offset + 1];

        Assert.Equal(offset, LinkLayer.WriteHeader(linkType, frame, offset, reverse: false, destination));
        Assert.Equal(header + "00", Convert.ToHexStringLower(destination));
        Assert.Equal(offset, LinkLayer.WriteHeader(linkType, frame, offset, reverse: true, destination));
        Assert.Equal(turned + "00", Convert.ToHexStringLower(destination));
        if (offset > 0)
        {
            Assert.Throws<ArgumentException>(() => LinkLayer.WriteHeader(linkType, frame, offset, true, new byte[offset - 1]));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => LinkLayer.WriteHeader(linkType, frame, offset + 2, true, destination));
    }
}
