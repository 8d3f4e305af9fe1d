using OnDemand.Dataplane;

namespace OnDemand.Linux.Run;

/// <summary>
/// The one clock of a run: wall-clock time at its start, and what has passed since, by a clock that goes on while the machine is suspended
/// (lifetimes of prefixes do). It never goes back, also when somebody sets the machine's time; a recording's times are those of other
/// captures of the same minute.
/// </summary>
/// <param name="provider">The machine's clocks, see <see cref="BootTime"/>, or a test's.</param>
internal sealed class HostClock(TimeProvider provider)
{
    private readonly long _origin = (provider.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
    private readonly long _begin = provider.GetTimestamp();
    private readonly bool _isNanoseconds = provider.TimestampFrequency == Timestamp.NanosecondsPerSecond;

    /// <summary>The time, in nanoseconds since 1970.</summary>
    public Timestamp Now
    {
        get
        {
            long end = provider.GetTimestamp();
            long passed = _isNanoseconds ? end - _begin : provider.GetElapsedTime(_begin, end).Ticks * TimeSpan.NanosecondsPerTick;
            return new Timestamp(_origin + passed);
        }
    }
}
