using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>What ON_NET means; the drafts read it in two ways.</summary>
public enum OnNetReading : byte
{
    /// <summary>draft-17 §6.2: ask the serving network for a new prefix of the type, even if one is held.</summary>
    RequestNew,

    /// <summary>draft-sijeon-07: take an address of the serving network, and ask for one only if there is none.</summary>
    PreferServing,
}

/// <summary>What happens to packets of internal addresses that cannot be rewritten safely.</summary>
public enum UntranslatablePolicy : byte
{
    /// <summary>They go on untouched, byte for byte.</summary>
    Pass,

    /// <summary>They are dropped and counted, so that no internal address is seen outside.</summary>
    Drop,
}

/// <summary>When a new socket gets a fresh address of a type although one is held (RFC 8653 §5); checked when a flow opens.</summary>
/// <param name="After">Age of the address; <see cref="Duration.Infinite"/> for never.</param>
/// <param name="Bytes">Octets sent from it; 0 for no limit.</param>
public readonly record struct RenewalLimit(Duration After, ulong Bytes)
{
    /// <summary>Never.</summary>
    public static readonly RenewalLimit Never = new(Duration.Infinite, 0);
}

/// <summary>
/// Sizes, seeds, times and switches of one engine; checked once by its constructor. Every table is taken at the start at the size given
/// here; what is not touched costs no memory.
/// </summary>
public sealed record DataplaneOptions
{
    /// <summary>Seeds the hash of the tables. Keep it secret where strangers choose ports.</summary>
    public ulong HashSeed { get; init; } = 0x6f6e_6465_6d61_6e64;

    /// <summary>Seeds the interface identifiers of opaque addresses. Keep it secret and different on every start of a live host.</summary>
    public ulong AddressSeed { get; init; }

    /// <summary>RFC 7217's secret for Fixed addresses, at least 16 octets; keep it for the host's life. Empty: derived from the seed.</summary>
    public ReadOnlyMemory<byte> IdentifierSecret { get; init; }

    /// <summary>Flows at once, 1 to 2^28.</summary>
    public int MaximumFlows { get; init; } = 1 << 18;

    /// <summary>Bindings (sockets) at once, 1 to 2^28.</summary>
    public int MaximumBindings { get; init; } = 1 << 18;

    /// <summary>Internal addresses over the engine's life, 1 to 2^22.</summary>
    public int MaximumInternalAddresses { get; init; } = 1 << 12;

    /// <summary>Typed addresses at once, 1 to 2^22.</summary>
    public int MaximumTypedAddresses { get; init; } = 1 << 14;

    /// <summary>Prefixes at once, 1 to 4096.</summary>
    public int MaximumPrefixes { get; init; } = 64;

    /// <summary>Requests of sockets at once, 1 to 16000.</summary>
    public int MaximumSocketRequests { get; init; } = 4096;

    /// <summary>Questions to the network at once, 1 to 1024.</summary>
    public int MaximumNetworkRequests { get; init; } = 64;

    /// <summary>
    /// Whether the engine asks which socket a new flow of TCP or UDP belongs to (<see cref="DataplaneEngine.TryTakeSocketQuestion"/>); its
    /// packets wait for the answer. Without it sockets are known by protocol, internal address and port.
    /// </summary>
    public bool AskSockets { get; init; }

    /// <summary>Whether that is also asked about ICMPv6 echoes, whose port is their identifier; only with <see cref="AskSockets"/>.</summary>
    public bool AskEchoSockets { get; init; }

    /// <summary>New flows at once that wait for the word on their socket, or have just had it, 1 to 65536.</summary>
    public int MaximumSocketQuestions { get; init; } = 4096;

    /// <summary>Fragmented datagrams at once, 1 to 65536; each takes 3 KiB.</summary>
    public int MaximumFragmentedDatagrams { get; init; } = 256;

    /// <summary>Frames that wait (for the network, for a first fragment) at once, 1 to 2^20.</summary>
    public int MaximumHeldFrames { get; init; } = 4096;

    /// <summary>Octets of frames that wait, in blocks of 2 KiB, 2 KiB to 1 GiB.</summary>
    public int MaximumHeldOctets { get; init; } = 8 << 20;

    /// <summary>Longest frame that can wait, in octets; longer ones are dropped and counted where they would have to.</summary>
    public int MaximumHeldFrameLength { get; init; } = 66_000;

    /// <summary>Frames made by the engine (RST, ICMPv6 errors) that wait for the caller, 1 to 65536; each takes 1.25 KiB.</summary>
    public int MaximumReplies { get; init; } = 256;

    /// <summary>Events that wait for the caller; 0 for none at all. What finds no room is counted.</summary>
    public int MaximumEvents { get; init; }

    /// <summary>TCP with a connection: at least 2 h 4 min (RFC 5382 REQ-5).</summary>
    public Duration TcpEstablishedTimeout { get; init; } = Duration.FromSeconds((2 * 3600) + (4 * 60));

    /// <summary>TCP while opening: at least 4 min (RFC 5382 REQ-5; RFC 7857 §2.1).</summary>
    public Duration TcpOpeningTimeout { get; init; } = Duration.FromSeconds(240);

    /// <summary>TCP while closing, after a RST, and stranded: at least 4 min (RFC 7857 §2.1, §2.2).</summary>
    public Duration TcpClosingTimeout { get; init; } = Duration.FromSeconds(240);

    /// <summary>UDP and UDP-Lite: at least 2 min, 5 recommended (RFC 4787 REQ-5).</summary>
    public Duration UdpTimeout { get; init; } = Duration.FromSeconds(300);

    /// <summary>ICMPv6 exchanges: at least 60 s (RFC 5508 REQ-2).</summary>
    public Duration IcmpTimeout { get; init; } = Duration.FromSeconds(60);

    /// <summary>Everything else.</summary>
    public Duration OtherTimeout { get; init; } = Duration.FromSeconds(300);

    /// <summary>How long fragments wait for their first one, and are remembered: at least 2 s (RFC 6146 §3.4).</summary>
    public Duration FragmentTimeout { get; init; } = Duration.FromSeconds(5);

    /// <summary>How long the network may take to answer.</summary>
    public Duration NetworkAnswerTimeout { get; init; } = Duration.FromSeconds(10);

    /// <summary>How long the word on a flow's socket may take; then the flow goes on without.</summary>
    public Duration SocketAnswerTimeout { get; init; } = Duration.FromSeconds(1);

    /// <summary>How long a refusal is remembered before the network is asked for that type again.</summary>
    public Duration RefusalMemory { get; init; } = Duration.FromSeconds(1);

    /// <summary>How long a Session-Lasting prefix stays after its last socket.</summary>
    public Duration Linger { get; init; } = Duration.FromSeconds(60);

    /// <summary>The replacement window where the network names none.</summary>
    public Duration DefaultWindow { get; init; } = Duration.FromSeconds(30);

    /// <summary>Types that get checksum-neutral addresses, as bits <c>1 &lt;&lt; (int)type</c>; an observer can link those of a host.</summary>
    public byte NeutralTypes { get; init; }

    /// <summary>Renewal of Nonpersistent addresses.</summary>
    public RenewalLimit NonpersistentRenewal { get; init; } = RenewalLimit.Never;

    /// <summary>Renewal of Graceful-Replacement addresses.</summary>
    public RenewalLimit GracefulRenewal { get; init; } = RenewalLimit.Never;

    /// <summary>Renewal of Session-Lasting addresses.</summary>
    public RenewalLimit SessionLastingRenewal { get; init; } = RenewalLimit.Never;

    /// <summary>What ON_NET means.</summary>
    public OnNetReading OnNet { get; init; }

    /// <summary>Whether flows whose beginning was not seen are taken up (TCP without SYN, ICMPv6 errors about unknown flows).</summary>
    public bool PickUpMidFlow { get; init; }

    /// <summary>What happens to packets that cannot be rewritten safely.</summary>
    public UntranslatablePolicy Untranslatable { get; init; } = UntranslatablePolicy.Drop;

    /// <summary>Whether datagrams go over as soon as the replacement window opens, instead of when it closes.</summary>
    public bool GracefulDatagramsAtOnce { get; init; }

    /// <summary>Whether new Session-Lasting and Fixed flows prefer the serving network's prefix (rule 5.5) to the one held.</summary>
    public bool PreferRoute { get; init; }

    /// <summary>ICMPv6 errors a second at most, on average and as a burst (RFC 4443 §2.4 (f)); 0 for none.</summary>
    public int IcmpErrorsPerSecond { get; init; } = 100;

    /// <summary>RFC 6724's policy table.</summary>
    public PolicyTable PolicyTable { get; init; } = PolicyTable.Default;

    /// <summary>Whose selection rules.</summary>
    public SelectionProfile Profile { get; init; } = SelectionProfile.Rfc6724;

    /// <summary>Addresses that programs send from; a prefix stands for all its addresses, which are taken up as they appear.</summary>
    public IReadOnlyList<IpPrefix> Internal { get; init; } = [];

    /// <summary>Rules of policy at the start.</summary>
    public ServicePolicy Policy { get; init; } = ServicePolicy.Empty;

    internal RenewalLimit RenewalOf(AddressType type) => type switch
    {
        AddressType.Nonpersistent => NonpersistentRenewal,
        AddressType.GracefulReplacement => GracefulRenewal,
        AddressType.SessionLasting => SessionLastingRenewal,
        _ => RenewalLimit.Never,   // a Fixed address stays, and what the network did not type is the network's
    };

    internal void Validate()
    {
        Check(MaximumFlows, 1, 1 << 28, nameof(MaximumFlows));
        Check(MaximumBindings, 1, 1 << 28, nameof(MaximumBindings));
        Check(MaximumInternalAddresses, 1, 1 << 22, nameof(MaximumInternalAddresses));
        Check(MaximumTypedAddresses, 1, 1 << 22, nameof(MaximumTypedAddresses));
        Check(MaximumPrefixes, 1, 4096, nameof(MaximumPrefixes));
        Check(MaximumSocketRequests, 1, 16_000, nameof(MaximumSocketRequests));
        Check(MaximumNetworkRequests, 1, 1024, nameof(MaximumNetworkRequests));
        Check(MaximumSocketQuestions, 1, 65536, nameof(MaximumSocketQuestions));
        Check(MaximumFragmentedDatagrams, 1, 65536, nameof(MaximumFragmentedDatagrams));
        Check(MaximumHeldFrames, 1, 1 << 20, nameof(MaximumHeldFrames));
        Check(MaximumHeldOctets, 2048, 1 << 30, nameof(MaximumHeldOctets));
        Check(MaximumHeldFrameLength, 1280, 1 << 26, nameof(MaximumHeldFrameLength));
        Check(MaximumReplies, 1, 65536, nameof(MaximumReplies));
        Check(MaximumEvents, 0, 1 << 24, nameof(MaximumEvents));
        Check(IcmpErrorsPerSecond, 0, 1_000_000, nameof(IcmpErrorsPerSecond));
        if (IdentifierSecret.Length is > 0 and < 16)
        {
            throw new ArgumentException("The secret of RFC 7217 has at least 16 octets.", nameof(IdentifierSecret));
        }

        foreach (IpPrefix prefix in Internal)
        {
            if (prefix.Address.IsMulticast || prefix.Address.IsLinkLocal || prefix.Address.IsLoopback || prefix.Length == 0)
            {
                throw new ArgumentException($"{prefix} cannot be internal: internal addresses are unicast and not link-local.", nameof(Internal));
            }
        }
    }

    private static void Check(int value, int least, int most, string name)
    {
        if (value < least || value > most)
        {
            throw new ArgumentOutOfRangeException(name, value, $"{name} must be {least} to {most}.");
        }
    }
}
