namespace OnDemand.Dataplane;

/// <summary>
/// Idle times are kept in ticks of 2^26 ns (about 67 ms) since the engine's start. 32 bits are nine years; then they begin anew, so only
/// the difference of two ticks says something, and no idle time is longer than half of them.
/// </summary>
internal static class Ticks
{
    private const int Shift = 26;

    public static uint At(Timestamp now, Timestamp origin) => (uint)Count(now, origin);

    /// <summary>The time of a tick, of all that it may be the nearest to now.</summary>
    public static Timestamp Time(uint tick, Timestamp origin, Timestamp now)
    {
        long passed = Count(now, origin);
        return new(origin.Nanoseconds + ((passed + (int)(tick - (uint)passed)) << Shift));
    }

    public static uint Of(Duration duration) => (uint)Math.Clamp(duration.Nanoseconds >> Shift, 1, int.MaxValue);

    private static long Count(Timestamp now, Timestamp origin) => Math.Max(0, now.Nanoseconds - origin.Nanoseconds) >> Shift;
}
