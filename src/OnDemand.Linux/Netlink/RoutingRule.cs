using System.Globalization;
using System.Text;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Netlink;

/// <summary>An IPv6 routing rule, see ip-rule(8).</summary>
/// <param name="Preference">Its place: smaller ones are asked first.</param>
/// <param name="Table">The table it leads to.</param>
internal readonly record struct RoutingRule(uint Preference, uint Table)
{
    /// <summary>FR_ACT_TO_TBL.</summary>
    public const byte LookupAction = 1;

    /// <summary>FR_ACT_UNREACHABLE: whoever sends is told so. The table only says whose rule it is.</summary>
    public const byte UnreachableAction = 7;

    /// <summary>What it does, FR_ACT_* of linux/fib_rules.h.</summary>
    public byte Action { get; init; } = LookupAction;

    /// <summary>Only for packets that came in there; <c>lo</c> means those of this host's own programs. Null for any.</summary>
    public string? IncomingInterface { get; init; }

    /// <summary>Only for packets of these sources; null for any.</summary>
    public IpPrefix? From { get; init; }

    /// <summary>Only for packets to these destinations; null for any.</summary>
    public IpPrefix? To { get; init; }

    /// <summary>Who made it (FRA_PROTOCOL); 0 before Linux 4.17.</summary>
    public byte Protocol { get; init; }

    /// <summary>Whether it has conditions besides those above (mark, user, port, inversion ...). Only rules without them are
    /// made here.</summary>
    public bool HasOtherConditions { get; init; }

    /// <summary>Whether another rule does the same, whoever made it.</summary>
    /// <param name="other">The other.</param>
    /// <returns>Whether it does.</returns>
    public bool DoesTheSameAs(RoutingRule other) => !HasOtherConditions && this with { Protocol = other.Protocol } == other;

    /// <summary>The rule in the words of ip-rule(8), without preference.</summary>
    /// <returns>The words.</returns>
    public override string ToString()
    {
        var text = new StringBuilder("from ").Append(From is IpPrefix from ? from.ToString() : "all");
        if (To is IpPrefix to)
        {
            text.Append(CultureInfo.InvariantCulture, $" to {to}");
        }

        if (IncomingInterface is not null)
        {
            text.Append(CultureInfo.InvariantCulture, $" iif {IncomingInterface}");
        }

        text.Append(HasOtherConditions ? " ..." : string.Empty);
        return (Action switch
        {
            LookupAction => text.Append(CultureInfo.InvariantCulture, $" lookup {Table}"),
            UnreachableAction => text.Append(CultureInfo.InvariantCulture, $" lookup {Table} unreachable"),
            _ => text.Append(" ..."),
        }).ToString();
    }
}
