using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Linux.Providers;

/// <summary>What a provider program says; an answer unless it does something unasked.</summary>
/// <param name="Number">The request that it answers.</param>
/// <param name="Kind">The answer.</param>
/// <param name="Prefix">The prefix, if granted.</param>
/// <param name="Unasked">What it does unasked; null if it answers.</param>
internal readonly record struct ProviderMessage(
    int Number, PrefixAnswerKind Kind = default, PrefixAdvertisement Prefix = default, NetworkEvent? Unasked = null);
