using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>One row of the policy table (RFC 6724 §2.1).</summary>
/// <param name="Prefix">The addresses it speaks of.</param>
/// <param name="Precedence">
/// Not negative; higher is preferred when destinations are sorted (RFC 6724 §6). Source selection does not use it.
/// </param>
/// <param name="Label">Not negative; sources and destinations with the same label belong together (rule 6).</param>
public readonly record struct PolicyTableEntry(IpPrefix Prefix, int Precedence, int Label);
