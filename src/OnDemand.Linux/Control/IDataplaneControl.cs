using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Run;

namespace OnDemand.Linux.Control;

/// <summary>
/// The way from other threads to the engine, which belongs to one thread at a time: what is handed in is carried out between two batches of packets.
/// </summary>
internal interface IDataplaneControl
{
    /// <summary>The configuration the dataplane was started with.</summary>
    Scenario Scenario { get; }

    /// <summary>Carries something out on the engine's thread. It must be short: packets wait meanwhile.</summary>
    /// <typeparam name="T">What it gives.</typeparam>
    /// <param name="work">What to do.</param>
    /// <param name="cancellationToken">Gives up waiting; what has begun is finished.</param>
    /// <returns>What it gave, or its exception.</returns>
    /// <exception cref="InvalidOperationException">The dataplane is shutting down, or too many commands wait.</exception>
    Task<T> RunAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken = default);
}

/// <summary>What a command sees while it is carried out on the engine's thread.</summary>
/// <param name="Engine">The engine.</param>
/// <param name="Network">Where the host is attached, and moves: every attach, detach and withdrawal goes through it, so that it is
/// recorded and the host's routes follow.</param>
/// <param name="Shell">What is counted around the engine, at the TAP.</param>
/// <param name="Now">The time, in nanoseconds since 1970.</param>
internal readonly record struct ControlContext(
    DataplaneEngine Engine, IAttachmentControl Network, ShellCounters Shell, Timestamp Now)
{
    /// <summary>Requests of sockets; null where nobody takes any.</summary>
    public ISocketControl? Sockets { get; init; }
}

/// <summary>Moves of a running host. Only for the engine's thread.</summary>
internal interface IAttachmentControl
{
    /// <summary>The name of the present point of attachment; null while detached.</summary>
    string? Current { get; }

    /// <summary>When the present attachment began.</summary>
    Timestamp Since { get; }

    /// <summary>How many moves there were since the start, the first attachment not counted.</summary>
    long Moves { get; }

    /// <summary>Whether the uplink, or any of them, is there and up.</summary>
    bool UplinkUp { get; }

    /// <summary>Attaches to a network, see <see cref="DataplaneEngine.Attach"/>.</summary>
    /// <param name="name">The point of attachment; the same name is the same one.</param>
    /// <param name="prefixes">What it gives.</param>
    /// <param name="window">How long prefixes that are replaced gracefully stay; null for the configured length.</param>
    /// <param name="now">The time.</param>
    void Attach(string name, ReadOnlySpan<PrefixAdvertisement> prefixes, Duration? window, Timestamp now);

    /// <summary>Detaches.</summary>
    /// <param name="now">The time.</param>
    void Detach(Timestamp now);

    /// <summary>Ends a prefix.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it stays.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether it was there.</returns>
    bool Withdraw(IpPrefix prefix, Duration window, Timestamp now);
}
