using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Tests.Model;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Properties;

public sealed class ChecksumProperties
{
    private const int Modulus = 0xffff;

    [Fact]
    [Rfc(1624, "3")]
    [Rfc(8200, "8.1")]
    public void A_packet_with_right_checksums_has_right_checksums_after_being_rewritten_either_way() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            foreach ((TestFrame _, byte[] after, NaivePacket packet) in BothWays(numbers, ChecksumState.Right))
            {
                Assert.True(packet.HasRightChecksum, Convert.ToHexString(after));
            }
        }));

    [Fact]
    [Rfc(1624, "3")]
    public void A_wrong_checksum_stays_wrong_by_the_same_amount() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            foreach ((TestFrame before, byte[] after, NaivePacket packet) in BothWays(numbers, ChecksumState.Wrong))
            {
                byte[] original = before.Build();
                Assert.Equal(Error(original, new NaivePacket(original, before.NetworkOffset)), Error(after, packet));
                Assert.False(packet.HasRightChecksum, Convert.ToHexString(after));
            }
        }));

    [Fact]
    [Rfc(8200, "8.1")]
    public void An_absent_UDP_checksum_stays_absent_and_a_computed_one_is_never_sent_as_zero() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            numbers[3] = 1;
            foreach ((TestFrame _, byte[] after, NaivePacket packet) in BothWays(numbers, ChecksumState.Absent))
            {
                Assert.Equal(0, NaiveChecksum.Read(after.AsSpan(packet.Upper), IpProtocol.Udp));
            }

            // Each payload word makes one datagram's sum zero: that one is sent as ones, and must be so behind the rewrite as well.
            foreach ((TestFrame _, byte[] after, NaivePacket packet) in BothWays(numbers, ChecksumState.Right))
            {
                Assert.NotEqual(0, NaiveChecksum.Read(after.AsSpan(packet.Upper), IpProtocol.Udp));
            }
        }));

    [Fact]
    [Rfc(8200, "8.1")]
    public void A_UDP_checksum_that_comes_to_zero_by_the_rewrite_is_sent_as_ones()
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.Nonpersistent));
        rig.Attach(EngineRig.NonpersistentPrefix);
        TestFrame frame = Frames.Udp(Frames.Host, 1000, Frames.Server, 80, payload: 2);
        IpAddress typed = rig.SourceOf(frame);

        // With this payload the sum under the typed address is all ones, so that its complement is zero.
        byte[] upper = [.. frame.Upper];
        upper[8] = 0;
        upper[9] = 0;
        int without = ~NaiveChecksum.Right(typed, Frames.Server, IpProtocol.Udp, upper) & Modulus;
        BinaryPrimitives.WriteUInt16BigEndian(upper.AsSpan(8), (ushort)(Modulus - without));
        (_, byte[] after) = rig.Outbound(frame with { Upper = upper });

        Assert.Equal(Modulus, NaiveChecksum.Read(after.AsSpan(40), IpProtocol.Udp));
        Assert.True(new NaivePacket(after, 0).HasRightChecksum);
    }

    [Fact]
    public void A_partial_checksum_stays_the_sum_of_the_pseudo_header() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            foreach ((TestFrame before, byte[] after, NaivePacket packet) in BothWays(numbers, ChecksumState.Partial))
            {
                int expected = NaiveChecksum.PseudoHeader(packet.Source, packet.PseudoDestination, before.Upper.Length, packet.Protocol);
                Assert.Equal(expected, NaiveChecksum.Read(after.AsSpan(packet.Upper), packet.Protocol));
            }
        }));

    [Fact]
    [Rfc(4787, "5")]
    public void What_comes_back_to_the_typed_address_reaches_the_socket_as_if_nothing_had_been_rewritten() =>
        Check.One(Many, Prop.ForAll(AnyFrame.Numbers(), numbers =>
        {
            var rig = new EngineRig(EngineRig.Options(AddressType.Nonpersistent));
            rig.Attach(EngineRig.NonpersistentPrefix);
            IpAddress typed = rig.SourceOf(AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true));

            TestFrame toTyped = AnyFrame.Of(numbers, typed, Frames.Server, outbound: false);
            TestFrame toHost = AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: false);
            if (numbers[4] % 5 == 2)
            {
                (toTyped, toHost) = (toTyped with { Extensions = [] }, toHost with { Extensions = [] });
            }

            (Verdict verdict, byte[] after) = rig.Inbound(toTyped);
            Assert.Equal((VerdictKind.Forward, ForwardReason.Rewritten), (verdict.Kind, verdict.Forward));
            Assert.Equal(toHost.Build(), after);
        }));

    private static Config Many => Config.QuickThrowOnFailure.WithMaxTest(TestScale.Times(300));

    // How far the sum of all that the checksum covers, itself included, is from what it should be.
    private static int Error(byte[] frame, NaivePacket packet)
    {
        ReadOnlySpan<byte> upper = frame.AsSpan(packet.Upper, packet.End - packet.Upper);
        int difference = NaiveChecksum.Read(upper, packet.Protocol) - NaiveChecksum.Right(packet.Source, packet.PseudoDestination,
            packet.Protocol, upper);
        return ((difference % Modulus) + Modulus) % Modulus;
    }

    /// <summary>A frame of a flow out, and one back, each as it was and as it became.</summary>
    private static IEnumerable<(TestFrame Before, byte[] After, NaivePacket Packet)> BothWays(int[] numbers, ChecksumState checksum)
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.Nonpersistent) with { AddressSeed = (ulong)numbers[6] });
        rig.Attach(EngineRig.NonpersistentPrefix);
        TestFrame outbound = AnyFrame.Of(numbers, Frames.Host, Frames.Server, outbound: true) with { Checksum = checksum };
        (Verdict verdict, byte[] after) = rig.Outbound(outbound);
        Assert.Equal((VerdictKind.Forward, ForwardReason.Rewritten), (verdict.Kind, verdict.Forward));
        var packet = new NaivePacket(after, outbound.NetworkOffset);
        yield return (outbound, after, packet);

        TestFrame inbound = AnyFrame.Of(numbers, packet.Source, Frames.Server, outbound: false) with { Checksum = checksum };
        (verdict, after) = rig.Inbound(inbound);
        Assert.Equal((VerdictKind.Forward, ForwardReason.Rewritten), (verdict.Kind, verdict.Forward));
        yield return (inbound, after, new NaivePacket(after, inbound.NetworkOffset));
    }
}
