using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Providers;

/// <summary>What the network says to the engine; exactly one of the first two is there.</summary>
/// <param name="Answer">It answers a question of the engine.</param>
/// <param name="Network">It gives or takes something unasked, or moves the host; the event's time does not matter.</param>
/// <param name="IsSilence">Whether the answer stands for one that did not come in the provider's time: to the engine a refusal, to who
/// asked none.</param>
internal readonly record struct ProviderNews(PrefixAnswer? Answer = null, NetworkEvent? Network = null, bool IsSilence = false);
