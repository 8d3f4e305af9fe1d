using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Reports;
using OnDemand.Dataplane;
using Xunit;

namespace OnDemand.Captures.Tests.Reports;

public class PacketDensityTests
{
    [Fact]
    public void Every_packet_is_counted_in_the_interval_of_its_time() =>
        Prop.ForAll<uint[]>(times =>
        {
            var density = new PacketDensity(Timestamp.FromSeconds(5));
            foreach (uint time in times)
            {
                density.Add(Timestamp.FromSeconds(5).Add(Duration.FromMilliseconds(time)));
            }

            ushort[] expected = new ushort[128];
            foreach (uint time in times)
            {
                expected[(int)(time * 1_000_000L / density.Interval)]++;
            }

            return density.Counts.Count <= 128 && density.Counts.SequenceEqual(expected[..density.Counts.Count])
                && density.Counts.Sum(count => count) == times.Length;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Counts_stop_at_their_highest_value_instead_of_starting_anew()
    {
        var density = new PacketDensity(default);
        for (int i = 0; i < 70_000; i++)
        {
            density.Add(default);
        }

        density.Add(Timestamp.FromSeconds(1_000));

        Assert.Equal(ushort.MaxValue, density.Counts[0]);
    }

    [Fact]
    public void A_packet_before_the_origin_counts_at_the_origin()
    {
        var density = new PacketDensity(Timestamp.FromSeconds(5));

        density.Add(Timestamp.FromSeconds(1));

        Assert.Equal([(ushort)1], density.Counts);
    }
}
