using OnDemand.Dataplane;

namespace OnDemand.Linux.Lab;

/// <summary>Between the engine's spans of time and those of the lab's clock.</summary>
internal static class LabTime
{
    // Far above any window and far below what a date can hold.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(10_000);

    /// <summary>A span of time as the base library has it; for ever becomes 10,000 days.</summary>
    /// <param name="duration">The span.</param>
    /// <returns>The same.</returns>
    public static TimeSpan ToTimeSpan(this Duration duration)
    {
        long ticks = duration.Nanoseconds / TimeSpan.NanosecondsPerTick;
        return ticks >= Longest.Ticks ? Longest : TimeSpan.FromTicks(ticks);
    }
}
