using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;

namespace OnDemand.Captures.Replay;

/// <summary>What a scenario means for the engine.</summary>
internal static class ScenarioEngine
{
    private const int Events = 1 << 14;
    private const int Replies = 1 << 10;

    /// <summary>The engine's options.</summary>
    public static DataplaneOptions Options(Scenario scenario)
    {
        var defaults = new DataplaneOptions();
        ScenarioLimits limits = scenario.Limits;
        ScenarioTimers timers = scenario.Timers;
        return defaults with
        {
            AddressSeed = scenario.Seed,
            HashSeed = (scenario.Seed * 0x9e37_79b9_7f4a_7c15) ^ defaults.HashSeed,
            IdentifierSecret = scenario.Addresses.Secret is { } secret ? Convert.FromHexString(secret) : default(ReadOnlyMemory<byte>),
            NeutralTypes = (byte)scenario.Addresses.Neutral.Aggregate(0, (bits, type) => bits | (1 << (int)type)),
            NonpersistentRenewal = Renewal(scenario, AddressType.Nonpersistent),
            GracefulRenewal = Renewal(scenario, AddressType.GracefulReplacement),
            SessionLastingRenewal = Renewal(scenario, AddressType.SessionLasting),
            Internal = scenario.Internal,
            Policy = scenario.BuildPolicy(),
            PolicyTable = scenario.BuildPolicyTable(),
            Profile = scenario.Profile,
            Linger = scenario.Linger,
            PickUpMidFlow = scenario.Pickup,
            Untranslatable = scenario.Untranslatable == Untranslatable.Drop ? UntranslatablePolicy.Drop : UntranslatablePolicy.Pass,
            OnNet = scenario.Policy.OnNet == OnNetMeaning.Sijeon07 ? OnNetReading.PreferServing : OnNetReading.RequestNew,
            GracefulDatagramsAtOnce = scenario.Policy.GracefulUdp == GracefulUdp.AtOnce,
            PreferRoute = scenario.Policy.SessionLasting == SessionLastingChoice.Route,
            MaximumEvents = Events,
            MaximumReplies = Replies,
            MaximumFlows = limits.Flows ?? defaults.MaximumFlows,
            MaximumBindings = limits.Bindings ?? limits.Flows ?? defaults.MaximumBindings,
            MaximumInternalAddresses = limits.InternalAddresses ?? defaults.MaximumInternalAddresses,
            MaximumTypedAddresses = limits.TypedAddresses ?? defaults.MaximumTypedAddresses,
            MaximumPrefixes = limits.Prefixes ?? defaults.MaximumPrefixes,
            MaximumFragmentedDatagrams = limits.Fragments ?? defaults.MaximumFragmentedDatagrams,
            MaximumHeldFrames = limits.HeldPackets ?? defaults.MaximumHeldFrames,
            MaximumHeldOctets = limits.HeldBytes ?? defaults.MaximumHeldOctets,
            TcpEstablishedTimeout = timers.TcpEstablished ?? defaults.TcpEstablishedTimeout,
            TcpOpeningTimeout = timers.TcpOpening ?? defaults.TcpOpeningTimeout,
            TcpClosingTimeout = timers.TcpClosing ?? defaults.TcpClosingTimeout,
            UdpTimeout = timers.Udp ?? defaults.UdpTimeout,
            IcmpTimeout = timers.Icmp ?? defaults.IcmpTimeout,
            OtherTimeout = timers.Other ?? defaults.OtherTimeout,
            FragmentTimeout = timers.Fragment ?? defaults.FragmentTimeout,
            NetworkAnswerTimeout = timers.Answer ?? defaults.NetworkAnswerTimeout,
        };
    }

    /// <summary>A prefix as the engine takes it.</summary>
    public static PrefixAdvertisement Advertisement(PrefixEntry entry) =>
        new(entry.Prefix, entry.Type, entry.Preferred, entry.Valid, entry.Home);

    private static RenewalLimit Renewal(Scenario scenario, AddressType type) =>
        scenario.Addresses.Renew.TryGetValue(type, out RenewRule? rule)
            ? new RenewalLimit(rule.After ?? Duration.Infinite, (ulong)(rule.Octets ?? 0))
            : RenewalLimit.Never;
}
