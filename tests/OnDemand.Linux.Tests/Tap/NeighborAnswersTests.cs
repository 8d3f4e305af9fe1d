using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Tap;
using OnDemand.Linux.Tests.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Tap;

public sealed class NeighborAnswersTests
{
    private static readonly IpAddress Asker = IpAddress.Parse("fd00:a::2");
    private static readonly IpAddress Target = IpAddress.Parse("2001:db8:5::2");

    [Fact]
    public void A_solicitation_is_answered_with_the_other_ends_address()
    {
        byte[] answer = new byte[NeighborAnswers.Length];

        Assert.True(NeighborAnswers.TryAnswer(Solicitation(Asker, Target), MemoryTap.Address, answer));

        ReadOnlySpan<byte> packet = answer.AsSpan(14);
        ReadOnlySpan<byte> message = packet[40..];
        Assert.Equal(MemoryTap.Address, MacAddress.Read(answer));
        Assert.Equal(MemoryTap.Address.OtherEnd, MacAddress.Read(answer.AsSpan(6)));
        Assert.Equal(Target, IpAddress.Read(packet[8..]));
        Assert.Equal(Asker, IpAddress.Read(packet[24..]));
        Assert.Equal(255, packet[7]);
        Assert.Equal([136, 0], message[..2].ToArray());
        Assert.Equal(0x60, message[4]);              // solicited, override; not a router
        Assert.Equal(Target, IpAddress.Read(message[8..]));
        Assert.Equal([2, 1], message[24..26].ToArray());
        Assert.Equal(MemoryTap.Address.OtherEnd, MacAddress.Read(message[26..]));
        Assert.True(TestFrames.HasRightChecksum(answer));
    }

    [Fact]
    public void Nobody_claims_an_address_that_is_being_tried_out()
    {
        Assert.False(IsAnswered(Solicitation(IpAddress.Unspecified, Target)));
    }

    [Fact]
    public void Nobody_has_a_link_local_address_at_the_other_end()
    {
        Assert.False(IsAnswered(Solicitation(Asker, IpAddress.Parse("fe80::1"))));
    }

    [Fact]
    public void A_solicitation_that_a_router_forwarded_is_not_answered()
    {
        byte[] frame = Solicitation(Asker, Target);
        frame[14 + 7] = 254;
        Assert.False(IsAnswered(frame));
    }

    [Fact]
    public void Other_frames_are_not_answered()
    {
        byte[] frame = Solicitation(Asker, Target);
        for (int length = 0; length < frame.Length; length++)
        {
            Assert.False(IsAnswered(frame[..length]));
        }

        frame[14 + 40] = 136;
        Assert.False(IsAnswered(frame));
        Assert.False(IsAnswered(TestFrames.Udp("fd00:a::2", "2001:db8:5::2", 1000, 53, new byte[40])));
    }

    private static bool IsAnswered(byte[] frame) => NeighborAnswers.TryAnswer(frame, MemoryTap.Address, new byte[NeighborAnswers.Length]);

    private static byte[] Solicitation(IpAddress source, IpAddress target)
    {
        byte[] message = new byte[24];
        message[0] = 135;
        target.Write(message.AsSpan(8));
        return TestFrames.Ipv6(source, IpAddress.Parse("ff02::1:ff00:2"), 58, message, hopLimit: 255);
    }
}
