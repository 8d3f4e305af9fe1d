namespace OnDemand.Dataplane;

/// <summary>A span of time in nanoseconds. Infinite lifetimes (RFC 4861 §4.6.2, all ones) are <see cref="Infinite"/>.</summary>
/// <param name="Nanoseconds">Nanoseconds; <see cref="long.MaxValue"/> means for ever.</param>
public readonly record struct Duration(long Nanoseconds) : IComparable<Duration>
{
    /// <summary>No time at all.</summary>
    public static readonly Duration Zero;

    /// <summary>For ever.</summary>
    public static readonly Duration Infinite = new(long.MaxValue);

    /// <summary>Whole seconds.</summary>
    /// <param name="seconds">Seconds, 0 to about 292 years.</param>
    /// <returns>The duration.</returns>
    public static Duration FromSeconds(long seconds) => new(checked(seconds * Timestamp.NanosecondsPerSecond));

    /// <summary>Whole milliseconds.</summary>
    /// <param name="milliseconds">Milliseconds.</param>
    /// <returns>The duration.</returns>
    public static Duration FromMilliseconds(long milliseconds) => new(checked(milliseconds * 1_000_000L));

    /// <inheritdoc/>
    public int CompareTo(Duration other) => Nanoseconds.CompareTo(other.Nanoseconds);

    /// <summary>Shorter than.</summary>
    public static bool operator <(Duration left, Duration right) => left.Nanoseconds < right.Nanoseconds;

    /// <summary>Longer than.</summary>
    public static bool operator >(Duration left, Duration right) => left.Nanoseconds > right.Nanoseconds;

    /// <summary>Not longer than.</summary>
    public static bool operator <=(Duration left, Duration right) => left.Nanoseconds <= right.Nanoseconds;

    /// <summary>Not shorter than.</summary>
    public static bool operator >=(Duration left, Duration right) => left.Nanoseconds >= right.Nanoseconds;
}
