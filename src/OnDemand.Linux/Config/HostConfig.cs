using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Config;

/// <summary>The configuration of a running host: a scenario, and where on this machine it takes place.</summary>
/// <param name="Scenario">Internal addresses, policy, what the network does by itself and answers. Its network may be empty.</param>
/// <param name="Host">Where.</param>
/// <param name="HasSeed">Whether the file names a seed; without one everything that is random differs from start to start.</param>
internal sealed record HostConfig(Scenario Scenario, HostSettings Host, bool HasSeed)
{
    /// <summary>What the file says, key by key, to tell what another version of it says otherwise.</summary>
    public ConfigOutline Outline { get; init; } = ConfigOutline.Empty;
}
