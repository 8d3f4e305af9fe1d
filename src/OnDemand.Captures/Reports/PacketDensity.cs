using OnDemand.Dataplane;

namespace OnDemand.Captures.Reports;

/// <summary>
/// When a flow's packets were, in a fixed number of equal intervals. The end of the capture need not be known: when a packet comes after
/// the last interval, neighbors are added up and every interval is twice as long. Takes about 300 octets.
/// </summary>
public sealed class PacketDensity
{
    private const int Intervals = 128;
    private const long ShortestInterval = 1_000_000;   // one millisecond: 128 of them begin with an eighth of a second

    private readonly ushort[] _counts = new ushort[Intervals];
    private readonly long _origin;
    private int _shift;   // the interval is ShortestInterval << _shift

    /// <summary>No packets yet.</summary>
    /// <param name="origin">The beginning of the first interval: the capture's first packet.</param>
    public PacketDensity(Timestamp origin) => _origin = origin.Nanoseconds;

    /// <summary>The beginning of the first interval.</summary>
    public Timestamp Origin => new(_origin);

    /// <summary>The length of an interval in nanoseconds.</summary>
    public long Interval => ShortestInterval << _shift;

    /// <summary>The number of packets in each interval, up to the last that is not zero; 65535 stands for more as well.</summary>
    public IReadOnlyList<ushort> Counts => [.. _counts.AsSpan(0, _counts.AsSpan().LastIndexOfAnyExcept((ushort)0) + 1)];

    /// <summary>Counts a packet.</summary>
    /// <param name="time">Its time; what is before the origin counts as at the origin.</param>
    public void Add(Timestamp time)
    {
        long since = Math.Max(0, time.Nanoseconds - _origin);
        while (since / ShortestInterval >> _shift >= Intervals)
        {
            Halve();
        }

        ref ushort count = ref _counts[(int)(since / ShortestInterval >> _shift)];
        count = Sum(count, 1);
    }

    private void Halve()
    {
        for (int i = 0; i < Intervals / 2; i++)
        {
            _counts[i] = Sum(_counts[2 * i], _counts[(2 * i) + 1]);
        }

        _counts.AsSpan(Intervals / 2).Clear();
        _shift++;
    }

    private static ushort Sum(ushort left, ushort right) => (ushort)Math.Min(left + right, ushort.MaxValue);
}
