using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Tests.Wire.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class ReplyPacketsTests
{
    [Fact]
    [Rfc(9293, "3.5.2")]
    public void A_reset_is_exactly_the_segment_that_was_asked_for()
    {
        byte[] packet = [.. Enumerable.Repeat((byte)0xee, 100)];

        int length = ReplyPackets.WriteReset(packet, Frames.Server, Frames.Host, 443, 40000, 0xfedcba98, 0x01234567);

        TestFrame expected = Frames.Tcp(Frames.Server, 443, Frames.Host, 40000, TcpControl.Rst | TcpControl.Ack, 0xfedcba98, 0x01234567);
        expected.Upper[14] = 0;
        expected.Upper[15] = 0;   // no window
        Assert.Equal(expected.Build(), packet[..length]);
        Assert.Equal((byte)0xee, packet[length]);
    }

    [Fact]
    public void Tshark_reads_the_reset_and_finds_its_checksum_good()
    {
        byte[] packet = new byte[ReplyPackets.ResetLength];
        ReplyPackets.WriteReset(packet, Frames.Server, Frames.Host, 443, 40000, 0xfedcba98, 0x01234567);

        string[] lines = Tools.RunTshark(
            [packet], "ipv6.src", "ipv6.dst", "ipv6.plen", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.checksum.status");

        Assert.Equal(["2001:db8:c::1\tfd00:db8::1\t20\t443\t40000\t4275878552\t19088743\t0x0014\t1"], lines);
    }

    [Theory]
    [InlineData(60)]
    [InlineData(1231)]
    [InlineData(1232)]
    [InlineData(1233)]
    [InlineData(1500)]
    [InlineData(60_000)]
    [Rfc(4443, "2.4")]
    public void An_unreachable_quotes_as_much_as_the_minimum_MTU_lets_it(int offenderLength)
    {
        byte[] offender = Frames.Udp(Frames.Host, 5000, Frames.Server, 53, payload: offenderLength - 48).Build();
        byte[] packet = [.. Enumerable.Repeat((byte)0xee, 1281)];

        int length = ReplyPackets.WriteUnreachable(packet, Frames.Server, ReplyPackets.AdministrativelyProhibited, offender);

        int quoted = Math.Min(offenderLength, 1280 - 48);
        Assert.Equal(Frames.Error(Frames.Server, Frames.Host, 1, 1, offender.AsSpan(0, quoted)).Build(), packet[..length]);
        Assert.True(length <= 1280);
        Assert.Equal((byte)0xee, packet[length]);
    }

    [Fact]
    [Rfc(4443, "3.1")]
    public void Tshark_reads_the_unreachable_and_finds_its_checksum_good()
    {
        byte[] offender = Frames.Udp(Frames.Host, 5000, Frames.Server, 53).Build();
        byte[] packet = new byte[ReplyPackets.MaximumErrorLength];
        int length = ReplyPackets.WriteUnreachable(packet, Frames.Server, ReplyPackets.SourceFailedPolicy, offender);

        string[] lines = Tools.RunTshark(
            [packet[..length]], "ipv6.src", "ipv6.dst", "icmpv6.type", "icmpv6.code", "icmpv6.checksum.status", "udp.srcport", "udp.dstport");

        Assert.Equal(["2001:db8:c::1\tfd00:db8::1\t1\t5\t1\t5000\t53"], lines);
    }
}
