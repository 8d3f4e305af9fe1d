using System.Text.Json.Serialization;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Lab;

/// <summary>A prefix that the lab's network gave the host.</summary>
/// <param name="Prefix">The prefix, as text.</param>
/// <param name="Type">Its type by name; <c>untyped</c> if it has none.</param>
/// <param name="Router">The access router that gave it last.</param>
/// <param name="Ends">When it ends or has ended; null while it lasts.</param>
/// <param name="OnDemand">Whether it is there to be granted when asked for.</param>
internal sealed record LabPrefix(string Prefix, string Type, string Router, DateTimeOffset? Ends, bool OnDemand)
{
    /// <summary>What a prefix without a type is called.</summary>
    public const string Untyped = "untyped";

    /// <summary>Whether the network brings it to wherever the host is. What is granted on demand is brought along as well: when a grant
    /// was used, and where, only the host knows.</summary>
    [JsonIgnore]
    public bool FollowsHost => OnDemand || Kind is AddressType.Fixed or AddressType.SessionLasting;

    /// <summary>Its type.</summary>
    [JsonIgnore]
    public AddressType Kind => AddressTypes.TryParse(Type, out AddressType type) ? type : AddressType.None;

    /// <summary>Its value.</summary>
    [JsonIgnore]
    public IpPrefix Value => IpPrefix.Parse(Prefix);

    /// <summary>Whether it has ended.</summary>
    /// <param name="now">The time.</param>
    /// <returns>Whether it has.</returns>
    public bool HasEnded(DateTimeOffset now) => Ends <= now;

    /// <summary>A prefix as an access router gives it.</summary>
    /// <param name="advertisement">What it gives.</param>
    /// <param name="router">The router.</param>
    /// <returns>The prefix.</returns>
    public static LabPrefix From(PrefixAdvertisement advertisement, string router) =>
        new(advertisement.Prefix.ToString(), NameOf(advertisement.Type), router, Ends: null, OnDemand: false);

    /// <summary>The name of a type.</summary>
    /// <param name="type">The type.</param>
    /// <returns>Its name.</returns>
    public static string NameOf(AddressType type) => type == AddressType.None ? Untyped : AddressTypes.ToName(type);
}

/// <summary>
/// What a lab's network knows, kept in a file between commands: where the host is and which prefixes are whose. The network's side of a
/// move is decided here; the host's side is the engine's, and both follow the same table (RFC 8653 §3.2).
/// </summary>
internal sealed record LabState
{
    /// <summary>The lab's name.</summary>
    public required string Name { get; init; }

    /// <summary>When the lab was built.</summary>
    public required DateTimeOffset Built { get; init; }

    /// <summary>The scenario file that the lab's policy and prefixes come from; empty for the usual ones.</summary>
    public string ScenarioFile { get; init; } = string.Empty;

    /// <summary>The addresses that programs on the host send from.</summary>
    public IReadOnlyList<string> Internal { get; init; } = [];

    /// <summary>The access router that serves the host; null while it is detached.</summary>
    public string? Serving { get; init; }

    /// <summary>Since when.</summary>
    public DateTimeOffset Since { get; init; }

    /// <summary>How many moves there were, the first attachment not counted.</summary>
    public int Moves { get; init; }

    /// <summary>The prefixes given, ended ones included: the network still answers for these.</summary>
    public IReadOnlyList<LabPrefix> Prefixes { get; init; } = [];

    /// <summary>The dataplane; null if there is none.</summary>
    public LabProcess? Dataplane { get; init; }

    /// <summary>Whether the host has ordinary addresses instead of a dataplane.</summary>
    public bool Plain { get; init; }

    /// <summary>The process that holds the namespaces of a lab without root; null in a lab of root.</summary>
    public LabProcess? Holder { get; init; }

    /// <summary>The host comes to an access router.</summary>
    /// <param name="router">The router.</param>
    /// <param name="given">What it gives.</param>
    /// <param name="window">How long gracefully replaced prefixes are still forwarded.</param>
    /// <param name="now">The time.</param>
    /// <returns>The state after.</returns>
    public LabState Attach(string router, IEnumerable<PrefixAdvertisement> given, Duration window, DateTimeOffset now)
    {
        LabPrefix[] renewed = [.. given.Select(advertisement => LabPrefix.From(advertisement, router))];
        IEnumerable<LabPrefix> kept = Prefixes
            .Where(old => !Array.Exists(renewed, prefix => prefix.Prefix == old.Prefix))
            .Select(old => Leave(old, window, now));
        return this with
        {
            Serving = router,
            Since = now,
            Moves = Serving is null && Moves == 0 && Prefixes.All(prefix => prefix.OnDemand) ? 0 : Moves + 1,
            Prefixes = [.. renewed, .. kept],
        };
    }

    /// <summary>The host leaves without going elsewhere.</summary>
    /// <param name="window">How long gracefully replaced prefixes stay the host's.</param>
    /// <param name="now">The time.</param>
    /// <returns>The state after.</returns>
    public LabState Detach(Duration window, DateTimeOffset now) =>
        this with { Serving = null, Since = now, Prefixes = [.. Prefixes.Select(old => Leave(old, window, now))] };

    /// <summary>The network takes a prefix back.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it is still forwarded.</param>
    /// <param name="now">The time.</param>
    /// <returns>The state after; the same if there is no such prefix.</returns>
    public LabState Withdraw(IpPrefix prefix, Duration window, DateTimeOffset now) => this with
    {
        Prefixes = [.. Prefixes.Select(old => old.Value == prefix ? old with { Ends = now + window.ToTimeSpan() } : old)],
    };

    private static LabPrefix Leave(LabPrefix prefix, Duration window, DateTimeOffset now) =>
        prefix.FollowsHost || prefix.Ends is not null ? prefix
        : prefix.Kind == AddressType.GracefulReplacement ? prefix with { Ends = now + window.ToTimeSpan() }
        : prefix with { Ends = now };
}

/// <summary>The lab's state as JSON.</summary>
[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(LabState))]
internal sealed partial class LabJson : JsonSerializerContext;
