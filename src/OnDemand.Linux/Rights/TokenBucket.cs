namespace OnDemand.Linux.Rights;

/// <summary>Lets so many requests through in a minute: as many at once, then one whenever its part of the minute has passed.</summary>
/// <param name="perMinute">How many, above zero.</param>
/// <param name="time">The clock.</param>
internal sealed class TokenBucket(int perMinute, TimeProvider time)
{
    private readonly Lock _lock = new();
    private double _tokens = perMinute;
    private long _filled = time.GetTimestamp();

    /// <summary>Takes a token.</summary>
    /// <returns>Whether there was one.</returns>
    public bool TryTake()
    {
        lock (_lock)
        {
            long now = time.GetTimestamp();
            _tokens = Math.Min(perMinute, _tokens + (time.GetElapsedTime(_filled, now).TotalMinutes * perMinute));
            _filled = now;
            if (_tokens < 1)
            {
                return false;
            }

            _tokens--;
            return true;
        }
    }
}
