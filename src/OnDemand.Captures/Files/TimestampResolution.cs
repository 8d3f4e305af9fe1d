using OnDemand.Dataplane;

namespace OnDemand.Captures.Files;

/// <summary>The length of one timestamp tick, as the pcapng option if_tsresol gives it.</summary>
/// <param name="Code">The option's octet: with the top bit clear a tick is 10^-n seconds, with the top bit set 2^-n seconds, n being
/// the low seven bits.</param>
/// <remarks>
/// Ticks that are finer than a nanosecond lose the fraction when read. Ticks are written so that reading gives the time back exactly
/// where the resolution allows it, and otherwise the last tick that is not after the time. Everything saturates; nothing overflows.
/// </remarks>
public readonly record struct TimestampResolution(byte Code)
{
    /// <summary>10^-6 seconds: the value that holds when the option is absent.</summary>
    public static readonly TimestampResolution Microseconds = new(6);

    /// <summary>10^-9 seconds.</summary>
    public static readonly TimestampResolution Nanoseconds = new(9);

    private const long NanosecondsPerSecond = Timestamp.NanosecondsPerSecond;
    private const int NanosecondExponent = 9;
    private const int LargestUInt64Exponent = 19;   // 10^19 < 2^64 < 10^20

    // 2^98 ticks a second and finer: one nanosecond alone is more than 2^64 ticks.
    private const int FinestRepresentableBinaryExponent = 98;

    // 2^30 is the first power of two above 10^9.
    private const int FirstBinaryExponentBelowNanosecond = 30;

    /// <summary>Whether ticks are negative powers of two rather than of ten.</summary>
    public bool IsBinary => (Code & 0x80) != 0;

    /// <summary>The exponent n, 0 to 127.</summary>
    public int Exponent => Code & 0x7f;

    /// <summary>Nanoseconds since 1970-01-01 00:00 UTC of a tick count, rounded down; saturated to the range of the type.</summary>
    /// <param name="ticks">Ticks since the interface's origin.</param>
    /// <param name="offsetSeconds">The interface's if_tsoffset: seconds to be added.</param>
    /// <returns>The time in nanoseconds.</returns>
    public long ToNanoseconds(ulong ticks, long offsetSeconds)
    {
        // Ticks are never negative and the offset is whole seconds, so cutting the fraction is rounding down.
        Int128 nanoseconds = (Int128)TicksToNanoseconds(ticks) + ((Int128)offsetSeconds * NanosecondsPerSecond);
        return nanoseconds > long.MaxValue ? long.MaxValue : nanoseconds < long.MinValue ? long.MinValue : (long)nanoseconds;
    }

    /// <summary>The tick count of a time; saturated to the range of the type.</summary>
    /// <param name="nanoseconds">Nanoseconds since 1970-01-01 00:00 UTC.</param>
    /// <param name="offsetSeconds">The interface's if_tsoffset: seconds to be taken off.</param>
    /// <returns>Ticks since the interface's origin; zero for a time before it.</returns>
    public ulong FromNanoseconds(long nanoseconds, long offsetSeconds)
    {
        Int128 sinceOrigin = nanoseconds - ((Int128)offsetSeconds * NanosecondsPerSecond);
        return sinceOrigin <= 0 ? 0 : IsBinary ? ToBinaryTicks((UInt128)sinceOrigin) : ToDecimalTicks((UInt128)sinceOrigin);
    }

    private UInt128 TicksToNanoseconds(ulong ticks)
    {
        if (IsBinary)
        {
            return ((UInt128)ticks * NanosecondsPerSecond) >> Exponent;
        }

        if (Exponent <= NanosecondExponent)
        {
            return (UInt128)ticks * PowerOfTen(NanosecondExponent - Exponent);
        }

        int finer = Exponent - NanosecondExponent;
        return finer > LargestUInt64Exponent ? UInt128.Zero : ticks / PowerOfTen(finer);
    }

    private ulong ToDecimalTicks(UInt128 nanoseconds)
    {
        if (Exponent <= NanosecondExponent)
        {
            return Saturate(nanoseconds / PowerOfTen(NanosecondExponent - Exponent));
        }

        int finer = Exponent - NanosecondExponent;
        return finer > LargestUInt64Exponent || nanoseconds > ulong.MaxValue
            ? ulong.MaxValue
            : Saturate(nanoseconds * PowerOfTen(finer));
    }

    private ulong ToBinaryTicks(UInt128 nanoseconds)
    {
        if (Exponent > FinestRepresentableBinaryExponent)
        {
            return ulong.MaxValue;
        }

        (UInt128 seconds, UInt128 rest) = UInt128.DivRem(nanoseconds, NanosecondsPerSecond);
        if (seconds != 0 && (Exponent >= 64 || seconds > ulong.MaxValue >> Exponent))
        {
            return ulong.MaxValue;
        }

        // Reading rounds down, so a tick finer than a nanosecond is rounded up here and reads as the same nanosecond; a coarser one is
        // the last whose time, read back, is not after this one.
        UInt128 fraction = Exponent >= FirstBinaryExponentBelowNanosecond
            ? ((rest << Exponent) + (NanosecondsPerSecond - 1)) / NanosecondsPerSecond
            : ((((rest + 1) << Exponent) + (NanosecondsPerSecond - 1)) / NanosecondsPerSecond) - 1;
        return Saturate((seconds << Exponent) + fraction);
    }

    private static ulong Saturate(UInt128 value) => value > ulong.MaxValue ? ulong.MaxValue : (ulong)value;

    private static ulong PowerOfTen(int exponent) => PowersOfTen[exponent];

    private static ReadOnlySpan<ulong> PowersOfTen =>
    [
        1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000, 100_000_000_000,
        1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000, 10_000_000_000_000_000,
        100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
    ];
}
