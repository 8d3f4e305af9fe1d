using OnDemand.Dataplane;

namespace OnDemand.Linux.State;

/// <summary>
/// By which clock the times of a state file count. Somebody may set the machine's time between two runs, or within one (a clock that stood
/// still without a battery, until NTP answers); what has passed since the system started says how much later it really is.
/// </summary>
/// <param name="Boot">Which run of the system it was.</param>
/// <param name="Offset">By how many nanoseconds the run's time is ahead of the time since the system's start; the same throughout a run.</param>
/// <param name="Now">The run's time.</param>
internal readonly record struct StateClock(string Boot, long Offset, Timestamp Now)
{
    // Two clocks are not read at the same moment, and NTP slows or hastens one of them a little: nobody has set anything.
    private const long Unset = Timestamp.NanosecondsPerSecond;

    /// <summary>The clock of a run that has a time now.</summary>
    /// <param name="now">Its time.</param>
    /// <param name="sinceBoot">What has passed since the system's start.</param>
    /// <returns>The clock.</returns>
    public static StateClock Of(Timestamp now, Timestamp sinceBoot) => new(SavedBinding.ThisBoot, now.Nanoseconds - sinceBoot.Nanoseconds, now);

    /// <summary>The clock of a run that begins now.</summary>
    /// <param name="time">The machine's clocks; what it counts is since the system's start, in nanoseconds.</param>
    /// <returns>The clock.</returns>
    public static StateClock Beginning(TimeProvider time) => Of(
        new Timestamp((time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick), new Timestamp(time.GetTimestamp()));

    /// <summary>By how much times of this clock are to be moved to be times of a later one. What passed while the system was down nobody
    /// has counted: if it was less than nothing, somebody has set the clock back, and it was nothing.</summary>
    /// <param name="later">The later clock.</param>
    /// <returns>Nanoseconds; 0 for less than a second.</returns>
    public long ShiftTo(in StateClock later)
    {
        long shift = Boot == later.Boot ? later.Offset - Offset : Math.Min(0, later.Now.Nanoseconds - Now.Nanoseconds);
        return shift is > -Unset and < Unset ? 0 : shift;
    }

    /// <summary>Moves a time.</summary>
    /// <param name="time">The time.</param>
    /// <param name="shift">By how many nanoseconds.</param>
    /// <returns>The same moment by the other clock; never, and no time at all, are so by every clock.</returns>
    public static Timestamp Move(Timestamp time, long shift) =>
        time == Timestamp.Never || time == default ? time
        : shift > 0 ? time.Add(new Duration(shift)) : new Timestamp(Math.Max(1, time.Nanoseconds + shift));
}
