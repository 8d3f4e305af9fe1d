using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Tests.Wire.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class FrameParserTests
{
    [Fact]
    [Rfc(8200, "4")]
    public void Every_frame_that_scapy_builds_is_read_as_it_was_built()
    {
        foreach (OracleFrame frame in OracleFrame.All)
        {
            Assert.Equal(frame, frame.AsParsed());
        }
    }

    [Fact]
    public void The_frames_of_the_oracle_have_every_shape_and_mark_that_a_whole_frame_can_have()
    {
        FrameShape[] shapes = [.. OracleFrame.All.Select(frame => frame.Shape).Distinct().Order()];
        FrameMarks marks = OracleFrame.All.Aggregate(FrameMarks.None, (all, frame) => all | frame.Marks);

        Assert.Equal(
            [
                FrameShape.Transport, FrameShape.LaterFragment, FrameShape.Icmpv6Error, FrameShape.NeighborDiscovery,
                FrameShape.OpaqueTransport, FrameShape.Authenticated, FrameShape.AddressSignaling,
            ],
            shapes);
        Assert.Equal((FrameMarks)0xff & ~FrameMarks.Cut, marks);
    }

    [Fact]
    public void Tshark_sees_the_same_ports()
    {
        OracleFrame[] frames = [.. OracleFrame.All.Where(frame => frame.Shape == FrameShape.Transport && frame.Octets.Length < 60_000
            && frame.FragmentHeaderOffset == 0 && frame.Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Dccp or IpProtocol.Sctp)];

        string[] lines = Tools.RunTshark(
            frames.Select(frame => frame.Packet),
            "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "dccp.srcport", "dccp.dstport", "sctp.srcport", "sctp.dstport");

        string[] seen = [.. lines.Select(line => string.Join(' ', line.Split('\t', StringSplitOptions.RemoveEmptyEntries)))];
        Assert.Equal(frames.Select(frame => $"{frame.AsParsed().SourcePort} {frame.AsParsed().DestinationPort}"), seen);
        Assert.True(frames.Length > 50);
    }

    [Fact]
    public void However_a_frame_is_cut_every_offset_that_is_named_lies_inside_it()
    {
        foreach (OracleFrame frame in OracleFrame.All.Where(frame => frame.Octets.Length < 5000))
        {
            for (int length = 0; length <= frame.Octets.Length; length++)
            {
                byte[] cut = frame.Octets[..length];
                FrameLayout layout = OracleFrame.Parse(cut, frame.NetworkOffset);
                AssertInside(layout, length);
                Assert.True(layout.Shape == FrameShape.NotIpv6 || layout.Has(FrameMarks.Cut) == (layout.PacketEnd > length));
            }
        }
    }

    [Fact]
    public void Octets_that_are_not_what_they_say_never_lead_outside_the_frame()
    {
        var random = new Random(1);
        foreach (OracleFrame frame in OracleFrame.All.Where(frame => frame.Octets.Length < 5000))
        {
            for (int i = 0; i < 40; i++)
            {
                byte[] broken = [.. frame.Octets];
                for (int flips = random.Next(1, 5); flips > 0; flips--)
                {
                    broken[random.Next(Math.Min(broken.Length, frame.UpperOffset + 20))] = (byte)random.Next(256);
                }

                AssertInside(OracleFrame.Parse(broken, frame.NetworkOffset), broken.Length);
            }
        }
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    [InlineData(61)]
    [InlineData(int.MaxValue)]
    public void An_offset_outside_the_frame_is_not_IPv6(int offset)
    {
        byte[] frame = Frames.Tcp(Frames.Host, 1, Frames.Server, 2).Build();

        Assert.Equal(FrameShape.NotIpv6, OracleFrame.Parse(frame, offset).Shape);
    }

    [Fact]
    public void A_chain_is_bounded_by_the_packet_and_not_by_a_number_of_headers()
    {
        ExtensionHeader[] chain = [.. Enumerable.Repeat(Frames.DestinationOptions(), 8000)];
        byte[] frame = (Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = chain }).Build();

        FrameLayout layout = OracleFrame.Parse(frame, 0);

        Assert.Equal((FrameShape.Transport, 40 + (8000 * 8), (ushort)7, (ushort)9), (layout.Shape, layout.UpperOffset, layout.SourcePort, layout.DestinationPort));
    }

    [Fact]
    [Rfc(8200, "4.1")]
    public void Hop_by_hop_options_anywhere_but_first_break_the_chain()
    {
        TestFrame udp = Frames.Udp(Frames.Host, 7, Frames.Server, 9);

        Assert.Equal(FrameShape.Transport, Shape(udp with { Extensions = [Frames.HopByHop()] }));
        Assert.Equal(FrameShape.BrokenChain, Shape(udp with { Extensions = [Frames.DestinationOptions(), Frames.HopByHop()] }));
        Assert.Equal(FrameShape.BrokenChain, Shape(udp with { Extensions = [Frames.HopByHop(), Frames.HopByHop()] }));
    }

    [Fact]
    [Rfc(8200, "4.2")]
    public void An_option_that_leaves_its_header_breaks_the_chain()
    {
        ExtensionHeader options = Frames.DestinationOptions();
        options.Octets[3] = 5;   // one octet more than the header has

        Assert.Equal(FrameShape.BrokenChain, Shape(Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = [options] }));
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(2, 2)]
    [InlineData(4, 2)]
    [InlineData(3, 1)]
    [Rfc(8200, "4.4")]
    public void More_segments_left_than_addresses_or_an_unknown_type_with_segments_left_breaks_the_chain(byte type, byte left)
    {
        ExtensionHeader routing = Frames.Routing(Frames.OtherServer, left, type);

        Assert.Equal(FrameShape.BrokenChain, Shape(Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = [routing] }));
    }

    [Fact]
    [Rfc(8200, "4.4")]
    public void An_unknown_routing_type_without_segments_left_is_stepped_over()
    {
        ExtensionHeader routing = Frames.Routing(Frames.OtherServer, 0, type: 250);
        TestFrame frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = [routing] };

        Assert.Equal(FrameShape.Transport, Shape(frame));
        Assert.False(OracleFrame.Parse(frame.Build(), 0).Has(FrameMarks.SegmentsLeft));
    }

    [Fact]
    [Rfc(8200, "4.5")]
    public void A_second_fragment_header_breaks_the_chain()
    {
        TestFrame frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = [Frames.AtomicFragment(1), Frames.AtomicFragment(2)] };

        Assert.Equal(FrameShape.BrokenChain, Shape(frame));
    }

    [Fact]
    [Rfc(7112, "5")]
    public void A_first_fragment_that_ends_before_its_headers_do_is_tiny()
    {
        TestFrame frame = Frames.Tcp(Frames.Host, 7, Frames.Server, 9, payload: 100);
        byte[] upper = frame.SummedUpper();

        Assert.Equal(FrameShape.TinyFragment, OracleFrame.Parse(frame.BuildFragment(5, 0, more: true, upper.AsSpan(0, 0)), 0).Shape);
        Assert.Equal(FrameShape.TinyFragment, OracleFrame.Parse(frame.BuildFragment(5, 0, more: true, upper.AsSpan(0, 16)), 0).Shape);
        Assert.Equal(FrameShape.Transport, OracleFrame.Parse(frame.BuildFragment(5, 0, more: true, upper.AsSpan(0, 24)), 0).Shape);
    }

    [Fact]
    [Rfc(6946, "4")]
    public void An_atomic_fragment_is_not_marked_as_a_fragment()
    {
        TestFrame frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = [Frames.AtomicFragment()] };

        FrameLayout layout = OracleFrame.Parse(frame.Build(), 0);

        Assert.Equal((FrameShape.Transport, 40, FrameMarks.None), (layout.Shape, layout.FragmentHeaderOffset, layout.Marks));
    }

    [Fact]
    public void A_length_of_zero_that_segmentation_offload_left_means_the_rest_of_the_frame()
    {
        byte[] frame = Frames.Tcp(Frames.Host, 7, Frames.Server, 9, payload: 3000).Build();
        frame[4] = 0;
        frame[5] = 0;

        FrameLayout layout = OracleFrame.Parse(frame, 0);

        Assert.Equal((FrameShape.Transport, frame.Length, 56), (layout.Shape, (int)layout.PacketEnd, layout.ChecksumOffset));
    }

    [Theory]
    [InlineData(LinkHeader.Ethernet)]
    [InlineData(LinkHeader.Vlan)]
    [InlineData(LinkHeader.DoubleVlan)]
    public void Octets_behind_the_packet_belong_to_the_link(LinkHeader link)
    {
        TestFrame frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Link = link };
        byte[] padded = [.. frame.Build(), 0, 0, 0, 0, 0, 0];

        FrameLayout layout = OracleFrame.Parse(padded, frame.NetworkOffset);

        Assert.Equal(padded.Length - 6, layout.PacketEnd);
        Assert.False(layout.Has(FrameMarks.Cut));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(7)]
    [InlineData(15)]
    public void Another_version_is_not_IPv6(int version)
    {
        byte[] frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9).Build();
        frame[0] = (byte)((version << 4) | (frame[0] & 15));

        Assert.Equal(FrameShape.NotIpv6, OracleFrame.Parse(frame, 0).Shape);
    }

    private static FrameShape Shape(TestFrame frame) => OracleFrame.Parse(frame.Build(), frame.NetworkOffset).Shape;

    private static void AssertInside(in FrameLayout layout, int length)
    {
        if (layout.Shape == FrameShape.NotIpv6)
        {
            return;
        }

        Assert.InRange(layout.NetworkOffset, 0, length - 40);
        Assert.InRange(layout.UpperOffset, 40, length);
        Assert.InRange(layout.FinalDestinationOffset, layout.NetworkOffset + 24, length - 16);
        Assert.True(layout.ChecksumOffset == 0 || layout.ChecksumOffset + 2 <= length);
        Assert.True(layout.FragmentHeaderOffset == 0 || layout.FragmentHeaderOffset + 8 <= length);
        Assert.True(!layout.Has(FrameMarks.TcpHeader) || layout.UpperOffset + 20 <= length);
        Assert.True(layout.PacketEnd >= layout.NetworkOffset + 40);
    }
}
