using System.Globalization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.State;

/// <summary>What a run left on disk, so that the next one goes on where it stopped: also after it was killed.</summary>
internal sealed class SavedState
{
    /// <summary>The point of attachment; null while detached or if nothing is known.</summary>
    public string? Attachment { get; set; }

    /// <summary>Whether anything of the network was saved: without it there is nothing to restore.</summary>
    public bool HasNetwork { get; set; }

    /// <summary>The prefixes, in the order of their advertisement.</summary>
    public List<PrefixSnapshot> Prefixes { get; } = [];

    /// <summary>The typed addresses, oldest first.</summary>
    public Dictionary<IpAddress, AddressSnapshot> Addresses { get; } = [];

    /// <summary>The flows that had not gone.</summary>
    public Dictionary<FlowIdentity, FlowSnapshot> Flows { get; } = [];

    /// <summary>The clock of its times; null for a file of before there was one.</summary>
    public StateClock? Clock { get; set; }

    /// <summary>What sockets had asked for and got, by their cookies.</summary>
    public Dictionary<ulong, SavedBinding> Bindings { get; } = [];

    /// <summary>Whether the file is no state file of this version; then nothing of it was read.</summary>
    public bool IsForeign { get; set; }

    /// <summary>Where the file was kept because it is foreign or damaged; null if it was neither.</summary>
    public string? SetAside { get; set; }

    /// <summary>Numbers of lines that were not understood and left out, the first few.</summary>
    public List<int> DamagedLines { get; } = [];

    /// <summary>Moves all times, so that they count by another clock.</summary>
    /// <param name="shift">By how many nanoseconds.</param>
    /// <param name="written">When it was written last, by that clock: flows were alive then.</param>
    /// <param name="idle">How long a flow of a protocol lives without packets.</param>
    public void Move(long shift, Timestamp written, Func<byte, Duration> idle)
    {
        for (int i = 0; i < Prefixes.Count && shift != 0; i++)
        {
            Prefixes[i] = Prefixes[i] with
            {
                PreferredUntil = StateClock.Move(Prefixes[i].PreferredUntil, shift),
                ValidUntil = StateClock.Move(Prefixes[i].ValidUntil, shift),
                ClosesAt = StateClock.Move(Prefixes[i].ClosesAt, shift),
            };
        }

        foreach ((IpAddress address, AddressSnapshot saved) in Addresses.ToArray())
        {
            Addresses[address] = saved with { Since = StateClock.Move(saved.Since, shift) };
        }

        foreach ((ulong cookie, SavedBinding saved) in Bindings.ToArray())
        {
            Bindings[cookie] = saved with { Binding = saved.Binding with { Since = StateClock.Move(saved.Binding.Since, shift) } };
        }

        foreach ((FlowIdentity identity, FlowSnapshot saved) in Flows.ToArray())
        {
            Flows[identity] = saved with { LastSeen = written, IdleAt = written.Add(idle(identity.Protocol)) };
        }
    }

    /// <summary>Puts everything into an engine that has just been made.</summary>
    /// <param name="engine">The engine.</param>
    /// <param name="attachment">The number of the point of attachment.</param>
    /// <param name="now">The time.</param>
    /// <returns>What was taken and what was not.</returns>
    public Restored RestoreTo(DataplaneEngine engine, ulong attachment, Timestamp now)
    {
        ArgumentNullException.ThrowIfNull(engine);
        if (!HasNetwork)
        {
            return default;
        }

        engine.RestoreAttachment(attachment, Attachment is not null, now);
        int prefixes = Prefixes.Count(prefix => engine.RestorePrefix(prefix, now));
        int addresses = Addresses.Values.Count(address => engine.RestoreAddress(address, now));
        int flows = Flows.Values.Count(flow => engine.RestoreFlow(flow, now));
        engine.FinishRestore(now);
        return new Restored(prefixes, addresses, flows, Flows.Count - flows);
    }
}

/// <summary>What was restored.</summary>
/// <param name="Prefixes">Prefixes.</param>
/// <param name="Addresses">Typed addresses.</param>
/// <param name="Flows">Flows.</param>
/// <param name="FlowsLost">Flows that ended meanwhile or no longer fit the configuration.</param>
internal readonly record struct Restored(int Prefixes, int Addresses, int Flows, int FlowsLost)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Count(Prefixes, "prefix", "es")}, {Count(Addresses, "address", "es")} and {Count(Flows, "flow", "s")} are back, {Count(FlowsLost, "flow", "s")} "
        + $"{(FlowsLost == 1 ? "is" : "are")} over");

    private static string Count(int number, string one, string more) =>
        string.Create(CultureInfo.InvariantCulture, $"{number} {one}{(number == 1 ? string.Empty : more)}");
}
