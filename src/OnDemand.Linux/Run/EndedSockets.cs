namespace OnDemand.Linux.Run;

/// <summary>
/// The sockets that ended last. A request is on its way for some time after its socket was seen alive,
/// and the kernel tells the end of a socket only once. Only for the engine's thread.
/// </summary>
/// <param name="capacity">How many are remembered; the kernel numbers sockets once and for all, so old ones are never in the way.</param>
internal sealed class EndedSockets(int capacity = EndedSockets.UsualCapacity)
{
    // More than end while a request waits for its turn: seconds, where thousands end in a second.
    private const int UsualCapacity = 1 << 16;

    private readonly HashSet<ulong> _cookies = [];
    private readonly Queue<ulong> _order = new();

    /// <summary>Adds a socket; the one that ended first is forgotten where there is no room.</summary>
    /// <param name="cookie">The socket.</param>
    public void Add(ulong cookie)
    {
        if (!_cookies.Add(cookie))
        {
            return;
        }

        _order.Enqueue(cookie);
        if (_order.Count > capacity)
        {
            _cookies.Remove(_order.Dequeue());
        }
    }

    /// <summary>Whether a socket has ended.</summary>
    /// <param name="cookie">The socket.</param>
    /// <returns>Whether it is known to have.</returns>
    public bool Contains(ulong cookie) => _cookies.Contains(cookie);
}
