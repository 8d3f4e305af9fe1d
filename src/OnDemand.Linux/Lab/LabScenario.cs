using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Providers;

namespace OnDemand.Linux.Lab;

/// <summary>What one access router of the lab gives.</summary>
/// <param name="Prefixes">The prefixes.</param>
/// <param name="Window">The replacement window of a move to it; null where the scenario names none.</param>
internal sealed record LabOffer(IReadOnlyList<PrefixAdvertisement> Prefixes, Duration? Window);

/// <summary>
/// A scenario in the lab: its points of attachment stand for the lab's two access routers. The names <c>ar1</c> and <c>ar2</c> mean
/// those; any other name means the router that the host is not at when the name is met first, and the same one from then on.
/// </summary>
internal sealed class LabScenario
{
    /// <summary>The replacement window where nothing names one.</summary>
    public static readonly Duration UsualWindow = Duration.FromSeconds(10);

    private const string UsualText =
        """
        # The lab's usual scenario. The last digit of the correspondent's port is the type's number (RFC 8653 §3.2, in its order).
        seed: 42
        internal: [fd00:db8::1]
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:51:1::/64, type: session-lasting}
              - {prefix: 2001:db8:a1:1::/64, type: nonpersistent, preferred: 30m, valid: 1h}
              - {prefix: 2001:db8:91:1::/64, type: graceful-replacement}
          - at: 10s
            attach: ar2
            window: 10s
            prefixes:
              - {prefix: 2001:db8:f1::7/128, type: fixed}
              - {prefix: 2001:db8:51:1::/64, type: session-lasting}
              - {prefix: 2001:db8:a2:1::/64, type: nonpersistent, preferred: 30m, valid: 1h}
              - {prefix: 2001:db8:92:1::/64, type: graceful-replacement}
        on-demand:
          session-lasting: {answer: grant, prefix: 2001:db8:51:2::/64, delay: 20ms}
        policy:
          default: legacy
          rules:
            - {protocol: tcp, remote-port: 22, type: session-lasting}
            - {remote-port: 53, type: nonpersistent}
            - {remote-port: 5201, type: fixed}
            - {remote-port: 5202, type: session-lasting}
            - {remote-port: 5203, type: nonpersistent}
            - {remote-port: 5204, type: graceful-replacement}
            - {remote-port: 7001, type: fixed}
            - {remote-port: 7002, type: session-lasting}
            - {remote-port: 7003, type: nonpersistent}
            - {remote-port: 7004, type: graceful-replacement}
            - {remote-port: 9001, type: fixed}
            - {remote-port: 9002, type: session-lasting}
            - {remote-port: 9003, type: nonpersistent}
            - {remote-port: 9004, type: graceful-replacement}
        """;

    private readonly Dictionary<string, string> _routers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, LabOffer> _offers = new(StringComparer.Ordinal);

    /// <summary>Fits a scenario into the lab.</summary>
    /// <param name="scenario">The scenario.</param>
    /// <exception cref="HostException">It holds what the lab's network is itself made of.</exception>
    public LabScenario(Scenario scenario)
    {
        Scenario = scenario;
        string? at = null;
        foreach (NetworkEvent happening in scenario.Network)
        {
            if (happening is AttachEvent attach)
            {
                at = _routers[attach.Name] = RouterFor(attach.Name, at);
                Check(attach.Prefixes);
                _offers.TryAdd(at, new LabOffer(attach.Prefixes, attach.Window));
            }
        }
    }

    /// <summary>The scenario.</summary>
    public Scenario Scenario { get; }

    /// <summary>The program that speaks to the network for the host's dataplane; null for the scenario's own answers.</summary>
    public ProviderSettings? Provider { get; init; }

    /// <summary>Whether the host's dataplane may read and write many frames with one system call.</summary>
    public bool UseRing { get; init; } = true;

    /// <summary>Whether the host's dataplane puts segments together.</summary>
    public bool Coalesce { get; init; } = true;

    /// <summary>Queues of the TAP of the host's dataplane.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>The lab's usual scenario.</summary>
    public static LabScenario Usual { get; } = new(ScenarioReader.Parse("the lab's usual scenario", Encoding.UTF8.GetBytes(UsualText)));

    /// <summary>How long gracefully replaced prefixes stay when the host detaches: what the engine makes of it.</summary>
    public Duration DetachWindow => Scenario.BuildOptions().DefaultWindow;

    /// <summary>The first attachment: the one that the lab is built with.</summary>
    public string FirstRouter =>
        Scenario.Network.OfType<AttachEvent>().FirstOrDefault() is { } first ? RouterOf(first.Name) : LabNodes.FirstRouter;

    /// <summary>The addresses that programs on the host send from, as text.</summary>
    public IReadOnlyList<string> Internal =>
        [.. Scenario.Internal.Select(prefix => prefix.IsSingleAddress ? prefix.Address.ToString() : prefix.ToString())];

    /// <summary>Reads a scenario for the lab.</summary>
    /// <param name="path">The file; null for the usual scenario.</param>
    /// <returns>The scenario.</returns>
    public static LabScenario Load(string? path)
    {
        if (string.IsNullOrEmpty(path))
        {
            return Usual;
        }

        // The whole file is read as for a replay first: it must have a network. Of the host's own map only these have a meaning here.
        Scenario scenario = ScenarioReader.Load(path);
        HostSettings host = HostConfigReader.Load(path).Host;
        return new LabScenario(scenario) { Provider = host.Provider, UseRing = host.UseRing, Coalesce = host.Coalesce, Queues = host.Queues };
    }

    /// <summary>The router that a point of attachment stands for.</summary>
    /// <param name="name">A name of the scenario, or a router's.</param>
    /// <returns>The router.</returns>
    /// <exception cref="HostException">There is no such name.</exception>
    public string RouterOf(string name)
    {
        if (LabNodes.Routers.Contains(name))
        {
            return name;
        }

        return _routers.TryGetValue(name, out string? router) ? router : throw new HostException(
            $"There is no point of attachment '{name}'; the lab has {string.Join(", ", LabNodes.Routers.Union(_routers.Keys))}.");
    }

    /// <summary>What a router gives when nothing else is said: what the scenario says first for it, else what it usually gives.</summary>
    /// <param name="router">The router.</param>
    /// <returns>What it gives.</returns>
    public LabOffer OfferOf(string router) =>
        _offers.TryGetValue(router, out LabOffer? offer) ? offer
        : this == Usual ? new LabOffer([], null)
        : new LabOffer([.. Usual.OfferOf(router).Prefixes.Where(prefix => !IsFollowing(prefix.Type))], null);

    /// <summary>The prefixes that the network may be asked for.</summary>
    /// <returns>The prefixes.</returns>
    public IEnumerable<LabPrefix> OnDemand() =>
        Scenario.OnDemand.Values.SelectMany(answers => answers)
            .Select(answer => answer.Prefix)
            .OfType<PrefixAdvertisement>()
            .DistinctBy(prefix => prefix.Prefix)     // what is drawn may be there for several types
            .Select(prefix => LabPrefix.From(prefix, FirstRouter) with { OnDemand = true });

    private static bool IsFollowing(AddressType type) => type is AddressType.Fixed or AddressType.SessionLasting;

    private static string RouterFor(string name, string? at, Dictionary<string, string> known) =>
        LabNodes.Routers.Contains(name) ? name
        : known.TryGetValue(name, out string? router) ? router
        : at is null ? LabNodes.FirstRouter : LabNodes.OtherRouter(at);

    /// <summary>Checks prefixes that the network is to give.</summary>
    /// <param name="prefixes">The prefixes.</param>
    /// <exception cref="HostException">One lies over what the lab's network is made of.</exception>
    public static void Check(IEnumerable<PrefixAdvertisement> prefixes)
    {
        foreach (PrefixAdvertisement given in prefixes)
        {
            IpPrefix? taken = LabLinks.OwnPrefixes.Cast<IpPrefix?>().FirstOrDefault(
                own => own!.Value.Contains(given.Prefix.Address) || given.Prefix.Contains(own.Value.Address));
            if (taken is not null)
            {
                throw new HostException(
                    $"The prefix {given.Prefix} lies over {taken}, which the lab's network is made of; take another one.");
            }
        }
    }

    private string RouterFor(string name, string? at) => RouterFor(name, at, _routers);
}
