using System.Numerics;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

// Read RFC 6724 §2.2, §3.1, §4 and §5 before changing this file.
//
// Theory of operation. RFC 6724 compares two addresses at a time, rule by rule. Every rule prefers by a property that an address has on
// its own (for a given destination), so each gets a rank: one number in which the rules' answers stand one below the other, the first
// rule in the highest bits. The greatest rank wins, and the highest bit in which the two greatest ranks differ says which rule decided.
// One pass, nothing stored. The tests hold it against the pairwise text.

/// <summary>
/// Default source address selection (RFC 6724 §5, rules 1 to 8 with 5.5) as a pure function. The caller has filtered the candidates by
/// address type before: the type is decided first. Allocates nothing.
/// </summary>
/// <param name="table">The policy table of rule 6.</param>
/// <param name="profile">Whose rules are followed.</param>
public sealed class SourceAddressSelection(PolicyTable table, SelectionProfile profile)
{
    // Where each rule's answer begins in a rank. Rule 8 counts to 128, rule 2 has 32 steps, rule 4 three; the others answer yes or no.
    private const int Rule8 = 0;
    private const int Orchid = 8;
    private const int Rule7 = 9;
    private const int Rule6 = 10;
    private const int Rule5Point5 = 11;
    private const int Rule5 = 12;
    private const int Rule4 = 13;
    private const int Rule3 = 15;
    private const int Rule2 = 16;
    private const int Rule1 = 21;

    private static readonly IpPrefix OrchidPrefix = IpPrefix.Parse("2001:10::/28");   // RFC 4843

    private readonly PolicyTable _table = table ?? throw new ArgumentNullException(nameof(table));
    private readonly bool _linux = profile == SelectionProfile.Linux;

    /// <summary>Whose rules are followed.</summary>
    public SelectionProfile Profile => profile;

    /// <summary>
    /// Chooses the source address for a destination. Candidates are the usable unicast addresses that are not unspecified, and for a
    /// link-local or multicast destination only those of the outgoing interface (RFC 6724 §4).
    /// </summary>
    /// <param name="candidates">The host's addresses, in the order that decides where no rule does.</param>
    /// <param name="query">What the address is sought for.</param>
    /// <param name="decidedBy">
    /// The rule that separated the winner from the best of the others, which is the candidate that would win if the winner were not there:
    /// the first rule in which the two differ, or <see cref="SelectionRule.Order"/> if there is none. Weaker candidates may have been
    /// beaten by earlier rules. <see cref="SelectionRule.OnlyCandidate"/> if nothing else was a candidate, and
    /// <see cref="SelectionRule.None"/> if nothing was.
    /// </param>
    /// <returns>The index of the chosen candidate, or -1 if there is none.</returns>
    public int Select(ReadOnlySpan<SourceCandidate> candidates, in SelectionQuery query, out SelectionRule decidedBy)
    {
        var destination = new Target(query.Destination, AddressScope.Of(query.Destination), _table.LabelOf(query.Destination));
        int winner = -1;
        long best = -1;
        long second = -1;
        for (int index = 0; index < candidates.Length; index++)
        {
            ref readonly SourceCandidate candidate = ref candidates[index];
            if (!IsCandidate(candidate, query))
            {
                continue;
            }

            long rank = Rank(candidate, query, destination);
            if (rank > best)
            {
                second = best;
                best = rank;
                winner = index;
            }
            else
            {
                second = Math.Max(second, rank);
            }
        }

        decidedBy = winner < 0 ? SelectionRule.None
            : second < 0 ? SelectionRule.OnlyCandidate
            : best == second ? SelectionRule.Order
            : RuleOfBit(BitOperations.Log2((uint)(best ^ second)));
        return winner;
    }

    private static bool IsCandidate(in SourceCandidate candidate, in SelectionQuery query)
    {
        if (!candidate.Usable || candidate.Address.IsMulticast || candidate.Address.IsUnspecified)
        {
            return false;
        }

        bool sameLinkOnly = query.Destination.IsMulticast || query.Destination.IsLinkLocal;
        return !sameLinkOnly || candidate.InterfaceIndex == query.OutgoingInterface;
    }

    private uint Rank(in SourceCandidate candidate, in SelectionQuery query, in Target destination)
    {
        IpAddress source = candidate.Address;
        uint rank = (uint)Math.Min(source.CommonPrefixLength(destination.Address), candidate.PrefixLength) << Rule8;
        rank |= Bit(source == destination.Address, Rule1);
        rank |= ScopeStep(AddressScope.Of(source), destination.Scope) << Rule2;
        rank |= Bit(!IsDeprecated(candidate), Rule3);
        rank |= Bit(candidate.InterfaceIndex == query.OutgoingInterface, Rule5);
        rank |= Bit(_table.LabelOf(source) == destination.Label, Rule6);
        rank |= Bit(candidate.Temporary == PrefersTemporary(candidate, query.Preferences), Rule7);
        if (_linux)
        {
            return rank | Bit(OrchidPrefix.Contains(source) == OrchidPrefix.Contains(destination.Address), Orchid);
        }

        rank |= HomeStep(candidate, query.Preferences) << Rule4;
        return rank | Bit(query.UseNextHop && candidate.AdvertisedByNextHop, Rule5Point5);
    }

    // Rule 2: of the scopes that reach the destination the smallest (31 to 16); of those that do not, the largest (14 to 0).
    private static uint ScopeStep(int source, int destination) => (uint)(source >= destination ? 31 - source : source);

    // Linux: an address that stands for an IPv4 one, or ::1, has no lifetime that could have passed.
    private bool IsDeprecated(in SourceCandidate candidate) =>
        candidate.Deprecated && !(_linux && candidate.Address.High == 0 && candidate.Address.Low >> 32 is 0 or 0xffff);

    // Rule 4: home and care-of at once is best either way; "just home" over "just care-of" is what a socket may reverse.
    private static uint HomeStep(in SourceCandidate candidate, AddressPreferences preferences)
    {
        if (candidate.Home && candidate.CareOf)
        {
            return 2;
        }

        bool preferCareOf = (preferences & AddressPreferences.CareOf) != 0;
        return candidate.Home == preferCareOf ? 0U : 1U;
    }

    // Rule 7, which a socket may reverse (RFC 5014). PublicTemporaryDefault leaves it as it is.
    private bool PrefersTemporary(in SourceCandidate candidate, AddressPreferences preferences) =>
        (preferences & (AddressPreferences.Temporary | AddressPreferences.Public)) switch
        {
            AddressPreferences.None => !_linux || candidate.PrefersTemporary,
            AddressPreferences.Public => false,
            _ => true,
        };

    private static uint Bit(bool value, int position) => value ? 1U << position : 0;

    private static SelectionRule RuleOfBit(int bit) => bit switch
    {
        >= Rule1 => SelectionRule.Rule1PreferSameAddress,
        >= Rule2 => SelectionRule.Rule2PreferAppropriateScope,
        >= Rule3 => SelectionRule.Rule3AvoidDeprecated,
        >= Rule4 => SelectionRule.Rule4PreferHomeAddress,
        >= Rule5 => SelectionRule.Rule5PreferOutgoingInterface,
        >= Rule5Point5 => SelectionRule.Rule5Point5PreferNextHopPrefix,
        >= Rule6 => SelectionRule.Rule6PreferMatchingLabel,
        >= Rule7 => SelectionRule.Rule7PreferTemporary,
        >= Orchid => SelectionRule.OrchidRule,
        _ => SelectionRule.Rule8LongestMatchingPrefix,
    };

    /// <summary>The destination with what every candidate is compared with.</summary>
    private readonly record struct Target(IpAddress Address, int Scope, int Label);
}
