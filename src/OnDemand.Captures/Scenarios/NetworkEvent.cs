using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>Where something stands in the scenario file, so that an error found later can still say so.</summary>
/// <param name="Line">The line, counted from 1.</param>
/// <param name="Column">The column, counted from 1.</param>
public readonly record struct ScenarioPlace(int Line, int Column);

/// <summary>Something that the network does at a time.</summary>
/// <param name="At">When.</param>
/// <param name="Place">Where the scenario says so.</param>
public abstract record NetworkEvent(ScenarioTime At, ScenarioPlace Place);

/// <summary>The host comes to a point of attachment, from another one or from none.</summary>
/// <param name="At">When.</param>
/// <param name="Place">Where the scenario says so.</param>
/// <param name="Name">The point of attachment.</param>
/// <param name="Prefixes">What the network gives there; may be empty.</param>
/// <param name="Window">The replacement window (RFC 8653 §3.2); null when the scenario names none.</param>
public sealed record AttachEvent(
    ScenarioTime At, ScenarioPlace Place, string Name, IReadOnlyList<PrefixAdvertisement> Prefixes, Duration? Window)
    : NetworkEvent(At, Place);

/// <summary>The network takes a prefix back.</summary>
/// <param name="At">When.</param>
/// <param name="Place">Where the scenario says so.</param>
/// <param name="Prefix">The prefix.</param>
/// <param name="Window">How long it stays valid, deprecated; null for not at all.</param>
public sealed record WithdrawEvent(ScenarioTime At, ScenarioPlace Place, IpPrefix Prefix, Duration? Window) : NetworkEvent(At, Place);

/// <summary>The host leaves its point of attachment without another.</summary>
/// <param name="At">When.</param>
/// <param name="Place">Where the scenario says so.</param>
public sealed record DetachEvent(ScenarioTime At, ScenarioPlace Place) : NetworkEvent(At, Place);

/// <summary>The network gives lifetimes anew, or further prefixes, without a move.</summary>
/// <param name="At">When.</param>
/// <param name="Place">Where the scenario says so.</param>
/// <param name="Prefixes">The prefixes with their new lifetimes.</param>
/// <param name="Authenticated">Whether the two-hour rule is lifted (RFC 4862 §5.5.3 e).</param>
public sealed record AdvertiseEvent(
    ScenarioTime At, ScenarioPlace Place, IReadOnlyList<PrefixAdvertisement> Prefixes, bool Authenticated) : NetworkEvent(At, Place);

/// <summary>What the network says when it is asked for a type.</summary>
public enum NetworkAnswerKind : byte
{
    /// <summary>It gives a prefix.</summary>
    Grant,

    /// <summary>It could, and does not.</summary>
    Refuse,

    /// <summary>It does not know the type.</summary>
    Unsupported,

    /// <summary>It never answers.</summary>
    Silence,
}

/// <summary>In which order the network gives the answers that the scenario lists for a type.</summary>
public enum AnswerOrder : byte
{
    /// <summary>One by one as they are listed; the last is repeated.</summary>
    AsGiven,

    /// <summary>
    /// Drawn by the scenario's seed, so that neither the order of grants nor the prefix itself tells the type (RFC 8653 §5): among prefixes
    /// that are not in use, and not the one given up last if there is another.
    /// </summary>
    Random,
}

/// <summary>One answer of the network to a request for a type.</summary>
/// <param name="Kind">What it says.</param>
/// <param name="Prefix">The prefix granted; null for every other kind.</param>
/// <param name="Delay">The time between question and answer.</param>
public sealed record NetworkAnswer(NetworkAnswerKind Kind, PrefixAdvertisement? Prefix, Duration Delay);
