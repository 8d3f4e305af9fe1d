namespace OnDemand.Dataplane;

/// <summary>What becomes of a frame.</summary>
public enum VerdictKind : byte
{
    /// <summary>Send it on, as it now is; <see cref="Verdict.Forward"/> says why.</summary>
    Forward,

    /// <summary>Forget it: the engine has answered the sender; the answer is among the outputs.</summary>
    Reply,

    /// <summary>Do not send it: the engine keeps a copy, and gives that out among the outputs later or drops and counts it.</summary>
    Hold,

    /// <summary>Forget it; <see cref="Verdict.Drop"/> says why.</summary>
    Drop,
}

/// <summary>Why a frame is sent on.</summary>
public enum ForwardReason : byte
{
    /// <summary>Its address was rewritten.</summary>
    Rewritten,

    /// <summary>Rewritten, and addressed to one of our own typed addresses: it goes back to the host (hairpin).</summary>
    Hairpin,

    /// <summary>From or to a native socket: checked, and untouched.</summary>
    Native,

    /// <summary>Not IPv6, or cut within its header.</summary>
    NotIpv6,

    /// <summary>Neither from an internal nor to a typed address.</summary>
    NotOurs,

    /// <summary>The other end is link-local, loopback, unspecified or multicast.</summary>
    LinkScope,

    /// <summary>Neighbor discovery or multicast listener discovery.</summary>
    NeighborDiscovery,

    /// <summary>Between internal addresses.</summary>
    Internal,

    /// <summary>It cannot be rewritten safely, and the options let it pass.</summary>
    Untranslatable,
}

/// <summary>Why a frame is dropped; each has its own counter.</summary>
public enum DropReason : byte
{
    /// <summary>It is not.</summary>
    None,

    /// <summary>The host is attached to no network.</summary>
    Detached,

    /// <summary>Inbound, to an address that has ended.</summary>
    AddressEnded,

    /// <summary>Inbound, to a typed address that is not its flow's.</summary>
    WrongAddress,

    /// <summary>Inbound, unasked for, to an address that may not be reached.</summary>
    Unsolicited,

    /// <summary>TCP without a flow and without SYN, and picking up is off.</summary>
    NoFlow,

    /// <summary>No room for a new flow.</summary>
    FlowTableFull,

    /// <summary>No room for a new socket's binding.</summary>
    BindingTableFull,

    /// <summary>No room for another internal or typed address.</summary>
    AddressTableFull,

    /// <summary>The network refused the type, did not answer, or has it not.</summary>
    Refused,

    /// <summary>No address may be its source: the prefix asked for is not there, or no prefix at all (legacy).</summary>
    NoSource,

    /// <summary>It would have to wait, and there is no room.</summary>
    HoldFull,

    /// <summary>It waited too long for its first fragment or for the network.</summary>
    HoldTimeout,

    /// <summary>A fragment that overlaps another (RFC 5722).</summary>
    OverlappingFragment,

    /// <summary>No room for another fragmented datagram.</summary>
    FragmentTableFull,

    /// <summary>Its datagram's first fragment was dropped.</summary>
    FragmentOfDropped,

    /// <summary>A first fragment without its header chain (RFC 7112).</summary>
    TinyFragment,

    /// <summary>The chain of headers is malformed.</summary>
    BrokenChain,

    /// <summary>An Authentication Header covers its addresses.</summary>
    Authenticated,

    /// <summary>Mobility, HIP or Shim6 signaling.</summary>
    AddressSignaling,

    /// <summary>A transport whose checksum is unknown, and the address is not checksum-neutral.</summary>
    OpaqueTransport,

    /// <summary>Inbound with segments left: the final destination is elsewhere.</summary>
    SegmentsLeft,

    /// <summary>An ICMPv6 error whose checksum is wrong (RFC 5508 REQ-3).</summary>
    BadIcmpChecksum,

    /// <summary>An ICMPv6 error that quotes too little, or an error (RFC 6146 §3.4, RFC 7915 §5.3).</summary>
    BadQuote,

    /// <summary>An ICMPv6 error about a flow that is not there (RFC 5508 REQ-4).</summary>
    ErrorWithoutFlow,

    /// <summary>The engine's answer found no room.</summary>
    ReplyQueueFull,
}

/// <summary>What a held frame waits for.</summary>
public enum HoldReason : byte
{
    /// <summary>It is not held.</summary>
    None,

    /// <summary>The network's answer.</summary>
    Network,

    /// <summary>Its datagram's first fragment.</summary>
    FirstFragment,

    /// <summary>The kernel's word on which socket it belongs to.</summary>
    Socket,
}

/// <summary>The engine's word on one frame.</summary>
public readonly record struct Verdict
{
    // One word, because it is made and looked at for every packet: put together from fields of one octet it would go through memory,
    // and reading eight octets right after writing them one by one costs more than all the rest of a rewrite.
    private readonly ulong _word;

    private Verdict(VerdictKind kind, ForwardReason forward, DropReason drop, int flow, HoldReason hold = HoldReason.None) =>
        _word = (byte)kind | ((uint)forward << 8) | ((uint)drop << 16) | ((uint)hold << 24) | ((ulong)(uint)flow << 32);

    /// <summary>What becomes of the frame.</summary>
    public VerdictKind Kind => (VerdictKind)(byte)_word;

    /// <summary>Why it is sent on; meaningful for <see cref="VerdictKind.Forward"/>.</summary>
    public ForwardReason Forward => (ForwardReason)(byte)(_word >> 8);

    /// <summary>Why it is dropped, or what the answer was about; meaningful for drop and reply.</summary>
    public DropReason Drop => (DropReason)(byte)(_word >> 16);

    /// <summary>What it waits for; meaningful for <see cref="VerdictKind.Hold"/>.</summary>
    public HoldReason Hold => (HoldReason)(byte)(_word >> 24);

    /// <summary>The number of its flow, or -1; numbers are used again after a flow has closed.</summary>
    public int Flow => (int)(_word >> 32);

    internal static Verdict Sent(ForwardReason reason, int flow = -1) => new(VerdictKind.Forward, reason, DropReason.None, flow);

    internal static Verdict Dropped(DropReason reason, int flow = -1) => new(VerdictKind.Drop, default, reason, flow);

    internal static Verdict Replied(DropReason about, int flow = -1) => new(VerdictKind.Reply, default, about, flow);

    internal static Verdict Held(HoldReason reason) => new(VerdictKind.Hold, default, DropReason.None, -1, reason);
}
