namespace OnDemand.Linux.Providers;

/// <summary>Cuts a stream of octets into lines of bounded length, however they come.</summary>
/// <param name="longest">The most octets that a line may have.</param>
internal sealed class LineReader(int longest)
{
    private readonly byte[] _line = new byte[longest];
    private int _length;
    private bool _isTooLong;

    /// <summary>Takes a line; null for one that was too long and is not kept.</summary>
    /// <param name="line">The line without its line feed.</param>
    /// <param name="isTooLong">Whether it was too long; then <paramref name="line"/> is empty.</param>
    public delegate void TakeLine(ReadOnlySpan<byte> line, bool isTooLong);

    /// <summary>Whether a line has begun that has no end yet.</summary>
    public bool IsInside => _length > 0 || _isTooLong;

    /// <summary>Takes octets.</summary>
    /// <param name="octets">The octets that come next.</param>
    /// <param name="take">Takes each line that they end.</param>
    public void Add(ReadOnlySpan<byte> octets, TakeLine take)
    {
        for (int end = octets.IndexOf((byte)'\n'); end >= 0; end = octets.IndexOf((byte)'\n'))
        {
            Keep(octets[..end]);
            take(_line.AsSpan(0, _isTooLong ? 0 : _length), _isTooLong);
            (_length, _isTooLong) = (0, false);
            octets = octets[(end + 1)..];
        }

        Keep(octets);
    }

    private void Keep(ReadOnlySpan<byte> part)
    {
        _isTooLong |= part.Length > _line.Length - _length;
        if (!_isTooLong)
        {
            part.CopyTo(_line.AsSpan(_length));
            _length += part.Length;
        }
    }
}
