using OnDemand.Dataplane;

namespace OnDemand.Linux.Providers;

/// <summary>When a request that is not answered is put again (the shape of RFC 8415 §15).</summary>
/// <param name="First">How long the first attempt is waited for; above zero.</param>
/// <param name="Most">How long the later ones are at most, each twice as long as the one before; not below <paramref name="First"/>.</param>
internal readonly record struct RetryTimes(Duration First, Duration Most)
{
    /// <summary>What holds unless the configuration says otherwise.</summary>
    public static readonly RetryTimes Usual = new(Duration.FromSeconds(1), Duration.FromSeconds(30));
}

/// <summary>The program that speaks to the network: the map <c>host: provider</c>.</summary>
internal sealed record ProviderSettings
{
    /// <summary>How long a request may take in all, unless the configuration says otherwise.</summary>
    public static readonly Duration UsualTimeout = Duration.FromSeconds(10);

    /// <summary>The program and its arguments; it is run without a shell, with the rights of the dataplane.</summary>
    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>
    /// How long a request may take in all, attempts included. It cannot be longer than the engine waits (<c>timers: answer</c>); a request
    /// whose shorter time is up counts as refused.
    /// </summary>
    public Duration Timeout { get; init; } = UsualTimeout;

    /// <summary>When a request is put again.</summary>
    public RetryTimes Retry { get; init; } = RetryTimes.Usual;

    /// <summary>Whether the program may attach and detach the host.</summary>
    public bool MayMove { get; init; }
}
