using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Scenarios;

/// <summary>
/// A scenario: what the network does, what it answers, what policy and programs ask for. Immutable; made by <see cref="ScenarioReader"/>
/// and written by <see cref="ScenarioWriter"/>.
/// </summary>
public sealed record Scenario
{
    /// <summary>How long a Session-Lasting prefix stays after its last socket has gone, unless the scenario says otherwise.</summary>
    public static readonly Duration DefaultLinger = Duration.FromSeconds(60);

    /// <summary>The file it came from, as the user named it.</summary>
    public string File { get; init; } = string.Empty;

    /// <summary>What everything is derived from that is chosen at random.</summary>
    public ulong Seed { get; init; }

    /// <summary>The addresses that programs send from; a /128 is one address. Never empty.</summary>
    public IReadOnlyList<IpPrefix> Internal { get; init; } = [];

    /// <summary>What the network does, in time order.</summary>
    public IReadOnlyList<NetworkEvent> Network { get; init; } = [];

    /// <summary>What the network answers when asked for a type; a type that is missing here is not supported.</summary>
    public IReadOnlyDictionary<AddressType, IReadOnlyList<NetworkAnswer>> OnDemand { get; init; } =
        new SortedDictionary<AddressType, IReadOnlyList<NetworkAnswer>>();

    /// <summary>In which order those answers are given.</summary>
    public AnswerOrder AnswerOrder { get; init; }

    /// <summary>What sockets get that asked for nothing.</summary>
    public ScenarioPolicy Policy { get; init; } = new();

    /// <summary>What programs ask for.</summary>
    public IReadOnlyList<SocketRequest> Sockets { get; init; } = [];

    /// <summary>How typed addresses are made and renewed.</summary>
    public ScenarioAddresses Addresses { get; init; } = new();

    /// <summary>How long a Session-Lasting prefix stays after its last socket has gone.</summary>
    public Duration Linger { get; init; } = DefaultLinger;

    /// <summary>Whether a flow whose beginning was not captured is taken up in its middle.</summary>
    public bool Pickup { get; init; } = true;

    /// <summary>What becomes of a packet that cannot be translated.</summary>
    public UntranslatablePolicy Untranslatable { get; init; }

    /// <summary>The sizes of the engine's tables; what is null stays as the engine has it.</summary>
    public ScenarioLimits Limits { get; init; } = new();

    /// <summary>The engine's idle times; what is null stays as the engine has it.</summary>
    public ScenarioTimers Timers { get; init; } = new();

    /// <summary>The RFC 6724 §2.1 policy table; empty for the default one.</summary>
    public IReadOnlyList<PolicyTableEntry> Labels { get; init; } = [];

    /// <summary>Which reading of RFC 6724 chooses among addresses of the type.</summary>
    public SelectionProfile Profile { get; init; }

    /// <summary>Which internal address is behind a typed address; only for captures taken outside.</summary>
    public IReadOnlyDictionary<IpAddress, IpAddress> Outside { get; init; } = new SortedDictionary<IpAddress, IpAddress>();

    /// <summary>What the network answers to the n-th request for a type, in the order of the list. The last answer is repeated.</summary>
    /// <param name="type">The type asked for.</param>
    /// <param name="request">The number of the request for this type, counted from 0.</param>
    /// <returns>The answer: not supported, at once, for a type that the scenario does not name.</returns>
    public NetworkAnswer AnswerTo(AddressType type, int request)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(request);
        return OnDemand.TryGetValue(type, out IReadOnlyList<NetworkAnswer>? answers) && answers.Count > 0
            ? answers[Math.Min(request, answers.Count - 1)]
            : new NetworkAnswer(NetworkAnswerKind.Unsupported, null, Duration.Zero);
    }

    /// <summary>The engine's options as the scenario has them; how many events and replies may wait is the caller's to say.</summary>
    /// <returns>The options.</returns>
    public DataplaneOptions BuildOptions()
    {
        var usual = new DataplaneOptions();
        return usual with
        {
            AddressSeed = Seed,
            HashSeed = (Seed * 0x9e37_79b9_7f4a_7c15) ^ usual.HashSeed,
            IdentifierSecret = Addresses.Secret is { } secret ? Convert.FromHexString(secret) : ReadOnlyMemory<byte>.Empty,
            Internal = Internal,
            Policy = BuildPolicy(),
            PolicyTable = BuildPolicyTable(),
            Profile = Profile,
            Linger = Linger,
            PickUpMidFlow = Pickup,
            Untranslatable = Untranslatable,
            OnNet = Policy.OnNet,
            GracefulDatagramsAtOnce = Policy.GracefulDatagramsAtOnce,
            PreferRoute = Policy.PreferRoute,
            NeutralTypes = (byte)Addresses.Neutral.Aggregate(0, (bits, type) => bits | (1 << (int)type)),
            NonpersistentRenewal = Renewal(AddressType.Nonpersistent),
            GracefulRenewal = Renewal(AddressType.GracefulReplacement),
            SessionLastingRenewal = Renewal(AddressType.SessionLasting),
            MaximumFlows = Limits.Flows ?? usual.MaximumFlows,
            MaximumBindings = Limits.Bindings ?? Limits.Flows ?? usual.MaximumBindings,
            MaximumInternalAddresses = Limits.InternalAddresses ?? usual.MaximumInternalAddresses,
            MaximumTypedAddresses = Limits.TypedAddresses ?? usual.MaximumTypedAddresses,
            MaximumPrefixes = Limits.Prefixes ?? usual.MaximumPrefixes,
            MaximumFragmentedDatagrams = Limits.Fragments ?? usual.MaximumFragmentedDatagrams,
            MaximumHeldFrames = Limits.HeldPackets ?? usual.MaximumHeldFrames,
            MaximumHeldOctets = Limits.HeldBytes ?? usual.MaximumHeldOctets,
            TcpEstablishedTimeout = Timers.TcpEstablished ?? usual.TcpEstablishedTimeout,
            TcpOpeningTimeout = Timers.TcpOpening ?? usual.TcpOpeningTimeout,
            TcpClosingTimeout = Timers.TcpClosing ?? usual.TcpClosingTimeout,
            UdpTimeout = Timers.Udp ?? usual.UdpTimeout,
            IcmpTimeout = Timers.Icmp ?? usual.IcmpTimeout,
            OtherTimeout = Timers.Other ?? usual.OtherTimeout,
            FragmentTimeout = Timers.Fragment ?? usual.FragmentTimeout,
            NetworkAnswerTimeout = Timers.Answer ?? usual.NetworkAnswerTimeout,
        };
    }

    /// <summary>The policy in the engine's form.</summary>
    /// <returns>The policy.</returns>
    public ServicePolicy BuildPolicy() => Policy.Build();

    /// <summary>The RFC 6724 §2.1 table in the engine's form: the scenario's, or the default one of its profile.</summary>
    /// <returns>The table.</returns>
    public PolicyTable BuildPolicyTable() =>
        Labels.Count > 0 ? new PolicyTable([.. Labels]) : Profile == SelectionProfile.Linux ? PolicyTable.Linux : PolicyTable.Default;

    /// <summary>
    /// Checks what can be checked only when the first packet's time is known: that relative and absolute times are in order.
    /// </summary>
    /// <param name="firstPacket">When the first packet was captured.</param>
    /// <exception cref="ScenarioException">An event comes before the one above it.</exception>
    public void CheckOrder(Timestamp firstPacket)
    {
        for (int i = 1; i < Network.Count; i++)
        {
            if (Network[i].At.Resolve(firstPacket) < Network[i - 1].At.Resolve(firstPacket))
            {
                throw new ScenarioException(
                    File, Network[i].Place.Line, Network[i].Place.Column,
                    $"found an event at {Network[i].At} after one at {Network[i - 1].At}, expected events in time order " +
                    $"(the first packet is at {ScenarioText.Absolute(firstPacket.Nanoseconds)})");
            }
        }
    }

    private RenewalLimit Renewal(AddressType type) =>
        Addresses.Renew.TryGetValue(type, out RenewalLimit limit) ? limit : RenewalLimit.Never;
}

/// <summary>How typed addresses are made and renewed.</summary>
public sealed record ScenarioAddresses
{
    /// <summary>The types whose addresses are checksum-neutral (RFC 6296); the others are opaque.</summary>
    public IReadOnlyList<AddressType> Neutral { get; init; } = [];

    /// <summary>The secret of RFC 7217 in hexadecimal; null to derive it from the seed.</summary>
    public string? Secret { get; init; }

    /// <summary>When new flows of a type get a fresh address although the old one is still valid.</summary>
    public IReadOnlyDictionary<AddressType, RenewalLimit> Renew { get; init; } = new SortedDictionary<AddressType, RenewalLimit>();
}

/// <summary>The sizes of the engine's tables; null leaves the engine's own.</summary>
public sealed record ScenarioLimits
{
    /// <summary>Flows at one time.</summary>
    public int? Flows { get; init; }

    /// <summary>Bindings at one time.</summary>
    public int? Bindings { get; init; }

    /// <summary>Internal addresses.</summary>
    public int? InternalAddresses { get; init; }

    /// <summary>Typed addresses at one time.</summary>
    public int? TypedAddresses { get; init; }

    /// <summary>Prefixes at one time.</summary>
    public int? Prefixes { get; init; }

    /// <summary>Fragmented packets that are remembered at one time.</summary>
    public int? Fragments { get; init; }

    /// <summary>Packets that wait for the network's answer at one time.</summary>
    public int? HeldPackets { get; init; }

    /// <summary>Octets of the packets that wait.</summary>
    public int? HeldBytes { get; init; }
}

/// <summary>The engine's idle times; null leaves the engine's own.</summary>
public sealed record ScenarioTimers
{
    /// <summary>An established TCP flow without packets.</summary>
    public Duration? TcpEstablished { get; init; }

    /// <summary>A TCP flow whose handshake is not done.</summary>
    public Duration? TcpOpening { get; init; }

    /// <summary>A TCP flow after FIN or RST.</summary>
    public Duration? TcpClosing { get; init; }

    /// <summary>A UDP or UDP-Lite flow without packets.</summary>
    public Duration? Udp { get; init; }

    /// <summary>An ICMPv6 echo flow without packets.</summary>
    public Duration? Icmp { get; init; }

    /// <summary>A flow of any other protocol without packets.</summary>
    public Duration? Other { get; init; }

    /// <summary>A fragmented packet whose further fragments are awaited.</summary>
    public Duration? Fragment { get; init; }

    /// <summary>How long to wait for the network's answer.</summary>
    public Duration? Answer { get; init; }
}
