using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Control;

/// <summary>What is asked about a flow's socket.</summary>
public enum SocketQuestionKind : byte
{
    /// <summary>Which socket it was that sent.</summary>
    Sender,

    /// <summary>Which socket is bound to the very address that the remote sends to: it gets the packets as they are. The answer's cookie is 0
    /// if none is. Packets wait for the answer.</summary>
    Listener,

    /// <summary>Which socket has got what the remote sends: the flow ends with it. Nothing waits for the answer.</summary>
    Receiver,
}

/// <summary>A question to the kernel: which socket does this new flow belong to? Only with <see cref="DataplaneOptions.AskSockets"/>.</summary>
/// <param name="Id">The question's number; comes back in the answer.</param>
/// <param name="Flow">The flow, as its first packet shows it; its internal address is what the socket is to have.</param>
/// <param name="Kind">What is asked. Only of a sender more than the cookie matters.</param>
public readonly record struct SocketQuestion(int Id, FlowIdentity Flow, SocketQuestionKind Kind = SocketQuestionKind.Sender);

/// <summary>
/// Which socket a new flow belongs to, and what is known of it beside its own request. One that comes late, twice or to no question is
/// ignored.
/// </summary>
public readonly record struct SocketAnswer
{
    /// <summary>The question's number.</summary>
    public int Id { get; init; }

    /// <summary>The kernel's cookie of the socket; 0 if nobody knows it: then the flow is taken for that of a socket known by its port.</summary>
    public ulong Cookie { get; init; }

    /// <summary>Which of the caller's conditions on sockets it meets (user, program, …), one bit each; see
    /// <see cref="Selection.PolicyRule.Traits"/>.</summary>
    public ulong Traits { get; init; }

    /// <summary>The type of the command it was started under; none if there was none. The socket's own request comes first, policy
    /// after it.</summary>
    public AddressType Type { get; init; }

    /// <summary>ON_NET, together with <see cref="Type"/>.</summary>
    public bool OnNet { get; init; }

    /// <summary>The RFC 5014 preferences that its program gave the kernel. They count where nothing asks for a type and policy names no
    /// preferences either (RFC 8653 §4.4); what contradicts itself counts as nothing.</summary>
    public AddressPreferences Preferences { get; init; }
}

/// <summary>What a socket has got.</summary>
/// <param name="Address">Its typed address.</param>
/// <param name="Type">The address's type.</param>
/// <param name="Prefix">The address's prefix.</param>
/// <param name="State">The prefix's state.</param>
/// <param name="PreferredUntil">Until when the address is preferred.</param>
/// <param name="ValidUntil">Until when it is valid, or until its replacement window closes.</param>
public readonly record struct AddressGrant(
    IpAddress Address, AddressType Type, IpPrefix Prefix, PrefixState State, Timestamp PreferredUntil, Timestamp ValidUntil);
