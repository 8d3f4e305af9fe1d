using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Selection;

public sealed class SourceAddressSelectionTests
{
    private static readonly SourceAddressSelection Rfc = new(PolicyTable.Default, SelectionProfile.Rfc6724);
    private static readonly SourceAddressSelection Linux = new(PolicyTable.Linux, SelectionProfile.Linux);

    [Theory]
    [Trait("RFC", "6724 §10.1")]
    [InlineData("2001:db8:1::1", "2001:db8:3::1", "fe80::1", SelectionRule.Rule2PreferAppropriateScope)]
    [InlineData("ff05::1", "2001:db8:3::1", "fe80::1", SelectionRule.Rule2PreferAppropriateScope)]
    [InlineData("2001:db8:1::1", "2001:db8:1::1 deprecated", "2001:db8:2::1", SelectionRule.Rule1PreferSameAddress)]
    [InlineData("fe80::1", "fe80::2 deprecated", "2001:db8:1::1", SelectionRule.Rule2PreferAppropriateScope)]
    [InlineData("2001:db8:1::1", "2001:db8:1::2", "2001:db8:3::2", SelectionRule.Rule8LongestMatchingPrefix)]
    [InlineData("2001:db8:1::1", "2001:db8:3::2 home", "2001:db8:1::2 care-of", SelectionRule.Rule4PreferHomeAddress)]
    [InlineData(
        "2002:c633:6401::1", "2002:c633:6401::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2", SelectionRule.Rule6PreferMatchingLabel)]
    [InlineData("2001:db8:1::d5e3:0:0:1", "2001:db8:1::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2", SelectionRule.Rule7PreferTemporary)]
    public void The_worked_examples_of_RFC_6724_come_out_in_either_order(
        string destination,
        string chosen,
        string other,
        SelectionRule rule)
    {
        SelectionQuery query = Towards(destination);

        int first = Rfc.Select([Candidate(chosen), Candidate(other)], query, out SelectionRule decidedFirst);
        int last = Rfc.Select([Candidate(other), Candidate(chosen)], query, out SelectionRule decidedLast);

        Assert.Equal((0, rule), (first, decidedFirst));
        Assert.Equal((1, rule), (last, decidedLast));
    }

    [Fact]
    [Trait("RFC", "6724 §5")]
    public void The_RFC_profile_chooses_and_explains_as_the_pairwise_text_does_and_every_rule_decides()
    {
        HashSet<SelectionRule> seen = [];
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(5000),
            Prop.ForAll(SelectionCase.Arbitrary(), drawn =>
            {
                int index = Rfc.Select(drawn.Candidates, drawn.Query, out SelectionRule decidedBy);
                seen.Add(decidedBy);
                return NaiveSourceSelection.Select(drawn.Candidates, drawn.Query) == (index, decidedBy);
            }));

        Assert.Equal([.. Enum.GetValues<SelectionRule>().Where(rule => rule != SelectionRule.OrchidRule)], seen.Order());
    }

    [Fact]
    public void Without_ties_the_order_of_the_candidates_does_not_matter() =>
        Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(1000),
            Prop.ForAll(SelectionCase.Arbitrary(), drawn =>
            {
                SourceCandidate[] reversed = [.. drawn.Candidates.Reverse()];
                int index = Linux.Select(drawn.Candidates, drawn.Query, out SelectionRule rule);
                int mirrored = Linux.Select(reversed, drawn.Query, out SelectionRule mirroredRule);
                return rule == mirroredRule
                    && (index < 0 ? mirrored < 0 : rule == SelectionRule.Order || index == reversed.Length - 1 - mirrored);
            }));

    [Fact]
    public void Without_candidates_nothing_is_chosen()
    {
        Assert.Equal(-1, Rfc.Select([], Towards("2001:db8::1"), out SelectionRule rule));
        Assert.Equal(SelectionRule.None, rule);
    }

    [Theory]
    [InlineData("2001:db8::2 unusable")]
    [InlineData("ff02::1")]
    [InlineData("::")]
    [Trait("RFC", "6724 §4")]
    public void Tentative_multicast_and_unspecified_addresses_are_never_chosen(string only)
    {
        Assert.Equal(-1, Rfc.Select([Candidate(only)], Towards("2001:db8::1"), out _));
        Assert.Equal(-1, Linux.Select([Candidate(only)], Towards("2001:db8::1"), out _));
    }

    [Theory]
    [InlineData("fe80::1", -1)]
    [InlineData("ff0e::1", -1)]
    [InlineData("2001:db8::1", 0)]
    [Trait("RFC", "6724 §4")]
    public void Link_local_and_multicast_destinations_take_only_addresses_of_the_outgoing_interface(string destination, int expected)
    {
        SourceCandidate elsewhere = Candidate("2001:db8::2") with { InterfaceIndex = 2 };

        Assert.Equal(expected, Rfc.Select([elsewhere], Towards(destination), out _));
        Assert.Equal(expected, Linux.Select([elsewhere], Towards(destination), out _));
    }

    [Fact]
    [Trait("RFC", "6724 §2.2")]
    public void The_longest_matching_prefix_is_not_sought_past_the_addresss_own_prefix()
    {
        SourceCandidate[] candidates = [Candidate("2001:db8:1::1:0:0:0"), Candidate("2001:db8:1::2")];

        Assert.Equal(0, Rfc.Select(candidates, Towards("2001:db8:1::3"), out SelectionRule tied));
        Assert.Equal(SelectionRule.Order, tied);

        candidates[1] = new SourceCandidate(candidates[1].Address, 128) { InterfaceIndex = 1 };
        Assert.Equal(1, Rfc.Select(candidates, Towards("2001:db8:1::3"), out SelectionRule longer));
        Assert.Equal(SelectionRule.Rule8LongestMatchingPrefix, longer);
    }

    [Fact]
    public void The_deciding_rule_is_the_one_that_beat_the_last_rival_not_the_weakest()
    {
        SourceCandidate[] candidates =
            [Candidate("fe80::1"), Candidate("2001:db8:1::2 deprecated"), Candidate("2001:db8:1::3"), Candidate("2001:db8:1::4 temporary")];

        Assert.Equal(3, Rfc.Select(candidates, Towards("2001:db8:1::1"), out SelectionRule rule));
        Assert.Equal(SelectionRule.Rule7PreferTemporary, rule);
    }

    [Theory]
    [InlineData(AddressPreferences.None, 1)]
    [InlineData(AddressPreferences.PublicTemporaryDefault, 1)]
    [InlineData(AddressPreferences.Temporary, 1)]
    [InlineData(AddressPreferences.Public, 0)]
    [Trait("RFC", "5014 §3")]
    public void A_socket_may_reverse_rule_7(AddressPreferences preferences, int expected)
    {
        SourceCandidate[] candidates = [Candidate("2001:db8:1::2"), Candidate("2001:db8:1::3 temporary")];
        SelectionQuery query = Towards("2001:db8:2::1") with { Preferences = preferences };

        Assert.Equal(expected, Rfc.Select(candidates, query, out SelectionRule rule));
        Assert.Equal(SelectionRule.Rule7PreferTemporary, rule);
    }

    [Theory]
    [InlineData(AddressPreferences.None, "2001:db8:1::3 home", "2001:db8:1::2")]
    [InlineData(AddressPreferences.Home, "2001:db8:1::3 home", "2001:db8:1::2 care-of")]
    [InlineData(AddressPreferences.CareOf, "2001:db8:1::2", "2001:db8:1::3 home")]
    [InlineData(AddressPreferences.None, "2001:db8:1::4 home care-of", "2001:db8:1::3 home")]
    [InlineData(AddressPreferences.CareOf, "2001:db8:1::4 home care-of", "2001:db8:1::2 care-of")]
    [Trait("RFC", "6724 §5")]
    public void A_socket_may_reverse_rule_4_and_an_address_that_is_both_home_and_care_of_is_best_either_way(
        AddressPreferences preferences,
        string chosen,
        string other)
    {
        SelectionQuery query = Towards("2001:db8:2::1") with { Preferences = preferences };

        Assert.Equal(1, Rfc.Select([Candidate(other), Candidate(chosen)], query, out SelectionRule rule));
        Assert.Equal(SelectionRule.Rule4PreferHomeAddress, rule);
    }

    [Fact]
    [Trait("RFC", "6724 §5")]
    public void Rule_5_5_takes_the_prefix_of_the_next_hop_but_only_where_the_next_hop_is_known_and_never_as_Linux()
    {
        SourceCandidate[] candidates = [Candidate("2001:db8:1::2"), Candidate("2001:db8:f::2") with { AdvertisedByNextHop = true }];
        SelectionQuery known = Towards("2001:db8:1::1") with { UseNextHop = true };

        Assert.Equal(1, Rfc.Select(candidates, known, out SelectionRule rule));
        Assert.Equal(SelectionRule.Rule5Point5PreferNextHopPrefix, rule);
        Assert.Equal(0, Rfc.Select(candidates, known with { UseNextHop = false }, out rule));
        Assert.Equal(SelectionRule.Rule8LongestMatchingPrefix, rule);
        Assert.Equal(0, Linux.Select(candidates, known, out _));
    }

    [Fact]
    public void Linux_keeps_ORCHIDs_among_themselves_and_the_RFC_does_not_know_them()
    {
        // One label, so that rule 6 does not tell them apart before.
        var linuxWithoutLabels = new SourceAddressSelection(new PolicyTable(), SelectionProfile.Linux);
        SourceCandidate[] candidates = [Candidate("2001:10::1"), Candidate("3fff::1")];

        Assert.Equal(1, linuxWithoutLabels.Select(candidates, Towards("2001:0:1::1"), out SelectionRule rule));
        Assert.Equal(SelectionRule.OrchidRule, rule);
        Assert.Equal(0, linuxWithoutLabels.Select(candidates, Towards("2001:1f::1"), out rule));
        Assert.Equal(SelectionRule.OrchidRule, rule);
        Assert.Equal(0, Rfc.Select(candidates, Towards("2001:20::1"), out rule));
        Assert.Equal(SelectionRule.Rule8LongestMatchingPrefix, rule);
    }

    [Theory]
    [InlineData("::192.0.2.1 deprecated")]
    [InlineData("::ffff:192.0.2.1 deprecated")]
    public void Linux_never_takes_an_address_that_stands_for_an_IPv4_one_for_deprecated(string embedded)
    {
        SourceCandidate[] candidates = [Candidate(embedded), Candidate("2001:db8::1 deprecated")];

        Assert.Equal(0, Linux.Select(candidates, Towards("2001:db8::2"), out SelectionRule rule));
        Assert.Equal(SelectionRule.Rule3AvoidDeprecated, rule);
        Assert.Equal(1, Rfc.Select(candidates, Towards("2001:db8::2"), out _));
    }

    [Fact]
    public void Selecting_allocates_nothing()
    {
        SourceCandidate[] candidates = [Candidate("fe80::1"), Candidate("2001:db8:1::2 temporary"), Candidate("2001:db8:1::3 home")];
        SelectionQuery query = Towards("2001:db8:1::1");
        int warm = Rfc.Select(candidates, query, out _) + Linux.Select(candidates, query, out _);

        long before = GC.GetAllocatedBytesForCurrentThread();
        int again = Rfc.Select(candidates, query, out _) + Linux.Select(candidates, query, out _);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.Equal(warm, again);
        Assert.Equal(0, allocated);
    }

    private static SelectionQuery Towards(string destination) => new(IpAddress.Parse(destination), OutgoingInterface: 1);

    private static SourceCandidate Candidate(string addressAndTraits)
    {
        string[] words = addressAndTraits.Split(' ');
        return new SourceCandidate(IpAddress.Parse(words[0]), 64)
        {
            InterfaceIndex = 1,
            Usable = !words.Contains("unusable"),
            Deprecated = words.Contains("deprecated"),
            Home = words.Contains("home"),
            CareOf = words.Contains("care-of"),
            Temporary = words.Contains("temporary"),
        };
    }
}
