using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using Xunit;

namespace OnDemand.Captures.Tests.Scenarios;

public class ScenarioTextTests
{
    [Theory]
    [InlineData("2.5s", 2_500_000_000)]
    [InlineData("300ms", 300_000_000)]
    [InlineData("30m", 1_800_000_000_000)]
    [InlineData("2h", 7_200_000_000_000)]
    [InlineData("1d", 86_400_000_000_000)]
    [InlineData("100us", 100_000)]
    [InlineData("1ns", 1)]
    [InlineData("0", 0)]
    [InlineData("infinite", long.MaxValue)]
    [InlineData("0.000000001s", 1)]
    public void Durations_are_exact(string text, long nanoseconds)
    {
        Assert.True(ScenarioText.TryDuration(text, out Duration duration));
        Assert.Equal(nanoseconds, duration.Nanoseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("s")]
    [InlineData("-1s")]
    [InlineData("1 s")]
    [InlineData("1.5ns")]
    [InlineData("1e3s")]
    [InlineData("1..2s")]
    [InlineData("1,5s")]
    [InlineData("106752d")]
    [InlineData("Infinite")]
    public void What_is_no_exact_duration_is_refused(string text) => Assert.False(ScenarioText.TryDuration(text, out _));

    [Theory]
    [InlineData("1700000000.250", 1_700_000_000_250_000_000, true)]
    [InlineData("1700000000", 1_700_000_000_000_000_000, true)]
    [InlineData("100000000", 100_000_000_000_000_000, true)]
    [InlineData("100000000s", 100_000_000_000_000_000, false)]
    [InlineData("2.5s", 2_500_000_000, false)]
    public void Times_without_unit_and_with_nine_digits_are_absolute(string text, long nanoseconds, bool isAbsolute)
    {
        Assert.True(ScenarioText.TryTime(text, out ScenarioTime time));
        Assert.Equal(new ScenarioTime(nanoseconds, isAbsolute), time);
    }

    [Theory]
    [InlineData("17000000.25")]
    [InlineData("1700000000.0000000001")]
    [InlineData("99999999999")]
    [InlineData("infinite")]
    public void What_is_no_time_is_refused(string text) => Assert.False(ScenarioText.TryTime(text, out _));

    [Theory]
    [InlineData("1500", 1500)]
    [InlineData("64KiB", 65536)]
    [InlineData("1.5MB", 1_500_000)]
    [InlineData("1B", 1)]
    public void Sizes_are_exact(string text, long octets)
    {
        Assert.True(ScenarioText.TrySize(text, out long read));
        Assert.Equal(octets, read);
    }

    [Fact]
    public void Every_duration_reads_back_from_what_is_written() =>
        Prop.ForAll<ulong>(random =>
        {
            // Shifted by some of its own bits, so that round numbers and all magnitudes come up.
            var duration = new Duration((long)(random >> (int)(1 + (random % 63))));
            return ScenarioText.TryDuration(ScenarioText.Format(duration), out Duration again) && again == duration;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Every_time_reads_back_from_what_is_written() =>
        Prop.ForAll<ulong, bool>((random, isAbsolute) =>
        {
            var time = new ScenarioTime((long)(random % (ulong)(long.MaxValue - 1)), isAbsolute);
            return ScenarioText.TryTime(time.ToString(), out ScenarioTime again) && again == time;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Every_size_reads_back_from_what_is_written() =>
        Prop.ForAll<uint>(random =>
        {
            long octets = (long)random << (int)(random % 20);
            return ScenarioText.TrySize(ScenarioText.Size(octets), out long again) && again == octets;
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("", "abc", 3)]
    [InlineData("kitten", "sitting", 3)]
    [InlineData("Grant", "grant", 0)]
    [InlineData("wihdraw", "withdraw", 1)]
    public void The_distance_of_two_words_is_the_number_of_changes(string left, string right, int distance) =>
        Assert.Equal(distance, NearestName.Distance(left, right));
}
