using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Control;

/// <summary>A socket's request for a kind of source address: <c>setsc()</c> (RFC 8653 Appendix A; draft-17 §6.1), or RFC 5014 preferences.</summary>
public readonly record struct SetscRequest
{
    /// <summary>The caller's own number for the request; comes back in the reply.</summary>
    public ulong Token { get; init; }

    /// <summary>
    /// The kernel's cookie of the socket, if it is known: then protocol and port do not matter, and the request holds for this very socket.
    /// </summary>
    public ulong Socket { get; init; }

    /// <summary>
    /// Whether the socket will bind itself to the address (draft-17 §3.5), so that packets which it sends from an internal address are not
    /// its concern. Only with <see cref="Socket"/>.
    /// </summary>
    public bool Native { get; init; }

    /// <summary>The socket's protocol.</summary>
    public byte Protocol { get; init; }

    /// <summary>The socket's internal address; unspecified for any.</summary>
    public IpAddress Internal { get; init; }

    /// <summary>The socket's local port (the identifier of an ICMPv6 echo).</summary>
    public ushort LocalPort { get; init; }

    /// <summary>The type asked for; none if only preferences, a prefix or an address are named.</summary>
    public AddressType Type { get; init; }

    /// <summary>This very prefix; null for any.</summary>
    public IpPrefix? Prefix { get; init; }

    /// <summary>ON_NET: see <see cref="OnNetReading"/>.</summary>
    public bool OnNet { get; init; }

    /// <summary>RFC 5014 preferences; ignored when a type is named (RFC 8653 §4.4).</summary>
    public AddressPreferences Preferences { get; init; }

    /// <summary>
    /// The address that the socket got of an earlier engine; unspecified for none. It stays with that, also where a new socket would get
    /// another: while it is being replaced, or has been renewed. If it is no more, a native socket, which has bound itself to it, fails, and
    /// any other gets what it asks for anew. Only with <see cref="Socket"/>.
    /// </summary>
    public IpAddress Kept { get; init; }
}

/// <summary>The end of a request.</summary>
public enum SetscStatus : byte
{
    /// <summary>The address is there: 0.</summary>
    Granted,

    /// <summary>EAI_REQUIREDIPNOTSUPPORTED: the type is not to be had here.</summary>
    NotSupported,

    /// <summary>EAI_REQUIREDIPFAILED: the network refused or did not answer.</summary>
    Failed,

    /// <summary>EINVAL: a reserved type, or preferences that contradict each other (RFC 5014 §4).</summary>
    Invalid,

    /// <summary>A table is full.</summary>
    NoRoom,
}

/// <summary>The answer to a <see cref="SetscRequest"/>.</summary>
/// <param name="Token">The request's token.</param>
/// <param name="Status">How it ended.</param>
/// <param name="Address">The typed address, if granted.</param>
/// <param name="Type">Its type.</param>
/// <param name="ValidUntil">When it ends at the latest.</param>
public readonly record struct SetscReply(ulong Token, SetscStatus Status, IpAddress Address, AddressType Type, Timestamp ValidUntil)
{
    /// <summary>The address's prefix, if granted.</summary>
    public IpPrefix Prefix { get; init; }

    /// <summary>Until when the address is preferred.</summary>
    public Timestamp PreferredUntil { get; init; }
}

/// <summary>A question to the network: a prefix of this type (RFC 8653 §3.1 step 3).</summary>
/// <param name="Id">The question's number; comes back in the answer.</param>
/// <param name="Type">The type.</param>
/// <param name="OnNet">Whether a socket asked with ON_NET.</param>
public readonly record struct PrefixRequest(int Id, AddressType Type, bool OnNet);

/// <summary>What the network says.</summary>
public enum PrefixAnswerKind : byte
{
    /// <summary>Here is a prefix.</summary>
    Granted,

    /// <summary>No.</summary>
    Refused,

    /// <summary>That type is not to be had here.</summary>
    Unsupported,
}

/// <summary>The network's answer. One that comes late, twice or to no question is ignored.</summary>
/// <param name="Id">The question's number.</param>
/// <param name="Kind">The answer.</param>
/// <param name="Prefix">The prefix, if granted; of exactly the type asked for, or it counts as refused.</param>
public readonly record struct PrefixAnswer(int Id, PrefixAnswerKind Kind, PrefixAdvertisement Prefix);
