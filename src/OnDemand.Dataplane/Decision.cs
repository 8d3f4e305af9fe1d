using System.Runtime.InteropServices;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;

namespace OnDemand.Dataplane;

/// <summary>What made a flow's address type (design: first match wins).</summary>
public enum DecisionOrigin : byte
{
    /// <summary>Nothing decided yet.</summary>
    None,

    /// <summary>The socket's own request, <c>setsc()</c> (RFC 8653 Appendix A).</summary>
    SocketRequest,

    /// <summary>A policy rule.</summary>
    PolicyRule,

    /// <summary>The configured default type.</summary>
    DefaultType,

    /// <summary>A legacy socket: RFC 6724 among what is there, never a request to the network (RFC 8653 §4.2).</summary>
    Legacy,

    /// <summary>The remote opened the flow towards an address that may be reached.</summary>
    Inbound,

    /// <summary>The flow was picked up in the middle.</summary>
    PickedUp,

    /// <summary>The socket had bound itself to a typed address.</summary>
    Native,

    /// <summary>The command that the socket's program was started under.</summary>
    Command,
}

/// <summary>Why a flow has its address: who asked, which rule of policy, which rule of RFC 6724 decided.</summary>
/// <param name="Origin">Who asked.</param>
/// <param name="Type">The type asked for; none for legacy.</param>
/// <param name="Rule">What separated the address from its last rival.</param>
/// <param name="PolicyRule">The policy rule's number from 0, or -1.</param>
/// <param name="Remarks">Further facts.</param>
[StructLayout(LayoutKind.Sequential, Pack = 1)]   // every flow and binding has one
public readonly record struct Decision(
    DecisionOrigin Origin, AddressType Type, SelectionRule Rule, short PolicyRule, DecisionRemarks Remarks);

/// <summary>Facts beside a decision.</summary>
[Flags]
public enum DecisionRemarks : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The socket already had this address for another peer (endpoint-independent mapping, RFC 4787 §4.1).</summary>
    SameSocket = 1,

    /// <summary>The prefix was asked of the network for this.</summary>
    Requested = 2,

    /// <summary>ON_NET was set.</summary>
    OnNet = 4,

    /// <summary>A policy rule or request named this very prefix or address.</summary>
    Pinned = 8,

    /// <summary>The flow went over from an address that ended.</summary>
    WentOver = 16,
}
