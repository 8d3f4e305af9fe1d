namespace OnDemand.Dataplane;

/// <summary>A point in time on the caller's monotonic clock, in nanoseconds. The engine never reads a clock: it is told.</summary>
/// <param name="Nanoseconds">Nanoseconds since an origin that the caller chose (capture time, boot time); never negative in use.</param>
public readonly record struct Timestamp(long Nanoseconds) : IComparable<Timestamp>
{
    /// <summary>Nanoseconds in one second.</summary>
    public const long NanosecondsPerSecond = 1_000_000_000L;

    /// <summary>A time that no caller reaches; what is due then is never due.</summary>
    public static readonly Timestamp Never = new(long.MaxValue);

    /// <summary>Whole seconds as a time.</summary>
    /// <param name="seconds">Seconds since the origin.</param>
    /// <returns>The time.</returns>
    public static Timestamp FromSeconds(long seconds) => new(checked(seconds * NanosecondsPerSecond));

    /// <summary>Later by a duration; saturates at <see cref="Never"/>.</summary>
    /// <param name="duration">The duration to add.</param>
    /// <returns>The later time.</returns>
    public Timestamp Add(Duration duration) =>
        duration.Nanoseconds >= long.MaxValue - Nanoseconds ? Never : new(Nanoseconds + duration.Nanoseconds);

    /// <summary>The time that passed since an earlier one.</summary>
    /// <param name="earlier">The earlier time.</param>
    /// <returns>The difference; negative when <paramref name="earlier"/> is later.</returns>
    public Duration Since(Timestamp earlier) => new(Nanoseconds - earlier.Nanoseconds);

    /// <inheritdoc/>
    public int CompareTo(Timestamp other) => Nanoseconds.CompareTo(other.Nanoseconds);

    /// <summary>Earlier than.</summary>
    public static bool operator <(Timestamp left, Timestamp right) => left.Nanoseconds < right.Nanoseconds;

    /// <summary>Later than.</summary>
    public static bool operator >(Timestamp left, Timestamp right) => left.Nanoseconds > right.Nanoseconds;

    /// <summary>Not later than.</summary>
    public static bool operator <=(Timestamp left, Timestamp right) => left.Nanoseconds <= right.Nanoseconds;

    /// <summary>Not earlier than.</summary>
    public static bool operator >=(Timestamp left, Timestamp right) => left.Nanoseconds >= right.Nanoseconds;
}
