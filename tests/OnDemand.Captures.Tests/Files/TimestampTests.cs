using System.Numerics;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

public sealed class TimestampTests
{
    private static readonly BigInteger Second = 1_000_000_000;

    private static readonly ulong[] TicksOfInterest =
        [0, 1, 999, 1_000_000_007, 1_700_000_000_123_456, 1_700_000_000_123_456_789, long.MaxValue, ulong.MaxValue - 1, ulong.MaxValue];

    private static readonly long[] OffsetsOfInterest = [0, 1, -1, 3_600, -1_700_000_000, 1_700_000_000, long.MaxValue, long.MinValue];

    private static readonly long[] TimesOfInterest =
        [0, 1, 499, 999_999_999, 1_000_000_000, 1_700_000_000_123_456_789, long.MaxValue, -1, long.MinValue];

    [Fact]
    public void Ticks_of_every_resolution_and_offset_are_read_as_exact_arithmetic_says()
    {
        for (int code = 0; code < 256; code++)
        {
            foreach (ulong ticks in TicksOfInterest)
            {
                foreach (long offset in OffsetsOfInterest)
                {
                    Assert.Equal(Exact((byte)code, ticks, offset), Read((byte)code, ticks, offset));
                }
            }
        }
    }

    [Fact]
    public void Random_ticks_are_read_as_exact_arithmetic_says() =>
        Prop.ForAll<byte, ulong, int>((code, ticks, offset) => Read(code, ticks, offset) == Exact(code, ticks, offset))
            .QuickCheckThrowOnFailure();

    [Fact]
    public void A_written_time_is_read_back_exactly_or_as_the_last_one_before_that_the_resolution_has()
    {
        for (int code = 0; code < 256; code++)
        {
            foreach (long time in TimesOfInterest)
            {
                foreach (long offset in OffsetsOfInterest)
                {
                    AssertWritten((byte)code, time, offset);
                }
            }
        }
    }

    [Fact]
    public void A_random_written_time_is_read_back() =>
        Prop.ForAll<byte, long, int>((code, time, offset) => AssertWritten(code, time, offset)).QuickCheckThrowOnFailure();

    [Fact]
    public void Ticks_no_finer_than_nanoseconds_survive_being_read_and_written() =>
        Prop.ForAll<byte, uint>((code, ticks) =>
        {
            CaptureInterface description = Interface((byte)(code & 0x80 | code % (code >= 0x80 ? 30 : 10)), 0);
            BigInteger exact = Exact(description.Resolution.Code, ticks, 0);
            return exact == long.MaxValue || description.FromNanoseconds(description.ToNanoseconds(ticks)) == ticks;
        }).QuickCheckThrowOnFailure();

    private static void AssertWritten(byte code, long time, long offset)
    {
        BigInteger ticks = Interface(code, offset).FromNanoseconds(time);
        BigInteger sinceOrigin = time - (offset * Second);
        if (sinceOrigin <= 0)
        {
            Assert.Equal(BigInteger.Zero, ticks);
            return;
        }

        BigInteger read = Nanoseconds(code, ticks);
        if (ticks == ulong.MaxValue)
        {
            Assert.True(read <= sinceOrigin || Nanoseconds(code, ticks - 1) < sinceOrigin, $"{code} {time} {offset} need not saturate");
            return;
        }

        Assert.True(read <= sinceOrigin && sinceOrigin < Nanoseconds(code, ticks + 1) || read == sinceOrigin, $"{code} {time} {offset}");
    }

    private static CaptureInterface Interface(byte code, long offset) => new(0, 1, 0, new TimestampResolution(code), offset);

    private static long Read(byte code, ulong ticks, long offset) => Interface(code, offset).ToNanoseconds(ticks);

    private static long Exact(byte code, ulong ticks, long offset) =>
        (long)BigInteger.Clamp(Nanoseconds(code, ticks) + (offset * Second), long.MinValue, long.MaxValue);

    private static BigInteger Nanoseconds(byte code, BigInteger ticks) =>
        ticks * Second / BigInteger.Pow(code >= 0x80 ? 2 : 10, code & 0x7f);
}
