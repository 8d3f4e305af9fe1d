using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Wire;

public sealed class InternetChecksumTests
{
    [Fact]
    [Rfc(1071, "1")]
    public void The_sum_is_the_naive_one_for_every_length()
    {
        for (int length = 0; length <= 300; length++)
        {
            for (int seed = 1; seed < 20; seed++)
            {
                byte[] octets = Frames.Payload(length, seed);
                Assert.Equal(NaiveChecksum.Sum(octets), InternetChecksum.Sum(octets));
            }
        }

        byte[] many = Frames.Payload(70_001);
        Assert.Equal(NaiveChecksum.Sum(many), InternetChecksum.Sum(many));
    }

    [Fact]
    public void The_sum_does_not_depend_on_where_the_octets_lie()
    {
        byte[] octets = Frames.Payload(101);
        byte[] room = new byte[120];
        for (int at = 0; at < 8; at++)
        {
            octets.CopyTo(room, at);
            Assert.Equal(NaiveChecksum.Sum(octets), InternetChecksum.Sum(room.AsSpan(at, octets.Length)));
        }
    }

    [Fact]
    public void The_largest_sums_fold_to_sixteen_bits()
    {
        byte[] ones = [.. Enumerable.Repeat((byte)0xff, 66_000)];

        Assert.Equal(0xffff, InternetChecksum.Sum(ones));
        Assert.Equal(0xffff, InternetChecksum.Fold(ulong.MaxValue));
        Assert.Equal(0, InternetChecksum.Fold(0));
        Assert.Equal(0xffff, InternetChecksum.Fold(0xffff));
        Assert.Equal(1, InternetChecksum.Fold(0x1_0000));
    }

    [Fact]
    [Rfc(1071, "3")]
    public void The_worked_example_of_RFC_1071_comes_out() =>
        Assert.Equal(0xddf2, InternetChecksum.Sum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]));

    [Fact]
    [Rfc(1624, "4")]
    public void The_worked_example_of_RFC_1624_comes_out()
    {
        // The example that equation 2 gets wrong: HC = 0xDD2F, m = 0x5555, m' = 0x3285; the right answer is 0, not 0xFFFF.
        ushort difference = InternetChecksum.Difference(0x5555, 0x3285);

        Assert.Equal(0x0000, InternetChecksum.Update(0xdd2f, difference));
    }

    [Fact]
    [Rfc(1624, "3")]
    public void Updating_is_the_same_as_summing_anew() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll<byte[], ushort, ushort>((octets, from, to) =>
        {
            ushort before = (ushort)~NaiveChecksum.Sum([.. Bytes(from), 0x12, 0x34, .. octets]);
            ushort after = (ushort)~NaiveChecksum.Sum([.. Bytes(to), 0x12, 0x34, .. octets]);
            return InternetChecksum.Update(before, InternetChecksum.Difference(from, to)) == after;
        }));

    [Fact]
    public void There_and_back_is_the_same_checksum_up_to_the_two_zeros() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll<ushort, ushort, ushort>((checksum, from, to) =>
        {
            ushort there = InternetChecksum.Difference(from, to);
            ushort back = InternetChecksum.Negate(there);
            return Same(InternetChecksum.Update(InternetChecksum.Update(checksum, there), back), checksum)
                && Same(InternetChecksum.UpdatePartial(InternetChecksum.UpdatePartial(checksum, there), back), checksum)
                && Same(back, InternetChecksum.Difference(to, from));
        }));

    [Fact]
    public void Every_difference_takes_every_checksum_there_and_back()
    {
        for (int difference = 0; difference < 0xffff; difference += 127)
        {
            ushort back = InternetChecksum.Negate((ushort)difference);
            Assert.NotEqual(0xffff, back);
            for (int checksum = 0; checksum <= 0xffff; checksum += 251)
            {
                ushort there = InternetChecksum.Update((ushort)checksum, (ushort)difference);
                Assert.True(Same(InternetChecksum.Update(there, back), (ushort)checksum));
            }
        }
    }

    [Fact]
    public void A_partial_sum_is_the_complement_of_a_finished_one() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll<ushort, ushort, ushort>((sum, from, to) =>
        {
            ushort difference = InternetChecksum.Difference(from, to);
            return InternetChecksum.UpdatePartial(sum, difference) == (ushort)~InternetChecksum.Update((ushort)~sum, difference);
        }));

    [Fact]
    [Rfc(1624, "3")]
    public void The_difference_of_equal_sums_is_zero_and_there_is_only_one_zero()
    {
        for (int sum = 0; sum <= 0xffff; sum++)
        {
            Assert.Equal(0, InternetChecksum.Difference((ushort)sum, (ushort)sum));
        }

        Assert.Equal(0, InternetChecksum.Difference(0, 0xffff));
        Assert.Equal(0, InternetChecksum.Difference(0xffff, 0));
        Assert.Equal(0, InternetChecksum.Negate(0));
    }

    [Fact]
    [Rfc(8200, "8.1")]
    public void Only_a_computed_zero_is_sent_as_ones()
    {
        Assert.Equal(0xffff, InternetChecksum.ForUdp(0));
        for (int checksum = 1; checksum <= 0xffff; checksum++)
        {
            Assert.Equal(checksum, InternetChecksum.ForUdp((ushort)checksum));
        }
    }

    [Fact]
    [Rfc(8200, "8.1")]
    public void The_pseudo_header_is_summed_with_all_of_its_length() =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(2000), Prop.ForAll<ulong, ulong, uint>((one, other, length) =>
        {
            var source = new IpAddress(one, ~other);
            var destination = new IpAddress(other, one * 31);
            return InternetChecksum.PseudoHeaderSum(source, destination, length, 58) == NaiveChecksum.PseudoHeader(source, destination,
                length, 58);
        }));

    private static byte[] Bytes(ushort word) => [(byte)(word >> 8), (byte)word];

    private static bool Same(ushort one, ushort other) => one == other || (one is 0 or 0xffff && other is 0 or 0xffff);
}
