namespace OnDemand.Dataplane;

/// <summary>Idle times are kept in ticks of 2^26 ns (about 67 ms) since the engine's start: 32 bits last nine years.</summary>
internal static class Ticks
{
    private const int Shift = 26;

    public static uint At(Timestamp now, Timestamp origin) =>
        (uint)Math.Clamp((now.Nanoseconds - origin.Nanoseconds) >> Shift, 0, uint.MaxValue);

    public static Timestamp Time(uint tick, Timestamp origin) => new(origin.Nanoseconds + ((long)tick << Shift));

    public static uint Of(Duration duration) => (uint)Math.Clamp(duration.Nanoseconds >> Shift, 1, int.MaxValue);
}
