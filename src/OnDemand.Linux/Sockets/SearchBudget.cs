namespace OnDemand.Linux.Sockets;

/// <summary>
/// Sees to it that searching for who has a socket takes no more than a share of the time, and is not done again and again in vain. Belongs to
/// one thread at a time.
/// </summary>
/// <param name="time">Measures the time.</param>
/// <param name="burst">How many searches may follow one another at once when there were none for a while.</param>
internal sealed class SearchBudget(TimeProvider time, int burst = 1)
{
    /// <summary>How long a search may take.</summary>
    public static readonly TimeSpan Most = TimeSpan.FromMilliseconds(20);

    // Implementation choices: what share of the time all searches take in the long run, and how long one that found nobody is not tried
    // again for the same user's sockets of the same cgroup.
    private const int Share = 16;
    private const int FruitlessKept = 256;
    private static readonly TimeSpan AgainAfter = TimeSpan.FromSeconds(1);

    private readonly Dictionary<(uint User, ulong Cgroup), long> _fruitless = [];
    private readonly long _most = (long)(Most.TotalSeconds * time.TimestampFrequency);
    private long _spare = (long)(burst * Most.TotalSeconds * time.TimestampFrequency);
    private long _began = time.GetTimestamp();

    /// <summary>Begins a search, if one may be.</summary>
    /// <param name="socket">The socket.</param>
    /// <returns>Whether it may; then <see cref="End"/> is due.</returns>
    public bool TryBegin(in SocketRecord socket)
    {
        long now = time.GetTimestamp();
        _spare = Math.Min(burst * _most, _spare + ((now - _began) / Share));
        _began = now;
        return _spare >= _most
            && !(_fruitless.TryGetValue((socket.Uid, socket.CgroupId), out long last) && time.GetElapsedTime(last, now) < AgainAfter);
    }

    /// <summary>Ends it.</summary>
    /// <param name="socket">The socket.</param>
    /// <param name="isUseless">Whether another would find nobody either.</param>
    public void End(in SocketRecord socket, bool isUseless)
    {
        long now = time.GetTimestamp();
        _spare -= now - _began;
        _began = now;
        if (!isUseless)
        {
            _fruitless.Remove((socket.Uid, socket.CgroupId));
            return;
        }

        if (_fruitless.Count == FruitlessKept)
        {
            _fruitless.Clear();
        }

        _fruitless[(socket.Uid, socket.CgroupId)] = now;
    }
}
