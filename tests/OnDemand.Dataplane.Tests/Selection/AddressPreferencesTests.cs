using OnDemand.Dataplane.Selection;
using Xunit;

namespace OnDemand.Dataplane.Tests.Selection;

public sealed class AddressPreferencesTests
{
    [Theory]
    [Trait("RFC", "5014 §3")]
    [InlineData(AddressPreferences.Temporary | AddressPreferences.Public, "(tmp)", "(public)")]
    [InlineData(AddressPreferences.Temporary | AddressPreferences.PublicTemporaryDefault, "(tmp)", "(pubtmp-default)")]
    [InlineData(AddressPreferences.Public | AddressPreferences.PublicTemporaryDefault, "(public)", "(pubtmp-default)")]
    [InlineData(AddressPreferences.Temporary | AddressPreferences.Public | AddressPreferences.PublicTemporaryDefault, "(tmp)", "(public)")]
    [InlineData(AddressPreferences.Home | AddressPreferences.CareOf, "(home)", "(coa)")]
    [InlineData(AddressPreferences.Cga | AddressPreferences.NonCga, "(cga)", "(noncga)")]
    public void A_contradiction_is_refused_with_a_sentence_that_names_both_sides(AddressPreferences preferences, string one, string other)
    {
        Assert.False(AddressPreferenceRules.AreConsistent(preferences | AddressPreferences.RequireOnNet, out string? contradiction));

        Assert.Contains(one, contradiction, StringComparison.Ordinal);
        Assert.Contains(other, contradiction, StringComparison.Ordinal);
        Assert.EndsWith(".", contradiction, StringComparison.Ordinal);
    }

    [Fact]
    public void Exactly_those_of_all_combinations_are_consistent_that_name_at_most_one_of_each_group()
    {
        int consistent = 0;
        foreach (AddressPreferences preferences in Combinations())
        {
            bool expected = Named(preferences, 0x1, 0x2, 0x100) <= 1
                && Named(preferences, 0x4, 0x400) <= 1
                && Named(preferences, 0x8, 0x800) <= 1;
            Assert.Equal(expected, AddressPreferenceRules.AreConsistent(preferences, out string? contradiction));
            Assert.Equal(expected, contradiction is null);
            consistent += expected ? 1 : 0;
        }

        Assert.Equal(4 * 3 * 3 * 2, consistent);
    }

    [Theory]
    [InlineData(0x10)]
    [InlineData(0x1000)]
    [InlineData(0x40000000)]
    public void Unknown_bits_are_ignored_as_Linux_does(int bit) =>
        Assert.True(AddressPreferenceRules.AreConsistent((AddressPreferences)bit | AddressPreferences.Temporary, out _));

    [Fact]
    public void What_is_written_is_read_back()
    {
        foreach (AddressPreferences preferences in Combinations())
        {
            Assert.True(AddressPreferenceRules.TryParse(AddressPreferenceRules.ToText(preferences), out AddressPreferences read));
            Assert.Equal(preferences, read);
        }
    }

    [Theory]
    [InlineData(null, AddressPreferences.None)]
    [InlineData("", AddressPreferences.None)]
    [InlineData("tmp", AddressPreferences.Temporary)]
    [InlineData("Public, home", AddressPreferences.Public | AddressPreferences.Home)]
    [InlineData("IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_COA", AddressPreferences.Temporary | AddressPreferences.CareOf)]
    [InlineData("ipv6_prefer_src_pubtmp_default", AddressPreferences.PublicTemporaryDefault)]
    [InlineData("IPV6_REQUIRE_SRC_ON_NET", AddressPreferences.RequireOnNet)]
    [InlineData("cga+on_net", AddressPreferences.Cga | AddressPreferences.RequireOnNet)]
    [InlineData("IPV6_PREFER_SRC_NONCGA", AddressPreferences.NonCga)]
    public void Short_names_and_the_constants_are_read(string? text, AddressPreferences expected)
    {
        Assert.True(AddressPreferenceRules.TryParse(text, out AddressPreferences preferences));
        Assert.Equal(expected, preferences);
    }

    [Fact]
    public void An_unknown_name_is_refused_and_gives_nothing()
    {
        Assert.False(AddressPreferenceRules.TryParse("tmp, fast", out AddressPreferences preferences));
        Assert.Equal(AddressPreferences.None, preferences);
    }

    private static IEnumerable<AddressPreferences> Combinations()
    {
        AddressPreferences[] bits = [.. Enum.GetValues<AddressPreferences>().Where(bit => bit != AddressPreferences.None)];
        return Enumerable.Range(0, 1 << bits.Length)
            .Select(chosen => bits.Where((_, index) => (chosen & (1 << index)) != 0))
            .Select(some => some.Aggregate(AddressPreferences.None, (all, bit) => all | bit));
    }

    private static int Named(AddressPreferences preferences, params int[] group) => group.Count(bit => ((int)preferences & bit) != 0);
}
