using System.Collections.Concurrent;
using OnDemand.Linux.Rights;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Programs;

/// <summary>What one user has going on here. From any thread.</summary>
/// <param name="quotas">How much it may be.</param>
/// <param name="time">The clock of requests per minute.</param>
internal sealed class UserAccount(UserQuotas quotas, TimeProvider time) : IDisposable
{
    /// <summary>Connections that a user may have open at once; root as many as there are.</summary>
    public const int MostConnections = 64;

    /// <summary>How many of these may be watching.</summary>
    public const int MostWatches = 16;

    // Taking a descriptor of a program can take as long as that program has arranged for its close (SO_LINGER): it then waits at its
    // user's expense.
    private const int MostLookUps = 4;

    private readonly TokenBucket? _requests = quotas.RequestsPerMinute is { } perMinute ? new TokenBucket(perMinute, time) : null;
    private readonly Dictionary<ulong, int> _underWay = [];
    private int _connections;
    private int _watches;

    /// <summary>Lets so many look-ups of sockets through at once.</summary>
    public SemaphoreSlim LookUps { get; } = new(MostLookUps);

    /// <summary>Held while the user's possessions are looked at.</summary>
    public Lock Lock { get; } = new();

    /// <summary>The sockets whose requests are under way; only under <see cref="Lock"/>.</summary>
    public IReadOnlyCollection<ulong> UnderWay => _underWay.Keys;

    /// <summary>The sockets that have the type of their command (<c>ondemand exec</c>); only under <see cref="Lock"/>.</summary>
    public Dictionary<ulong, Possession> Commands { get; } = [];

    /// <summary>What the user has: by its own requests, and by commands; only under <see cref="Lock"/>.</summary>
    /// <param name="bindings">What was asked for.</param>
    /// <returns>All of it; a socket may be there twice.</returns>
    public Possession[] Possessions(IEnumerable<SocketBinding> bindings) =>
        [.. bindings.Select(binding => new Possession(binding.Cookie, binding.Type, binding.Prefix)), .. Commands.Values];

    /// <summary>Takes one of this minute's requests.</summary>
    /// <returns>Whether there was one left.</returns>
    public bool TryRequest() => _requests?.TryTake() ?? true;

    /// <summary>A request begins; only under <see cref="Lock"/>.</summary>
    /// <param name="cookie">Its socket.</param>
    public void Begin(ulong cookie) => _underWay[cookie] = _underWay.GetValueOrDefault(cookie) + 1;

    /// <summary>A request has ended; only under <see cref="Lock"/>.</summary>
    /// <param name="cookie">Its socket.</param>
    public void End(ulong cookie)
    {
        if (--_underWay[cookie] == 0)
        {
            _underWay.Remove(cookie);
        }
    }

    /// <summary>A connection begins.</summary>
    /// <returns>Whether the user may have one more; else it has not begun.</returns>
    public bool TryConnect() => TryEnter(ref _connections, MostConnections);

    /// <summary>A connection has ended.</summary>
    public void Disconnect() => Interlocked.Decrement(ref _connections);

    /// <summary>A watch begins.</summary>
    /// <returns>Whether the user may have one more; else it has not begun.</returns>
    public bool TryWatch() => TryEnter(ref _watches, MostWatches);

    /// <summary>A watch has ended.</summary>
    public void EndWatch() => Interlocked.Decrement(ref _watches);

    /// <inheritdoc/>
    public void Dispose() => LookUps.Dispose();

    private static bool TryEnter(ref int count, int most)
    {
        if (Interlocked.Increment(ref count) <= most)
        {
            return true;
        }

        Interlocked.Decrement(ref count);
        return false;
    }
}

/// <summary>All users that have ever asked: no more than the host has.</summary>
/// <param name="quotas">How much each may have.</param>
/// <param name="time">The clock of requests per minute.</param>
internal sealed class UserAccounts(UserQuotas quotas, TimeProvider time) : IDisposable
{
    private readonly ConcurrentDictionary<uint, UserAccount> _accounts = new();

    /// <summary>The account of a user.</summary>
    /// <param name="user">The user.</param>
    /// <returns>It.</returns>
    public UserAccount Of(uint user) => _accounts.GetOrAdd(user, _ => new UserAccount(quotas, time));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (UserAccount account in _accounts.Values)
        {
            account.Dispose();
        }
    }
}
