namespace OnDemand.Dataplane.Selection;

/// <summary>Why an address was chosen: the rules of RFC 6724 §5, in the order in which they are asked.</summary>
public enum SelectionRule : byte
{
    /// <summary>Nothing was chosen: there is no candidate.</summary>
    None,

    /// <summary>It was the only candidate.</summary>
    OnlyCandidate,

    /// <summary>Rule 1: it is the destination.</summary>
    Rule1PreferSameAddress,

    /// <summary>Rule 2: the smallest scope that reaches the destination, or else the largest there is.</summary>
    Rule2PreferAppropriateScope,

    /// <summary>Rule 3: it is preferred, the rival deprecated.</summary>
    Rule3AvoidDeprecated,

    /// <summary>Rule 4: it is a home address, or a care-of address where the socket prefers those.</summary>
    Rule4PreferHomeAddress,

    /// <summary>Rule 5: the outgoing interface has it.</summary>
    Rule5PreferOutgoingInterface,

    /// <summary>Rule 5.5: the next hop advertised its prefix.</summary>
    Rule5Point5PreferNextHopPrefix,

    /// <summary>Rule 6: the policy table gives it the destination's label.</summary>
    Rule6PreferMatchingLabel,

    /// <summary>Rule 7: it is a temporary address, or a public one where those are preferred.</summary>
    Rule7PreferTemporary,

    /// <summary>Linux's own rule: an ORCHID (2001:10::/28) for an ORCHID, and none for anything else.</summary>
    OrchidRule,

    /// <summary>Rule 8: it shares more leading bits with the destination.</summary>
    Rule8LongestMatchingPrefix,

    /// <summary>No rule told it from its rival; it came first in the caller's order.</summary>
    Order,
}
