using System.Runtime.InteropServices;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Tests.Wire.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

/// <summary>The short way for common packets says nothing that the parser does not say.</summary>
public sealed class CommonHeaderTests
{
    [Fact]
    public void A_common_packet_is_one_that_the_parser_reads_in_the_same_way()
    {
        int common = 0;
        foreach (byte[] packet in Packets())
        {
            ref CommonHeader header = ref MemoryMarshal.AsRef<CommonHeader>(packet.AsSpan());
            FrameLayout layout = OracleFrame.Parse(packet, 0);
            if (!header.IsCommon)
            {
                continue;
            }

            common++;
            Assert.Equal((FrameShape.Transport, 40), (layout.Shape, layout.UpperOffset));
            Assert.Equal((layout.Protocol, ((uint)layout.SourcePort << 16) | layout.DestinationPort), (header.Protocol, header.Ports));
            Assert.Equal(layout.PacketEnd, 40 + (long)header.PayloadLength);
            Assert.Equal((IpAddress.Read(packet.AsSpan(8)), IpAddress.Read(packet.AsSpan(24))), (header.Source, header.Destination));
            Assert.Equal(layout.Protocol == IpProtocol.Tcp ? 56 : 46, layout.ChecksumOffset);

            ushort checksum = MemoryMarshal.Read<ushort>(packet.AsSpan(layout.ChecksumOffset));
            Assert.Equal(checksum, layout.Protocol == IpProtocol.Tcp ? header.SegmentChecksum : header.DatagramChecksum);
            Assert.Equal(FrameMarks.None, layout.Marks & ~(FrameMarks.TcpHeader | FrameMarks.Cut));
        }

        Assert.True(common > 1000);
    }

    [Fact]
    public void What_is_written_lies_where_the_header_has_it_and_nothing_else_changes()
    {
        TestFrame frame = Frames.Tcp(Frames.Host, 40000, Frames.Server, 443, TcpControl.Ack | TcpControl.Psh, 0x01020304, 0x05060708, 40);
        byte[] packet = frame.Build();
        ref CommonHeader header = ref MemoryMarshal.AsRef<CommonHeader>(packet.AsSpan());
        Assert.Equal((0x01020304u, 0x05060708u, (byte)0x18, 20u),
            (header.Sequence, header.Acknowledgment, header.Flags, header.SegmentHeaderLength));

        byte[] expected = (frame with { Source = Frames.OtherHost, Destination = Frames.OtherServer }).Build();
        header.Source = Frames.OtherHost;
        header.Destination = Frames.OtherServer;
        header.SegmentChecksum = MemoryMarshal.Read<ushort>(expected.AsSpan(56));

        Assert.Equal(expected, packet);
    }

    // What scapy built, packets that say of themselves what is not so, and every payload length around the limits.
    private static IEnumerable<byte[]> Packets()
    {
        var random = new Random(1);
        foreach (OracleFrame frame in OracleFrame.All.Where(frame => frame.Packet.Length is >= CommonHeader.Length and < 3000))
        {
            yield return frame.Packet;
        }

        for (int round = 0; round < 5000; round++)
        {
            byte[] packet = round % 2 == 0
                ? Frames.Tcp(Frames.Host, (ushort)round, Frames.Server, 443, payload: round % 50).Build()
                : Frames.Udp(Frames.Host, (ushort)round, Frames.Server, 53, payload: 12 + (round % 50)).Build();
            if (round % 3 == 0)
            {
                packet[random.Next(8)] = (byte)random.Next(256);
            }

            packet[5] = round % 5 == 0 ? (byte)random.Next(40) : packet[5];
            yield return packet;
        }
    }
}
