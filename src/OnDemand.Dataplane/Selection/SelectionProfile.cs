namespace OnDemand.Dataplane.Selection;

/// <summary>Whose rules are followed where implementations differ.</summary>
public enum SelectionProfile : byte
{
    /// <summary>RFC 6724 §5 as written.</summary>
    Rfc6724,

    /// <summary>
    /// Linux built without Mobile IPv6: no rules 4 and 5.5; rule 7 prefers temporary addresses only on interfaces that say so; a rule
    /// for ORCHIDs before rule 8; IPv4-compatible, IPv4-mapped and loopback addresses never count as deprecated. Its labels are those of
    /// <see cref="PolicyTable.Linux"/>, which the caller gives.
    /// </summary>
    Linux,
}
