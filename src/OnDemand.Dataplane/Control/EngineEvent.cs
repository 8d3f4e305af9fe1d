using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Control;

/// <summary>What happened.</summary>
public enum EngineEventKind : byte
{
    /// <summary>The host attached to a network.</summary>
    Attached,

    /// <summary>The host detached.</summary>
    Detached,

    /// <summary>A prefix was added.</summary>
    PrefixAdded,

    /// <summary>A prefix is deprecated: new flows avoid it.</summary>
    PrefixDeprecated,

    /// <summary>A prefix is preferred again.</summary>
    PrefixPreferred,

    /// <summary>The network gave a prefix other lifetimes; its state is what it was.</summary>
    PrefixRenewed,

    /// <summary>A replacement window opened; <see cref="EngineEvent.Until"/> says when it closes.</summary>
    WindowOpened,

    /// <summary>A prefix ended; <see cref="EngineEvent.End"/> says why.</summary>
    PrefixEnded,

    /// <summary>A typed address was made.</summary>
    AddressMade,

    /// <summary>A typed address was renewed: new sockets get another (RFC 8653 §5).</summary>
    AddressRetired,

    /// <summary>A flow opened; <see cref="EngineEvent.Decision"/> says why it has its address.</summary>
    FlowOpened,

    /// <summary>A flow went over from one typed address to another.</summary>
    FlowWentOver,

    /// <summary>A live TCP flow's address ended.</summary>
    FlowStranded,

    /// <summary>A flow was closed by its ends (FIN, RST).</summary>
    FlowClosed,

    /// <summary>A flow that was closed goes on: the RST was not its end (RFC 7857 §2.2).</summary>
    FlowReopened,

    /// <summary>A flow left the table.</summary>
    FlowRemoved,

    /// <summary>A flow was refused an address.</summary>
    FlowRefused,

    /// <summary>The network was asked for a prefix.</summary>
    NetworkAsked,

    /// <summary>The network granted it.</summary>
    NetworkGranted,

    /// <summary>The network refused.</summary>
    NetworkRefused,

    /// <summary>The network does not have the type.</summary>
    NetworkUnsupported,

    /// <summary>The network did not answer.</summary>
    NetworkSilent,

    /// <summary>A socket's request was granted.</summary>
    RequestGranted,

    /// <summary>A socket's request failed.</summary>
    RequestFailed,
}

/// <summary>Which flow an event is about.</summary>
/// <param name="Protocol">Upper-layer Next Header value.</param>
/// <param name="Internal">Internal address (of a native socket: its typed address).</param>
/// <param name="LocalPort">Local port, or echo identifier.</param>
/// <param name="Remote">Remote address.</param>
/// <param name="RemotePort">Remote port.</param>
public readonly record struct FlowIdentity(byte Protocol, IpAddress Internal, ushort LocalPort, IpAddress Remote, ushort RemotePort);

/// <summary>Something that happened in the engine, in order; drained by the caller when it wants to know.</summary>
public readonly record struct EngineEvent
{
    /// <summary>What.</summary>
    public EngineEventKind Kind { get; init; }

    /// <summary>When.</summary>
    public Timestamp Time { get; init; }

    /// <summary>The flow's number, or -1.</summary>
    public int Flow { get; init; }

    /// <summary>The flow.</summary>
    public FlowIdentity Identity { get; init; }

    /// <summary>The kernel's cookie of the flow's socket; 0 if it is not known.</summary>
    public ulong Socket { get; init; }

    /// <summary>The typed address.</summary>
    public IpAddress Address { get; init; }

    /// <summary>The typed address before.</summary>
    public IpAddress Previous { get; init; }

    /// <summary>The prefix.</summary>
    public IpPrefix Prefix { get; init; }

    /// <summary>The type.</summary>
    public AddressType Type { get; init; }

    /// <summary>Why the flow has its address.</summary>
    public Decision Decision { get; init; }

    /// <summary>Why the prefix ended.</summary>
    public PrefixEnd End { get; init; }

    /// <summary>Why the flow was refused.</summary>
    public DropReason Drop { get; init; }

    /// <summary>When new flows begin to avoid the prefix.</summary>
    public Timestamp PreferredUntil { get; init; }

    /// <summary>When the window closes, or the prefix's validity ends.</summary>
    public Timestamp Until { get; init; }

    /// <summary>The number of the attachment, question or request.</summary>
    public ulong Number { get; init; }
}
