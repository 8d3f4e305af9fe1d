using OnDemand.Dataplane;

namespace OnDemand.Captures.Scenarios;

/// <summary>A time in a scenario: relative to the capture's first packet, or absolute as in the capture.</summary>
/// <param name="Nanoseconds">Nanoseconds since the first packet, or since the capture's epoch; never negative.</param>
/// <param name="IsAbsolute">Whether it counts from the capture's epoch.</param>
public readonly record struct ScenarioTime(long Nanoseconds, bool IsAbsolute)
{
    /// <summary>The time of the first packet.</summary>
    public static readonly ScenarioTime Start;

    /// <summary>A time relative to the first packet.</summary>
    /// <param name="sinceFirstPacket">The time since the first packet.</param>
    /// <returns>The time.</returns>
    public static ScenarioTime Relative(Duration sinceFirstPacket) => new(sinceFirstPacket.Nanoseconds, IsAbsolute: false);

    /// <summary>The time on the capture's clock.</summary>
    /// <param name="firstPacket">When the first packet was captured.</param>
    /// <returns>The time; <see cref="Timestamp.Never"/> when it lies beyond what the clock can say.</returns>
    public Timestamp Resolve(Timestamp firstPacket) =>
        IsAbsolute ? new Timestamp(Nanoseconds) : firstPacket.Add(new Duration(Nanoseconds));

    /// <summary>The text that a scenario file would hold.</summary>
    /// <returns>For example <c>2.5s</c> or <c>1700000000.250</c>.</returns>
    public override string ToString() =>
        IsAbsolute ? ScenarioText.Absolute(Nanoseconds) : ScenarioText.Format(new Duration(Nanoseconds));
}
