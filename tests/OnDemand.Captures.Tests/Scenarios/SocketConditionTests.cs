using System.Globalization;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Selection;
using Xunit;

namespace OnDemand.Captures.Tests.Scenarios;

/// <summary>Rules that demand something of the socket: one bit for each different demand.</summary>
public class SocketConditionTests
{
    [Fact]
    public void Each_different_condition_has_a_bit_in_the_order_of_the_rules()
    {
        ScenarioPolicy policy = Read(
            "{user: alice, type: fixed}", "{remote-port: 22, type: fixed}", "{user: alice, program: /usr/bin/ssh, type: fixed}",
            "{remote-port: 80, user: alice, legacy: true}", "{cgroup: /user.slice, group: 007, type: fixed}");

        Assert.Equal(
            [
                new SocketCondition { User = "alice" }, new SocketCondition { User = "alice", Program = "/usr/bin/ssh" },
                new SocketCondition { Group = "7", Cgroup = "/user.slice" },
            ],
            policy.Conditions);
        Assert.Equal([1UL, 0, 2, 1, 4], Traits(policy));
    }

    [Fact]
    public void A_rule_matches_only_a_socket_that_meets_its_condition()
    {
        ServicePolicy policy = Read("{user: alice, type: fixed}", "{group: staff, type: session-lasting}").Build();

        Assert.Equal(0, policy.Match(new FlowFacts { Traits = 0b01 }).RuleIndex);
        Assert.Equal(1, policy.Match(new FlowFacts { Traits = 0b10 }).RuleIndex);
        Assert.Equal(0, policy.Match(new FlowFacts { Traits = 0b11 }).RuleIndex);
        Assert.Equal(PolicyMatch.Default, policy.Match(default).RuleIndex);   // as in the replay of a capture
    }

    [Fact]
    public void The_place_of_a_name_is_known_and_makes_no_difference()
    {
        ScenarioPolicy policy = Read("{user: alice, group: staff, type: fixed}", "{user: alice, group: staff, legacy: true}");

        SocketCondition only = Assert.Single(policy.Conditions)!;
        Assert.Equal(new ScenarioPlace(5, 14), only.UserPlace);
        Assert.Equal(new ScenarioPlace(5, 28), only.GroupPlace);
        Assert.Equal(new ScenarioPlace(6, 14), policy.Rules[1].Socket!.UserPlace);
    }

    [Fact]
    public void A_65th_different_condition_is_refused_where_it_stands()
    {
        string[] rules = [.. Enumerable.Range(0, 64).Select(user => string.Create(CultureInfo.InvariantCulture, $"{{user: {user}, type: fixed}}"))];
        ScenarioPolicy full = Read([.. rules, "{user: 63, legacy: true}"]);
        Assert.Equal(64, full.Conditions.Count);
        Assert.Equal(1UL << 63, Traits(full)[^1]);

        ScenarioException refused = Assert.Throws<ScenarioException>(() => Read([.. rules, "{remote-port: 1, user: 64, type: fixed}"]));

        Assert.Equal("policy.yaml:69:24: found a 65th different condition on sockets, expected at most 64 in one policy.", refused.Message);
    }

    [Fact]
    public void A_later_policy_keeps_the_bits_of_what_it_still_demands()
    {
        ScenarioPolicy first = Read("{user: a, type: fixed}", "{user: b, type: fixed}", "{user: c, type: fixed}");

        ScenarioPolicy second = first.Successor(Read("{user: d, type: fixed}", "{user: c, type: fixed}", "{user: b, type: fixed}"));

        Assert.Equal([null, "b", "c", "d"], second.Conditions.Select(condition => condition?.User));
        Assert.Equal([8UL, 4, 2], Traits(second));
        ScenarioPolicy third = second.Successor(Read("{user: e, type: fixed}"));
        Assert.Equal(["e"], third.Conditions.Select(condition => condition?.User));
        Assert.Equal([1UL], Traits(third));
        Assert.Empty(third.Successor(new ScenarioPolicy()).Conditions);
    }

    [Fact]
    public void A_later_policy_that_needs_every_bit_has_them_all()
    {
        ScenarioPolicy first = Read(Users(0, 64));

        ScenarioPolicy second = first.Successor(Read(Users(32, 64)));

        Assert.Equal(64, second.Conditions.OfType<SocketCondition>().Distinct().Count());
        for (int bit = 32; bit < 64; bit++)
        {
            Assert.Equal(first.Conditions[bit], second.Conditions[bit]);
        }

        static string[] Users(int from, int count) =>
            [.. Enumerable.Range(from, count).Select(user => string.Create(CultureInfo.InvariantCulture, $"{{user: {user}, type: fixed}}"))];
    }

    private static ulong[] Traits(ScenarioPolicy policy) => [.. policy.Build().Rules.ToArray().Select(rule => rule.Traits)];

    private static ScenarioPolicy Read(params string[] rules) => ScenarioReader.Parse(
        "policy.yaml",
        System.Text.Encoding.UTF8.GetBytes(
            "internal: [fd00::1]\nnetwork: [{at: 0s, detach: true}]\npolicy:\n  rules:\n" + string.Concat(rules.Select(rule => $"    - {rule}\n")))).Policy;
}
