using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Providers;

/// <summary>What the network says to the engine; exactly one is there.</summary>
/// <param name="Answer">It answers a question of the engine.</param>
/// <param name="Network">It gives or takes something unasked, or moves the host; the event's time does not matter.</param>
internal readonly record struct ProviderNews(PrefixAnswer? Answer = null, NetworkEvent? Network = null);
