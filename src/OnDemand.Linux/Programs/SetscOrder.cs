using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Programs;

/// <summary>What a program asks for, before anybody has found out which socket it is and whose.</summary>
internal sealed record SetscOrder
{
    /// <summary>The socket, as a descriptor of the process that asks; exactly one of these three is there.</summary>
    public int? Descriptor { get; init; }

    /// <summary>The socket, as the kernel's own number.</summary>
    public ulong? Cookie { get; init; }

    /// <summary>The socket, as one end of a flow; without a peer, the socket that is bound there.</summary>
    public SocketQuery? Flow { get; init; }

    /// <summary>The type; none if there are only <see cref="Preferences"/>.</summary>
    public AddressType Type { get; init; }

    /// <summary>Whether the address must be of the present network (IPV6_REQUIRE_SRC_ON_NET).</summary>
    public bool OnNet { get; init; }

    /// <summary>Whether the dataplane is to put the address into the socket's packets.</summary>
    public bool Map { get; init; }

    /// <summary>RFC 5014 preferences; they count only without a type (RFC 8653 §4.4).</summary>
    public AddressPreferences Preferences { get; init; }

    /// <summary>How long the network may be waited for, above zero.</summary>
    public TimeSpan Timeout { get; init; }
}
