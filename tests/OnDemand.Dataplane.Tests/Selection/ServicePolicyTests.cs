using FsCheck;
using FsCheck.Fluent;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Selection;

public sealed class ServicePolicyTests
{
    private static readonly FlowFacts Ssh = new(
        Protocol: 6,
        Internal: IpAddress.Parse("fd00:db8::1"),
        LocalPort: 50000,
        Remote: IpAddress.Parse("2001:db8:c::9"),
        RemotePort: 22,
        TrafficClass: 0x10);

    private static readonly PolicyOutcome SessionLasting = PolicyOutcome.OfType(AddressType.SessionLasting);
    private static readonly PolicyOutcome Fixed = PolicyOutcome.OfType(AddressType.Fixed);

    public static TheoryData<string, PolicyRule, bool> Matchers => new()
    {
        { "nothing named", new PolicyRule(), true },
        { "the protocol", new PolicyRule { Protocol = 6 }, true },
        { "another protocol", new PolicyRule { Protocol = 17 }, false },
        { "hop-by-hop options as protocol", new PolicyRule { Protocol = 0 }, false },
        { "the remote prefix", new PolicyRule { Remote = IpPrefix.Parse("2001:db8:c::/48") }, true },
        { "another remote prefix", new PolicyRule { Remote = IpPrefix.Parse("2001:db8:d::/48") }, false },
        { "the remote port", new PolicyRule { RemotePort = new PortRange(22) }, true },
        { "remote ports up to it", new PolicyRule { RemotePort = new PortRange(1, 22) }, true },
        { "remote ports from it", new PolicyRule { RemotePort = new PortRange(22, 80) }, true },
        { "remote ports below it", new PolicyRule { RemotePort = new PortRange(1, 21) }, false },
        { "remote ports above it", new PolicyRule { RemotePort = new PortRange(23, ushort.MaxValue) }, false },
        { "the local port", new PolicyRule { LocalPort = new PortRange(50000) }, true },
        { "the remote port as local", new PolicyRule { LocalPort = new PortRange(22) }, false },
        { "the internal address", new PolicyRule { Internal = IpPrefix.Parse("fd00:db8::1/128") }, true },
        { "the internal prefix", new PolicyRule { Internal = IpPrefix.Parse("fd00:db8::/32") }, true },
        { "another internal address", new PolicyRule { Internal = IpPrefix.Parse("fd00:db8::2/128") }, false },
        { "the traffic class", new PolicyRule { TrafficClass = 0x10 }, true },
        { "traffic class zero", new PolicyRule { TrafficClass = 0 }, false },
        { "two that hold", new PolicyRule { Protocol = 6, RemotePort = new PortRange(22) }, true },
        { "two of which one holds", new PolicyRule { Protocol = 6, RemotePort = new PortRange(23) }, false },
    };

    [Theory]
    [MemberData(nameof(Matchers))]
    public void A_rule_matches_when_all_it_names_holds(string what, PolicyRule rule, bool expected)
    {
        var policy = new ServicePolicy([rule with { Outcome = SessionLasting }], [], PolicyOutcome.Legacy);

        PolicyMatch match = policy.Match(Ssh);

        Assert.True((match.RuleIndex == 0) == expected, what);
        Assert.Equal(expected ? SessionLasting : PolicyOutcome.Legacy, match.Outcome);
    }

    [Fact]
    public void The_first_match_wins_and_its_index_is_told()
    {
        var policy = new ServicePolicy(
            [
                new PolicyRule { Protocol = 17, Outcome = PolicyOutcome.Legacy },
                new PolicyRule { RemotePort = new PortRange(22), Outcome = SessionLasting },
                new PolicyRule { Outcome = Fixed },
            ],
            [],
            PolicyOutcome.Legacy);

        Assert.Equal(new PolicyMatch(1, SessionLasting), policy.Match(Ssh));
        Assert.Equal(new PolicyMatch(2, Fixed), policy.Match(Ssh with { RemotePort = 80 }));
        Assert.Equal(new PolicyMatch(0, PolicyOutcome.Legacy), policy.Match(Ssh with { Protocol = 17 }));
    }

    [Fact]
    public void Any_policy_answers_as_the_first_matching_rule_read_in_order()
    {
        Gen<PolicyRule> rule =
            from protocol in Gen.Elements<byte?>(null, 6, 17, 58)
            from port in Gen.Elements<PortRange?>(null, new PortRange(22), new PortRange(50, 100))
            from length in Gen.Elements<int?>(null, 32, 48, 128)
            from type in Gen.Elements(AddressType.Fixed, AddressType.SessionLasting, AddressType.Nonpersistent)
            select new PolicyRule
            {
                Protocol = protocol,
                RemotePort = port,
                Remote = length is null ? null : new IpPrefix(Ssh.Remote, length.Value),
                Outcome = PolicyOutcome.OfType(type),
            };
        Gen<(PolicyRule[] Rules, FlowFacts Facts)> drawn =
            from rules in Gen.ArrayOf(rule)
            from protocol in Gen.Elements<byte>(6, 17, 58)
            from port in Gen.Elements<ushort>(22, 49, 50, 100, 101)
            from remote in Gen.Elements("2001:db8:c::9", "2001:db8:c::8", "2001:db8:d::9", "3fff::1")
            select (rules, Ssh with { Protocol = protocol, RemotePort = port, Remote = IpAddress.Parse(remote) });

        Prop.ForAll(Arb.From(drawn), asked =>
        {
            (PolicyRule[] rules, FlowFacts facts) = asked;
            int expected = Array.FindIndex(rules, candidate =>
                (candidate.Protocol is null || candidate.Protocol == facts.Protocol)
                && (candidate.RemotePort is null
                    || (facts.Protocol != 58 && facts.RemotePort >= candidate.RemotePort.Value.First
                        && facts.RemotePort <= candidate.RemotePort.Value.Last))
                && (candidate.Remote is null
                    || facts.Remote.CommonPrefixLength(candidate.Remote.Value.Address) >= candidate.Remote.Value.Length));
            PolicyMatch match = new ServicePolicy(rules, [], PolicyOutcome.Legacy).Match(facts);
            return match == new PolicyMatch(expected, expected < 0 ? PolicyOutcome.Legacy : rules[expected].Outcome);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Where_no_rule_matches_the_default_holds()
    {
        var policy = new ServicePolicy([new PolicyRule { Protocol = 17 }], [], Fixed);

        Assert.Equal(new PolicyMatch(PolicyMatch.Default, Fixed), policy.Match(Ssh));
        Assert.True(ServicePolicy.Empty.Match(Ssh).Outcome.IsLegacy);
    }

    [Fact]
    public void A_port_means_nothing_to_a_protocol_without_ports()
    {
        var rule = new PolicyRule { RemotePort = new PortRange(0, ushort.MaxValue) };
        var local = new PolicyRule { LocalPort = new PortRange(0, ushort.MaxValue) };
        FlowFacts echo = Ssh with { Protocol = 58 };

        Assert.True(rule.Matches(Ssh) && local.Matches(Ssh));
        Assert.False(rule.Matches(echo) || local.Matches(echo));
        Assert.False(new InboundRule(AddressType.SessionLasting) { LocalPort = rule.RemotePort }.Matches(AddressType.SessionLasting, echo));
    }

    [Fact]
    public void An_outcome_is_a_type_or_a_prefix_or_legacy()
    {
        IpPrefix prefix = IpPrefix.Parse("2001:db8:f1::7/128");

        PolicyOutcome pinned = PolicyOutcome.Pinned(prefix);
        PolicyOutcome onNet = PolicyOutcome.OfType(AddressType.SessionLasting, onNet: true);
        PolicyOutcome temporary = PolicyOutcome.LegacyPreferring(AddressPreferences.Temporary);

        Assert.Equal((AddressType.None, prefix, false, false), (pinned.Type, pinned.Prefix, pinned.OnNet, pinned.IsLegacy));
        Assert.Equal((AddressType.SessionLasting, null, true, false), (onNet.Type, onNet.Prefix, onNet.OnNet, onNet.IsLegacy));
        Assert.Equal((AddressPreferences.Temporary, true), (temporary.Preferences, temporary.IsLegacy));
        Assert.Equal(default, PolicyOutcome.Legacy);
    }

    [Fact]
    public void What_cannot_be_is_refused_with_a_sentence()
    {
        const AddressPreferences Both = AddressPreferences.Home | AddressPreferences.CareOf;

        Refused("not one of the four", () => PolicyOutcome.OfType((AddressType)5));
        Refused("not one of the four", () => PolicyOutcome.OfType(AddressType.None));
        Refused("(home)", () => PolicyOutcome.LegacyPreferring(Both));
        Refused("together with a type", () => PolicyOutcome.LegacyPreferring(AddressPreferences.RequireOnNet));
        Refused("only a rule can pin", () => new ServicePolicy([], [], PolicyOutcome.Pinned(IpPrefix.Parse("2001:db8::/64"))));
        Refused("does not exist", () => new ServicePolicy([], [new InboundRule((AddressType)7)], PolicyOutcome.Legacy));
    }

    [Fact]
    public void A_policy_holds_4096_rules_of_a_kind_and_no_more()
    {
        PolicyRule[] rules = [.. Enumerable.Repeat(new PolicyRule { Protocol = 17 }, 4095), new PolicyRule { Outcome = Fixed }];

        Assert.Equal(4095, new ServicePolicy(rules, [], PolicyOutcome.Legacy).Match(Ssh).RuleIndex);
        Refused("4096", () => new ServicePolicy(new PolicyRule[4097], [], PolicyOutcome.Legacy));
        Refused("4096", () => new ServicePolicy([], new InboundRule[4097], PolicyOutcome.Legacy));
    }

    [Fact]
    public void A_policy_does_not_change_when_the_callers_array_does()
    {
        PolicyRule[] rules = [new PolicyRule { Outcome = Fixed }];
        var policy = new ServicePolicy(rules, [], PolicyOutcome.Legacy);

        rules[0] = new PolicyRule { Outcome = SessionLasting };

        Assert.Equal(Fixed, policy.Match(Ssh).Outcome);
    }

    [Fact]
    [Trait("RFC", "8653 §3.2")]
    public void Only_a_Fixed_address_is_reachable_unless_a_rule_opens_a_port()
    {
        FlowFacts web = Ssh with { LocalPort = 8080, RemotePort = 40000 };
        var policy = new ServicePolicy(
            [],
            [
                new InboundRule(AddressType.Nonpersistent) { Remote = IpPrefix.Parse("2001:db8:c::/48"), Protocol = 17 },
                new InboundRule(AddressType.SessionLasting) { Protocol = 6, LocalPort = new PortRange(8080) },
            ],
            PolicyOutcome.Legacy);

        Assert.Equal((true, -1), Asked(policy, AddressType.Fixed, web));
        Assert.Equal((true, 1), Asked(policy, AddressType.SessionLasting, web));
        Assert.Equal((false, -1), Asked(policy, AddressType.SessionLasting, web with { LocalPort = 8081 }));
        Assert.Equal((false, -1), Asked(policy, AddressType.SessionLasting, web with { Protocol = 17 }));
        Assert.Equal((false, -1), Asked(policy, AddressType.GracefulReplacement, web));
        Assert.Equal((false, -1), Asked(policy, AddressType.None, web));
        Assert.Equal((true, 0), Asked(policy, AddressType.Nonpersistent, web with { Protocol = 17 }));
        Assert.Equal((false, -1), Asked(policy, AddressType.Nonpersistent, web with { Protocol = 17, Remote = IpAddress.Loopback }));
        Assert.Equal((false, -1), Asked(ServicePolicy.Empty, AddressType.SessionLasting, web));
    }

    [Fact]
    public void Asking_a_policy_allocates_nothing()
    {
        var policy = new ServicePolicy(
            [.. Matchers.Select(row => row.Data.Item2 with { Protocol = 17, Outcome = Fixed })],
            [new InboundRule(AddressType.SessionLasting) { LocalPort = new PortRange(8080) }],
            PolicyOutcome.Legacy);
        bool warm = policy.Match(Ssh).Outcome.IsLegacy | policy.AllowsInbound(AddressType.SessionLasting, Ssh, out _);

        long before = GC.GetAllocatedBytesForCurrentThread();
        bool again = policy.Match(Ssh).Outcome.IsLegacy | policy.AllowsInbound(AddressType.SessionLasting, Ssh, out _);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;

        Assert.True(warm && again);
        Assert.Equal(0, allocated);
    }

    private static (bool Allowed, int RuleIndex) Asked(ServicePolicy policy, AddressType type, FlowFacts facts) =>
        (policy.AllowsInbound(type, facts, out int ruleIndex), ruleIndex);

    private static void Refused(string because, Func<object> action) =>
        Assert.Contains(because, Assert.ThrowsAny<ArgumentException>(action).Message, StringComparison.Ordinal);
}
