using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Tests.Wire.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class AddressRewriteTests
{
    private static readonly IpAddress Typed = IpAddress.Parse("2001:db8:51:1:8d3e:44ff:fe01:9a7c");
    private static readonly IpAddress Home = IpAddress.Parse("2001:db8:f1::7");

    public static TheoryData<string> Packets =>
        ["tcp", "tcp with data", "tcp with odd data", "udp", "udp empty", "udp odd", "udp-lite", "dccp", "sctp", "echo", "echo reply", "icmpv6 200", "opaque"];

    [Theory]
    [MemberData(nameof(Packets))]
    [Rfc(1624, "3")]
    public void A_new_source_leaves_exactly_the_packet_that_would_have_been_built_with_it(string kind)
    {
        for (int seed = 0; seed < 50; seed++)
        {
            IpAddress to = Drawn(seed);
            TestFrame before = Packet(kind, Frames.Host, Frames.Server);
            foreach (ChecksumState state in new[] { ChecksumState.Right, ChecksumState.Partial })
            {
                TestFrame frame = before with { Checksum = state };
                Assert.Equal((frame with { Source = to }).Build(), WithSource(frame, to));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Packets))]
    [Rfc(1624, "3")]
    public void A_new_destination_leaves_exactly_the_packet_that_would_have_been_built_with_it(string kind)
    {
        for (int seed = 0; seed < 50; seed++)
        {
            IpAddress to = Drawn(seed);
            TestFrame before = Packet(kind, Frames.Server, Typed) with { Link = LinkHeader.Vlan };
            foreach (ChecksumState state in new[] { ChecksumState.Right, ChecksumState.Partial })
            {
                TestFrame frame = before with { Checksum = state };
                Assert.Equal((frame with { Destination = to }).Build(), WithDestination(frame, to));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Packets))]
    public void A_wrong_checksum_is_equally_wrong_afterwards_and_right_again_on_the_way_back(string kind)
    {
        TestFrame frame = Packet(kind, Frames.Host, Frames.Server) with { Checksum = ChecksumState.Wrong };
        byte[] wrong = frame.Build();

        byte[] there = WithSource(frame, Typed);
        byte[] back = [.. there];
        AddressRewrite.Source(
            back, OracleFrame.Parse(back, 0), Frames.Host, InternetChecksum.Negate(InternetChecksum.Difference(Frames.Host, Typed)), partial: false);

        Assert.Equal(Fault(wrong), Fault(there));
        Assert.Equal(wrong, back);
    }

    [Fact]
    [Rfc(8200, "8.1")]
    public void An_absent_UDP_checksum_stays_absent()
    {
        TestFrame frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Checksum = ChecksumState.Absent };

        byte[] after = WithSource(frame, Typed);

        Assert.Equal((frame with { Source = Typed }).Build(), after);
        Assert.Equal(0, (after[46] << 8) | after[47]);
    }

    [Fact]
    [Rfc(8200, "8.1")]
    public void A_UDP_checksum_that_comes_out_as_zero_is_sent_as_ones_and_one_of_another_protocol_is_not()
    {
        int zeros = 0;
        for (int seed = 0; seed < 70_000 && zeros < 2; seed++)
        {
            byte[] payload = [(byte)(seed >> 8), (byte)seed];
            TestFrame udp = Frames.Udp(Frames.Host, 7, Frames.Server, 9, payload: 2);
            payload.CopyTo(udp.Upper, 8);
            if (NaiveChecksum.Right(Typed, Frames.Server, IpProtocol.Udp, udp.Upper) != 0xffff)
            {
                continue;
            }

            zeros++;
            byte[] after = WithSource(udp, Typed);
            Assert.Equal((udp with { Source = Typed }).Build(), after);
            Assert.Equal(0xffff, (after[46] << 8) | after[47]);
        }

        TestFrame tcp = Enumerable.Range(0, 65536).Select(sequence => Frames.Tcp(Frames.Host, 7, Frames.Server, 9, sequence: (uint)sequence))
            .First(frame => NaiveChecksum.Right(Typed, Frames.Server, IpProtocol.Tcp, frame.Upper) == 0);
        byte[] segment = WithSource(tcp, Typed);

        Assert.True(zeros > 0);
        Assert.Equal(0, (segment[56] << 8) | segment[57]);
    }

    [Fact]
    [Rfc(6275, "11.3.1")]
    public void Behind_a_home_address_option_the_source_is_not_in_the_pseudo_header()
    {
        TestFrame frame = Frames.Udp(Frames.Host, 7, Frames.Server, 9) with { Extensions = [Frames.HomeAddress(Home)], PseudoSource = Home };

        Assert.Equal((frame with { Source = Typed }).Build(), WithSource(frame, Typed));
        Assert.Equal((frame with { Destination = Typed }).Build(), WithDestination(frame, Typed));
    }

    [Fact]
    [Rfc(8200, "8.1")]
    public void With_segments_left_the_destination_is_not_in_the_pseudo_header()
    {
        ExtensionHeader routing = Frames.Routing(Frames.OtherServer, 1);
        TestFrame frame = Frames.Tcp(Frames.Host, 7, Frames.Server, 9, payload: 9) with { Extensions = [routing], PseudoDestination = Frames.OtherServer };

        Assert.Equal((frame with { Source = Typed }).Build(), WithSource(frame, Typed));
        Assert.Equal((frame with { Destination = Typed }).Build(), WithDestination(frame, Typed));
    }

    [Fact]
    [Rfc(8754, "2")]
    public void A_segment_routing_header_without_segments_left_leaves_the_destination_in_the_pseudo_header()
    {
        TestFrame frame = Frames.Udp(Frames.Server, 7, Typed, 9) with { Extensions = [Frames.SegmentRouting(0, Typed, Frames.OtherServer)] };

        Assert.Equal((frame with { Destination = Frames.Host }).Build(), WithDestination(frame, Frames.Host));
    }

    [Fact]
    [Rfc(6296, "2.6")]
    public void Neutral_addresses_leave_every_octet_behind_the_addresses_alone()
    {
        foreach (string kind in Packets.Select(row => row.Data))
        {
            byte[] before = Packet(kind, Frames.Host, Frames.Server).Build();
            byte[] after = [.. before];
            AddressRewrite.Source(after, OracleFrame.Parse(after, 0), Typed, 0, partial: false);
            Assert.Equal(before[24..], after[24..]);
        }
    }

    [Theory]
    [InlineData("tcp with data", false)]
    [InlineData("udp", false)]
    [InlineData("udp-lite", false)]
    [InlineData("sctp", false)]
    [InlineData("echo", false)]
    [InlineData("tcp with data", true)]
    [InlineData("udp", true)]
    [InlineData("udp-lite", true)]
    [InlineData("sctp", true)]
    [InlineData("echo", true)]
    [Rfc(5508, "4.2")]
    public void An_error_gets_the_address_outside_and_inside_and_every_checksum_is_right(string kind, bool outbound)
    {
        // Outbound: the host complains about a packet of the server. Inbound: a router complains about a packet of the host.
        foreach (int quotedOctets in new[] { 2000, 60, 50 })
        {
            foreach (ChecksumState state in new[] { ChecksumState.Right, ChecksumState.Partial })
            {
                IpAddress from = outbound ? Frames.Host : Typed;
                IpAddress to = outbound ? Typed : Frames.Host;
                TestFrame error = ErrorAbout(kind, outbound, from, quotedOctets) with { Checksum = state };
                byte[] octets = error.Build();
                FrameLayout layout = OracleFrame.Parse(octets, 0);

                AddressRewrite.Error(
                    octets, layout, OracleFrame.Parse(octets, 48), outbound, to, InternetChecksum.Difference(from, to), state == ChecksumState.Partial);

                Assert.Equal((ErrorAbout(kind, outbound, to, quotedOctets) with { Checksum = state }).Build(), octets);
            }
        }
    }

    [Fact]
    [Rfc(5508, "4.2")]
    public void A_quoted_UDP_checksum_of_zero_stays_zero_and_the_error_is_right()
    {
        TestFrame quoted = Frames.Udp(Typed, 7, Frames.Server, 9) with { Checksum = ChecksumState.Absent };
        byte[] octets = Frames.Error(Frames.OtherServer, Typed, 1, 0, quoted.Build()).Build();

        AddressRewrite.Error(
            octets, OracleFrame.Parse(octets, 0), OracleFrame.Parse(octets, 48), outbound: false, Frames.Host,
            InternetChecksum.Difference(Typed, Frames.Host), partial: false);

        byte[] expected = Frames.Error(Frames.OtherServer, Frames.Host, 1, 0, (quoted with { Source = Frames.Host }).Build()).Build();
        Assert.Equal(expected, octets);
    }

    [Fact]
    public void Scapy_computes_the_same_checksums_for_what_was_rewritten()
    {
        // Read back, scapy knows a Home Address option only where it stands alone in its header.
        List<byte[]> packets = Rewritten(except: FrameMarks.HomeAddress);

        string[] again = Tools.RunOracle("recompute.py", string.Concat(packets.Select(packet => Convert.ToHexStringLower(packet) + "\n")));

        Assert.Equal(packets.Select(Convert.ToHexStringLower), again);
        Assert.True(packets.Count > 60);
    }

    [Fact]
    public void Tshark_finds_every_rewritten_checksum_good()
    {
        byte[][] packets = [.. Rewritten().Where(packet => packet[6] is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Icmpv6)];

        string[] lines = Tools.RunTshark(packets, "tcp.checksum.status", "udp.checksum.status", "icmpv6.checksum.status");

        Assert.Equal(packets.Length, lines.Length);
        for (int i = 0; i < packets.Length; i++)
        {
            string[] status = lines[i].Split('\t');
            Assert.Equal("1", status[packets[i][6] switch { IpProtocol.Tcp => 0, IpProtocol.Udp => 1, _ => 2 }]);
        }
    }

    // What scapy builds with right checksums, with another source and then another destination.
    private static List<byte[]> Rewritten(FrameMarks except = FrameMarks.None)
    {
        List<byte[]> packets = [];
        foreach (OracleFrame frame in OracleFrame.All.Where(frame => frame.ChecksumOffset != 0 && frame.Shape == FrameShape.Transport
            && (frame.Marks & except) == 0 && frame.FragmentHeaderOffset == 0 && frame.Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.Icmpv6 && frame.Octets.Length < 5000))
        {
            byte[] packet = frame.Packet;
            FrameLayout layout = OracleFrame.Parse(packet, 0);
            IpAddress source = IpAddress.Read(packet.AsSpan(8));
            IpAddress destination = IpAddress.Read(packet.AsSpan(24));
            AddressRewrite.Source(packet, layout, Typed, InternetChecksum.Difference(source, Typed), partial: false);
            AddressRewrite.Destination(packet, layout, Frames.Host, InternetChecksum.Difference(destination, Frames.Host), partial: false);
            packets.Add(packet);
        }

        return packets;
    }

    private static TestFrame ErrorAbout(string kind, bool outbound, IpAddress address, int quotedOctets)
    {
        TestFrame quoted = outbound ? Packet(kind, Frames.Server, address) : Packet(kind, address, Frames.Server);
        byte[] octets = quoted.Build();
        return outbound
            ? Frames.Error(address, Frames.Server, 1, 4, octets.AsSpan(0, Math.Min(octets.Length, quotedOctets)))
            : Frames.Error(Frames.OtherServer, address, 2, 0, octets.AsSpan(0, Math.Min(octets.Length, quotedOctets)), field: 1280);
    }

    private static TestFrame Packet(string kind, IpAddress source, IpAddress destination) => kind switch
    {
        "tcp" => Frames.Tcp(source, 40000, destination, 443, TcpControl.Syn),
        "tcp with data" => Frames.Tcp(source, 40000, destination, 443, payload: 1200),
        "tcp with odd data" => Frames.Tcp(source, 40000, destination, 443, payload: 333),
        "udp" => Frames.Udp(source, 5353, destination, 53),
        "udp empty" => Frames.Udp(source, 5353, destination, 53, payload: 0),
        "udp odd" => Frames.Udp(source, 5353, destination, 53, payload: 7),
        "udp-lite" => Frames.UdpLite(source, 5004, destination, 5005),
        "dccp" => Frames.Dccp(source, 5004, destination, 5005),
        "sctp" => Frames.Sctp(source, 5004, destination, 5005),
        "echo" => Frames.Echo(source, destination, 77),
        "echo reply" => Frames.Echo(source, destination, 77, reply: true),
        "icmpv6 200" => Frames.Icmpv6(source, destination, 200),
        _ => Frames.Other(source, destination, 253),
    };

    // By how much, in one's complement, the checksum is off; 0 for protocols that have none over the addresses.
    private static int Fault(byte[] packet)
    {
        int field = NaiveChecksum.FieldOf(packet[6]);
        if (field < 0)
        {
            return 0;
        }

        ReadOnlySpan<byte> upper = packet.AsSpan(40);
        int right = NaiveChecksum.Right(IpAddress.Read(packet.AsSpan(8)), IpAddress.Read(packet.AsSpan(24)), packet[6], upper);
        return NaiveChecksum.Fold((~right & 0xffff) + (long)NaiveChecksum.Read(upper, packet[6])) % 0xffff;
    }

    private static IpAddress Drawn(int seed) => new(0x2001_0db8_0051_0000UL | (uint)seed, (ulong)new Random(seed).NextInt64());

    private static byte[] WithSource(TestFrame frame, IpAddress to)
    {
        byte[] octets = frame.Build();
        AddressRewrite.Source(
            octets, OracleFrame.Parse(octets, frame.NetworkOffset), to, InternetChecksum.Difference(frame.Source, to),
            frame.Checksum == ChecksumState.Partial);
        return octets;
    }

    private static byte[] WithDestination(TestFrame frame, IpAddress to)
    {
        byte[] octets = frame.Build();
        AddressRewrite.Destination(
            octets, OracleFrame.Parse(octets, frame.NetworkOffset), to, InternetChecksum.Difference(frame.Destination, to),
            frame.Checksum == ChecksumState.Partial);
        return octets;
    }
}
