using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Selection;

/// <summary>
/// RFC 6724 §5 as its text reads: two addresses, one rule after the other. Slow, and shares nothing with the engine but types.
/// </summary>
internal static class NaiveSourceSelection
{
    private static readonly (IpAddress Prefix, int Length, int Label)[] Labels =
    [
        (IpAddress.Parse("::1"), 128, 0), (IpAddress.Parse("::"), 0, 1), (IpAddress.Parse("::ffff:0:0"), 96, 4),
        (IpAddress.Parse("2002::"), 16, 2), (IpAddress.Parse("2001::"), 32, 5), (IpAddress.Parse("fc00::"), 7, 13),
        (IpAddress.Parse("::"), 96, 3), (IpAddress.Parse("fec0::"), 10, 11), (IpAddress.Parse("3ffe::"), 16, 12),
    ];

    /// <summary>The first candidate that none of the others beats, and the rule that tells it from the next such.</summary>
    public static (int Index, SelectionRule DecidedBy) Select(IReadOnlyList<SourceCandidate> candidates, SelectionQuery query)
    {
        List<int> left = [.. Enumerable.Range(0, candidates.Count).Where(index => IsCandidate(candidates[index], query))];
        if (left.Count == 0)
        {
            return (-1, SelectionRule.None);
        }

        int winner = Unbeaten(left, candidates, query);
        left.Remove(winner);
        if (left.Count == 0)
        {
            return (winner, SelectionRule.OnlyCandidate);
        }

        (_, SelectionRule rule) = Compare(candidates[winner], candidates[Unbeaten(left, candidates, query)], query);
        return (winner, rule);
    }

    private static int Unbeaten(List<int> left, IReadOnlyList<SourceCandidate> candidates, SelectionQuery query) =>
        left.First(one => left.All(other => Compare(candidates[other], candidates[one], query).Preferred <= 0));

    private static bool IsCandidate(SourceCandidate candidate, SelectionQuery query)
    {
        byte[] source = Octets(candidate.Address);
        byte[] destination = Octets(query.Destination);
        bool sameLink = destination[0] == 0xff || (destination[0] == 0xfe && (destination[1] & 0xc0) == 0x80);
        return candidate.Usable && source[0] != 0xff && source.Any(octet => octet != 0)
            && (!sameLink || candidate.InterfaceIndex == query.OutgoingInterface);
    }

    /// <summary>1 if SA is preferred, -1 if SB is, 0 if no rule tells them apart.</summary>
    private static (int Preferred, SelectionRule Rule) Compare(SourceCandidate sa, SourceCandidate sb, SelectionQuery query)
    {
        IpAddress d = query.Destination;

        // Rule 1: Prefer same address.
        if (sa.Address == d != (sb.Address == d))
        {
            return (sa.Address == d ? 1 : -1, SelectionRule.Rule1PreferSameAddress);
        }

        // Rule 2: Prefer appropriate scope.
        int scopeA = Scope(sa.Address);
        int scopeB = Scope(sb.Address);
        if (scopeA < scopeB)
        {
            return (scopeA < Scope(d) ? -1 : 1, SelectionRule.Rule2PreferAppropriateScope);
        }

        if (scopeB < scopeA)
        {
            return (scopeB < Scope(d) ? 1 : -1, SelectionRule.Rule2PreferAppropriateScope);
        }

        // Rule 3: Avoid deprecated addresses.
        if (sa.Deprecated != sb.Deprecated)
        {
            return (sb.Deprecated ? 1 : -1, SelectionRule.Rule3AvoidDeprecated);
        }

        // Rule 4: Prefer home addresses; an address that is no home address is a care-of address.
        bool bothA = sa.Home && sa.CareOf;
        bool bothB = sb.Home && sb.CareOf;
        if (bothA != bothB)
        {
            return (bothA ? 1 : -1, SelectionRule.Rule4PreferHomeAddress);
        }

        if (sa.Home != sb.Home)
        {
            bool home = !query.Preferences.HasFlag(AddressPreferences.CareOf);
            return (sa.Home == home ? 1 : -1, SelectionRule.Rule4PreferHomeAddress);
        }

        return CompareFromRule5(sa, sb, query);
    }

    private static (int Preferred, SelectionRule Rule) CompareFromRule5(SourceCandidate sa, SourceCandidate sb, SelectionQuery query)
    {
        IpAddress d = query.Destination;

        // Rule 5: Prefer outgoing interface.
        bool outA = sa.InterfaceIndex == query.OutgoingInterface;
        bool outB = sb.InterfaceIndex == query.OutgoingInterface;
        if (outA != outB)
        {
            return (outA ? 1 : -1, SelectionRule.Rule5PreferOutgoingInterface);
        }

        // Rule 5.5: Prefer addresses in a prefix advertised by the next-hop.
        if (query.UseNextHop && sa.AdvertisedByNextHop != sb.AdvertisedByNextHop)
        {
            return (sa.AdvertisedByNextHop ? 1 : -1, SelectionRule.Rule5Point5PreferNextHopPrefix);
        }

        // Rule 6: Prefer matching label.
        bool labelA = Label(sa.Address) == Label(d);
        bool labelB = Label(sb.Address) == Label(d);
        if (labelA != labelB)
        {
            return (labelA ? 1 : -1, SelectionRule.Rule6PreferMatchingLabel);
        }

        // Rule 7: Prefer temporary addresses.
        if (sa.Temporary != sb.Temporary)
        {
            bool temporary = !query.Preferences.HasFlag(AddressPreferences.Public);
            return (sa.Temporary == temporary ? 1 : -1, SelectionRule.Rule7PreferTemporary);
        }

        // Rule 8: Use longest matching prefix.
        int commonA = CommonPrefixLength(sa, d);
        int commonB = CommonPrefixLength(sb, d);
        return commonA == commonB
            ? (0, SelectionRule.Order)
            : (commonA > commonB ? 1 : -1, SelectionRule.Rule8LongestMatchingPrefix);
    }

    private static int Scope(IpAddress address)
    {
        byte[] octets = Octets(address);
        return octets switch
        {
            [0xff, ..] => octets[1] % 16,
            [0xfe, >= 0x80 and < 0xc0, ..] => 2,
            [0xfe, >= 0xc0, ..] => 5,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] => 2,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, ..] => 2,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 169, 254, ..] => 2,
            _ => 14,
        };
    }

    private static int Label(IpAddress address) => Labels
        .Where(row => SharedBits(address, row.Prefix) >= row.Length)
        .MaxBy(row => row.Length)
        .Label;

    private static int CommonPrefixLength(SourceCandidate source, IpAddress destination) =>
        Math.Min(SharedBits(source.Address, destination), source.PrefixLength);

    private static int SharedBits(IpAddress left, IpAddress right)
    {
        byte[] a = Octets(left);
        byte[] b = Octets(right);
        int bits = 0;
        while (bits < 128 && ((a[bits / 8] ^ b[bits / 8]) & (0x80 >> (bits % 8))) == 0)
        {
            bits++;
        }

        return bits;
    }

    private static byte[] Octets(IpAddress address)
    {
        byte[] octets = new byte[IpAddress.Length];
        address.Write(octets);
        return octets;
    }
}
