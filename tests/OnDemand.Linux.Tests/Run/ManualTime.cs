namespace OnDemand.Linux.Tests.Run;

/// <summary>Clocks that a test moves.</summary>
internal sealed class ManualTime : TimeProvider
{
    private long _passed;

    public DateTimeOffset Begin { get; set; } = DateTimeOffset.UnixEpoch.AddSeconds(1_700_000_000);

    public override long TimestampFrequency => 1_000_000_000;

    public override DateTimeOffset GetUtcNow() => Begin;

    public override long GetTimestamp() => _passed;

    public void Pass(TimeSpan time) => _passed += time.Ticks * TimeSpan.NanosecondsPerTick;
}
