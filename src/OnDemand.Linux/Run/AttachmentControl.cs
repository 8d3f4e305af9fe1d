using OnDemand.Captures.Recording;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.State;

namespace OnDemand.Linux.Run;

/// <summary>Every move of the host, by command or by configuration, goes through here. Only for the engine's thread.</summary>
/// <param name="engine">The way to the engine.</param>
/// <param name="network">The host's network.</param>
/// <param name="start">When the run began.</param>
/// <param name="observer">Watches; null for nobody.</param>
internal sealed class AttachmentControl(EngineDrive engine, IHostNetwork network, Timestamp start, IDataplaneObserver? observer)
    : IAttachmentControl
{
    private readonly Dictionary<string, ulong> _numbers = new(StringComparer.Ordinal);
    private bool _wasAttached;                       // in this run or the one that it goes on with

    /// <inheritdoc/>
    public string? Current { get; private set; }

    /// <inheritdoc/>
    public Timestamp Since { get; private set; } = start;

    /// <inheritdoc/>
    public long Moves { get; private set; }

    /// <inheritdoc/>
    public bool UplinkUp => network.UplinkUp;

    /// <inheritdoc/>
    public void Attach(string name, ReadOnlySpan<PrefixAdvertisement> prefixes, Duration? window, Timestamp now)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ulong number = NumberOf(name);
        engine.Settle();                             // of a step before in the same command
        observer?.OnNetworkEvent(new AttachEvent(At(now), default, name, prefixes.ToArray(), window), now);
        engine.Attach(number, prefixes, window, now);
        Moves += _wasAttached ? 1 : 0;
        _wasAttached = true;
        Current = name;
        Since = now;
    }

    /// <inheritdoc/>
    public void Detach(Timestamp now)
    {
        engine.Settle();
        observer?.OnNetworkEvent(new DetachEvent(At(now), default), now);
        engine.Detach(now);
        Current = null;
        Since = now;
    }

    /// <inheritdoc/>
    public bool Withdraw(IpPrefix prefix, Duration window, Timestamp now)
    {
        engine.Settle();
        observer?.OnNetworkEvent(new WithdrawEvent(At(now), default, prefix, window), now);
        return engine.Withdraw(prefix, window, now);
    }

    /// <summary>Advertises prefixes, see <see cref="DataplaneEngine.Advertise"/>.</summary>
    /// <param name="prefixes">The prefixes.</param>
    /// <param name="authenticated">Whether the two-hour rule is lifted.</param>
    /// <param name="now">The time.</param>
    public void Advertise(ReadOnlySpan<PrefixAdvertisement> prefixes, bool authenticated, Timestamp now)
    {
        engine.Settle();
        observer?.OnNetworkEvent(new AdvertiseEvent(At(now), default, prefixes.ToArray(), authenticated), now);
        engine.Advertise(prefixes, authenticated, now);
    }

    /// <summary>Does what the network does, by configuration or by its provider.</summary>
    /// <param name="happens">What; its time does not matter.</param>
    /// <param name="now">The time.</param>
    public void Perform(NetworkEvent happens, Timestamp now)
    {
        switch (happens)
        {
            case AttachEvent attach:
                Attach(attach.Name, [.. attach.Prefixes], attach.Window, now);
                break;
            case WithdrawEvent withdraw:
                _ = Withdraw(withdraw.Prefix, withdraw.Window ?? Duration.Zero, now);
                break;
            case AdvertiseEvent advertise:
                Advertise([.. advertise.Prefixes], advertise.Authenticated, now);
                break;
            default:
                Detach(now);
                break;
        }
    }

    /// <summary>Goes on where the last run stopped. Before anything else happens.</summary>
    /// <param name="saved">What it left.</param>
    /// <param name="now">The time.</param>
    /// <returns>What was restored.</returns>
    public Restored Restore(SavedState saved, Timestamp now)
    {
        ulong number = saved.Attachment is { } name ? NumberOf(name) : 0;
        observer?.OnRestored(saved, number, now);
        Restored restored = engine.Restore(fresh => saved.RestoreTo(fresh, number, now), now);
        Current = saved.Attachment;
        _wasAttached = Current is not null;
        Since = now;
        return restored;
    }

    private ulong NumberOf(string name)
    {
        if (!_numbers.TryGetValue(name, out ulong number))
        {
            number = (ulong)_numbers.Count;
            _numbers.Add(name, number);
        }

        return number;
    }

    private static ScenarioTime At(Timestamp now) => new(now.Nanoseconds, IsAbsolute: true);
}
