using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>The policy table of RFC 6724 §2.1: a longest-prefix match from addresses to labels and precedences. Immutable.</summary>
public sealed class PolicyTable
{
    /// <summary>The most rows that a table may have.</summary>
    public const int MaximumEntries = 1024;

    /// <summary>
    /// The label of an address that no row matches; no row may have it, so such addresses match one another and nothing else.
    /// Tables with a <c>::/0</c> row never give it.
    /// </summary>
    public const int Unlabeled = -1;

    // Longest prefix first: the first row that contains an address is its longest match.
    private readonly PolicyTableEntry[] _longestFirst;

    /// <summary>Makes a table.</summary>
    /// <param name="entries">The rows, in any order; at most <see cref="MaximumEntries"/>.</param>
    /// <exception cref="ArgumentException">
    /// There are too many rows, a label or precedence is negative, or two rows speak of the same prefix.
    /// </exception>
    public PolicyTable(params ReadOnlySpan<PolicyTableEntry> entries)
    {
        if (entries.Length > MaximumEntries)
        {
            throw new ArgumentException($"A policy table has at most {MaximumEntries} rows; {entries.Length} were given.", nameof(entries));
        }

        HashSet<IpPrefix> seen = [];
        foreach (PolicyTableEntry entry in entries)
        {
            if (entry.Label < 0 || entry.Precedence < 0)
            {
                throw new ArgumentException($"The row for {entry.Prefix} has a negative label or precedence.", nameof(entries));
            }

            if (!seen.Add(entry.Prefix))
            {
                throw new ArgumentException($"The table has two rows for {entry.Prefix}; only one can hold.", nameof(entries));
            }
        }

        _longestFirst = entries.ToArray();
        Array.Sort(_longestFirst, static (left, right) => right.Prefix.Length.CompareTo(left.Prefix.Length));
    }

    /// <summary>The default table of RFC 6724 §2.1.</summary>
    public static PolicyTable Default { get; } = new(
        Row("::1/128", 50, 0),
        Row("::/0", 40, 1),
        Row("::ffff:0:0/96", 35, 4),
        Row("2002::/16", 30, 2),
        Row("2001::/32", 5, 5),
        Row("fc00::/7", 3, 13),
        Row("::/96", 1, 3),
        Row("fec0::/10", 1, 11),
        Row("3ffe::/16", 1, 12));

    /// <summary>
    /// The labels that Linux has by default (<c>ip addrlabel list</c>). The kernel has no precedences, so these are RFC 6724's; its
    /// ORCHID row, which RFC 6724 has not, gets that of <c>::/0</c>.
    /// </summary>
    public static PolicyTable Linux { get; } = new(
        Row("::1/128", 50, 0),
        Row("::/0", 40, 1),
        Row("::ffff:0:0/96", 35, 4),
        Row("2002::/16", 30, 2),
        Row("2001::/32", 5, 6),
        Row("2001:10::/28", 40, 7),
        Row("fc00::/7", 3, 5),
        Row("::/96", 1, 3),
        Row("fec0::/10", 1, 11),
        Row("3ffe::/16", 1, 12));

    /// <summary>The rows, longest prefix first.</summary>
    public ReadOnlySpan<PolicyTableEntry> Entries => _longestFirst;

    /// <summary>The label of an address.</summary>
    /// <param name="address">The address.</param>
    /// <returns>The label of the longest prefix that contains it, or <see cref="Unlabeled"/>.</returns>
    public int LabelOf(IpAddress address) => TryMatch(address, out PolicyTableEntry entry) ? entry.Label : Unlabeled;

    /// <summary>The precedence of an address.</summary>
    /// <param name="address">The address.</param>
    /// <returns>The precedence of the longest prefix that contains it, or 0.</returns>
    public int PrecedenceOf(IpAddress address) => TryMatch(address, out PolicyTableEntry entry) ? entry.Precedence : 0;

    private bool TryMatch(IpAddress address, out PolicyTableEntry match)
    {
        foreach (ref readonly PolicyTableEntry entry in _longestFirst.AsSpan())
        {
            if (entry.Prefix.Contains(address))
            {
                match = entry;
                return true;
            }
        }

        match = default;
        return false;
    }

    private static PolicyTableEntry Row(string prefix, int precedence, int label) => new(IpPrefix.Parse(prefix), precedence, label);
}
