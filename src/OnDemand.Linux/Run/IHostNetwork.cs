using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Host;

namespace OnDemand.Linux.Run;

/// <summary>The host's network around the TAP, as the loop needs it. Only for the engine's thread.</summary>
internal interface IHostNetwork
{
    /// <summary>Readable when something may have happened, once applied; -1 if nobody watches.</summary>
    int Descriptor { get; }

    /// <summary>Whether any uplink is there and up, or none was named.</summary>
    bool UplinkUp { get; }

    /// <summary>Makes addresses, rules and routes as they must be, those of typed prefixes included; what is right already stays.</summary>
    /// <exception cref="HostException">The host cannot have it so.</exception>
    void Apply();

    /// <summary>Takes back everything that this or a crashed run made.</summary>
    void TakeBack();

    /// <summary>Routes a typed prefix into the TAP.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <exception cref="HostException">The host cannot have it so.</exception>
    void AddPrefixRoute(IpPrefix prefix);

    /// <summary>Routes a typed prefix no more into the TAP.</summary>
    /// <param name="prefix">The prefix.</param>
    void RemovePrefixRoute(IpPrefix prefix);

    /// <summary>Takes what happened next.</summary>
    /// <param name="happened">What.</param>
    /// <returns>Whether there was anything.</returns>
    bool TryTakeEvent(out HostEvent happened);
}
