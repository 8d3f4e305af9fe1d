using OnDemand.Dataplane;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Run;

/// <summary>The machine's clocks, where the one that only goes forward counts the time that the machine was suspended too: a notebook that
/// was shut for two hours wakes up to prefixes that are two hours older.</summary>
internal sealed class BootTime : TimeProvider
{
    /// <summary>The only one.</summary>
    public static readonly BootTime Instance = new();

    private BootTime()
    {
    }

    /// <inheritdoc/>
    public override long TimestampFrequency => Timestamp.NanosecondsPerSecond;

    /// <inheritdoc/>
    public override long GetTimestamp()
    {
        _ = Libc.GetClock(Libc.ClockOfBootTime, out TimeSpec passed);    // it refuses only clocks that it does not have
        return (passed.Seconds * Timestamp.NanosecondsPerSecond) + passed.Nanoseconds;
    }
}
