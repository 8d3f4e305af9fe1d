using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Scenarios;

public class ScenarioReaderTests
{
    // The scenario of the design, as the README shows it.
    public const string Complete = """
        seed: 42                          # for everything that is chosen at random
        internal: [fd00:db8::1]           # addresses that programs send from
        network:                          # what the network does, in time order
          - at: 0s
            attach: ar1                   # point of attachment
            prefixes:
              - {prefix: 2001:db8:a1:1::/64, type: nonpersistent, preferred: 30m, valid: 1h}
              - {prefix: 2001:db8:51:1::/64, type: session-lasting}
              - {prefix: 2001:db8:f1::7/128, type: fixed}          # a /128 is that very address, not one made by us
          - {at: 2.5s, attach: ar2, window: 10s, prefixes: [{prefix: 2001:db8:a2:1::/64, type: nonpersistent}]}
          - {at: 8s, withdraw: 2001:db8:a2:1::/64}
          - {at: 9s, detach: true}
        on-demand:                        # what the network says when asked for a type it has not given
          session-lasting: {answer: grant, prefix: 2001:db8:51:2::/64, delay: 20ms}
          graceful-replacement: {answer: unsupported}
          fixed: {answer: refuse, delay: 1s}                        # or silence
        policy:
          default: legacy                 # or a type
          rules:                          # first match wins; every key may be left out
            - {protocol: tcp, remote-port: 22, type: session-lasting}
            - {remote: 2001:db8:c::/48, type: fixed}
            - {internal: fd00:db8::1, protocol: udp, local-port: 5000-5999, type: nonpersistent}
            - {remote: 2001:db8:9::1, prefix: 2001:db8:f1::7/128}   # this very prefix
          inbound:                        # unsolicited flows that may come in besides those to Fixed addresses
            - {type: session-lasting, protocol: tcp, local-port: 8080}
        sockets:                          # requests of programs, as setsc() would make them
          - {at: 1s, protocol: udp, local-port: 5353, type: graceful-replacement, on-net: true}
        """;

    [Fact]
    public void The_scenario_of_the_design_is_read_completely()
    {
        Scenario scenario = Parse(Complete);

        Assert.Equal(42UL, scenario.Seed);
        Assert.Equal([IpPrefix.Parse("fd00:db8::1")], scenario.Internal);
        Assert.Equal(4, scenario.Network.Count);
        AttachEvent first = Assert.IsType<AttachEvent>(scenario.Network[0]);
        Assert.Equal("ar1", first.Name);
        Assert.Null(first.Window);
        Assert.Equal(
            [
                Given("2001:db8:a1:1::/64", AddressType.Nonpersistent, Duration.FromSeconds(1800), Duration.FromSeconds(3600)),
                Given("2001:db8:51:1::/64", AddressType.SessionLasting, Duration.Infinite, Duration.Infinite),
                Given("2001:db8:f1::7/128", AddressType.Fixed, Duration.Infinite, Duration.Infinite),
            ],
            first.Prefixes);
        AttachEvent second = Assert.IsType<AttachEvent>(scenario.Network[1]);
        Assert.Equal(ScenarioTime.Relative(Duration.FromMilliseconds(2500)), second.At);
        Assert.Equal(Duration.FromSeconds(10), second.Window);
        Assert.Equal(new ScenarioPlace(10, 5), second.Place);
        WithdrawEvent withdrawal = Assert.IsType<WithdrawEvent>(scenario.Network[2]);
        Assert.Equal(IpPrefix.Parse("2001:db8:a2:1::/64"), withdrawal.Prefix);
        Assert.IsType<DetachEvent>(scenario.Network[3]);

        NetworkAnswer granted = scenario.AnswerTo(AddressType.SessionLasting, 0);
        Assert.Equal(NetworkAnswerKind.Grant, granted.Kind);
        Assert.Equal(Given("2001:db8:51:2::/64", AddressType.SessionLasting, Duration.Infinite, Duration.Infinite), granted.Prefix);
        Assert.Equal(Duration.FromMilliseconds(20), granted.Delay);
        Assert.Equal(NetworkAnswerKind.Unsupported, scenario.AnswerTo(AddressType.GracefulReplacement, 3).Kind);
        Assert.Equal(NetworkAnswerKind.Refuse, scenario.AnswerTo(AddressType.Fixed, 0).Kind);
        Assert.Equal(NetworkAnswerKind.Unsupported, scenario.AnswerTo(AddressType.Nonpersistent, 0).Kind);

        Assert.Equal(AddressType.None, scenario.Policy.Default);
        Assert.Equal(4, scenario.Policy.Rules.Count);
        Assert.Equal(new PortRange(22, 22), scenario.Policy.Rules[0].RemotePort);
        Assert.Equal(AddressType.Fixed, scenario.Policy.Rules[1].Type);
        Assert.Equal(new PortRange(5000, 5999), scenario.Policy.Rules[2].LocalPort);
        Assert.Equal(IpPrefix.Parse("2001:db8:f1::7/128"), scenario.Policy.Rules[3].Prefix);
        ScenarioInbound inbound = Assert.Single(scenario.Policy.Inbound);
        Assert.Equal(AddressType.SessionLasting, inbound.Type);
        Assert.Equal((byte)6, inbound.Protocol);
        SocketRequest socket = Assert.Single(scenario.Sockets);
        Assert.Equal(5353, socket.LocalPort);
        Assert.True(socket.OnNet);
        Assert.Equal(AddressType.GracefulReplacement, socket.Type);
    }

    [Fact]
    public void What_is_left_out_has_its_documented_default()
    {
        Scenario scenario = Parse("internal: [fd00::1]\nnetwork: [{at: 0s, attach: ar1}]\nsockets:\n");

        Assert.Equal(0UL, scenario.Seed);
        Assert.Equal(Duration.FromSeconds(60), scenario.Linger);
        Assert.True(scenario.Pickup);
        Assert.Equal(UntranslatablePolicy.Pass, scenario.Untranslatable);
        Assert.Equal(SelectionProfile.Rfc6724, scenario.Profile);
        Assert.False(scenario.Policy.GracefulDatagramsAtOnce);
        Assert.False(scenario.Policy.PreferRoute);
        Assert.Equal(OnNetReading.RequestNew, scenario.Policy.OnNet);
        Assert.Empty(scenario.Addresses.Neutral);
        Assert.Empty(scenario.Sockets);
        Assert.Null(scenario.Limits.Flows);
        Assert.Null(scenario.Timers.Udp);
    }

    [Theory]
    [InlineData("home-network-anchored", AddressType.Fixed)]
    [InlineData("IPV6_REQUIRE_ACCESS_ANCHORED", AddressType.SessionLasting)]
    [InlineData("unanchored", AddressType.Nonpersistent)]
    [InlineData("Graceful_Replacement_IPv6_Address", AddressType.GracefulReplacement)]
    [InlineData("untyped", AddressType.None)]
    public void Types_are_read_under_each_of_their_names(string name, AddressType type)
    {
        Scenario scenario = Parse($"internal: [fd00::1]\nnetwork: [{{at: 0s, attach: a, prefixes: [{{prefix: '2001:db8::/64', type: {name}}}]}}]\n");

        Assert.Equal(type, Assert.IsType<AttachEvent>(scenario.Network[0]).Prefixes[0].Type);
    }

    [Fact]
    public void One_lifetime_alone_decides_the_other_as_far_as_it_must()
    {
        Scenario scenario = Parse("""
            internal: [fd00::1]
            network:
              - at: 0
                attach: a
                prefixes: [{prefix: "2001:db8:1::/64", valid: 1h}, {prefix: "2001:db8:2::/64", preferred: 5m, home: true}]
              - {at: 1s, advertise: true, authenticated: true, prefixes: [{prefix: "2001:db8:1::/64", valid: 0s}]}
            """);

        IReadOnlyList<PrefixAdvertisement> given = Assert.IsType<AttachEvent>(scenario.Network[0]).Prefixes;
        Assert.Equal(Duration.FromSeconds(3600), given[0].PreferredLifetime);
        Assert.Equal(Duration.Infinite, given[1].ValidLifetime);
        Assert.True(given[1].Home);
        AdvertiseEvent update = Assert.IsType<AdvertiseEvent>(scenario.Network[1]);
        Assert.True(update.Authenticated);
        Assert.Equal(Duration.Zero, update.Prefixes[0].ValidLifetime);
    }

    [Fact]
    public void Answers_are_given_one_after_the_other_and_the_last_is_repeated()
    {
        Scenario scenario = Parse("""
            internal: [fd00::1]
            network: [{at: 0s, attach: a}]
            on-demand:
              fixed: [{answer: silence}, {answer: refuse, delay: 5ms}, {answer: grant, prefix: "2001:db8:f::1/128", valid: 1h}]
            """);

        NetworkAnswerKind[] kinds = [.. Enumerable.Range(0, 5).Select(request => scenario.AnswerTo(AddressType.Fixed, request).Kind)];

        Assert.Equal([NetworkAnswerKind.Silence, NetworkAnswerKind.Refuse, NetworkAnswerKind.Grant, NetworkAnswerKind.Grant, NetworkAnswerKind.Grant], kinds);
    }

    [Fact]
    public void Answers_that_are_drawn_may_give_one_prefix_to_several_types_and_the_usual_order_is_as_given()
    {
        Scenario drawn = Parse(ScenarioWriterTests.Drawn);

        Assert.Equal(AnswerOrder.Random, drawn.AnswerOrder);
        Assert.Equal(
            ["2001:db8:2::/64", "2001:db8:1::/64"], drawn.OnDemand[AddressType.Nonpersistent].Select(answer => answer.Prefix!.Value.Prefix.ToString()));
        Assert.Equal(["2001:db8:1::/64", "2001:db8:2::/64"], drawn.OnDemand[AddressType.SessionLasting].Select(answer => answer.Prefix!.Value.Prefix.ToString()));
        Assert.Equal(AnswerOrder.AsGiven, Parse(Complete).AnswerOrder);
        Assert.Equal(
            AnswerOrder.AsGiven, Parse("internal: [fd00::1]\nnetwork: [{at: 0s, attach: a}]\non-demand: {order: as-given, fixed: {answer: refuse}}\n").AnswerOrder);
    }

    [Fact]
    public void Every_further_setting_is_read()
    {
        Scenario scenario = Parse(ScenarioWriterTests.EverySetting);

        Assert.Equal([IpPrefix.Parse("fd00::/64"), IpPrefix.Parse("2001:db8:aaaa::1/128")], scenario.Internal);
        Assert.Equal([AddressType.Fixed, AddressType.Nonpersistent], scenario.Addresses.Neutral);
        Assert.Equal("000102030405060708090A0B0C0D0E0F", scenario.Addresses.Secret);
        Assert.Equal(new RenewalLimit(Duration.FromSeconds(600), 1 << 20), scenario.Addresses.Renew[AddressType.Nonpersistent]);
        Assert.Equal(Duration.FromSeconds(5), scenario.Linger);
        Assert.False(scenario.Pickup);
        Assert.Equal(UntranslatablePolicy.Drop, scenario.Untranslatable);
        Assert.Equal(1000, scenario.Limits.Flows);
        Assert.Equal(65536, scenario.Limits.HeldBytes);
        Assert.Equal(Duration.FromSeconds(7440), scenario.Timers.TcpEstablished);
        Assert.Equal(Duration.FromMilliseconds(1500), scenario.Timers.Answer);
        Assert.Equal(new PolicyTableEntry(IpPrefix.Parse("::/0"), 40, 1), scenario.Labels[1]);
        Assert.Equal(SelectionProfile.Linux, scenario.Profile);
        Assert.Equal(IpAddress.Parse("fd00::5"), scenario.Outside[IpAddress.Parse("2001:db8:1::5")]);
        Assert.True(scenario.Policy.GracefulDatagramsAtOnce);
        Assert.True(scenario.Policy.PreferRoute);
        Assert.Equal(OnNetReading.PreferServing, scenario.Policy.OnNet);
        Assert.Equal(AddressPreferences.Temporary | AddressPreferences.CareOf, scenario.Policy.Rules[1].Preferences);
        Assert.Equal((byte)0xb8, scenario.Policy.Rules[0].TrafficClass);
        Assert.Equal(AddressPreferences.Public, scenario.Sockets[1].Preferences);
        Assert.Equal(new ScenarioTime(1_700_000_000_250_000_000, IsAbsolute: true), scenario.Sockets[1].At);
    }

    [Fact]
    public void Policy_becomes_the_policy_of_the_engine()
    {
        ServicePolicy policy = Parse(Complete).BuildPolicy();

        var ssh = new FlowFacts(6, IpAddress.Parse("fd00:db8::1"), 40000, IpAddress.Parse("2001:db8:9::2"), 22);
        var pinned = new FlowFacts(17, IpAddress.Parse("fd00:db8::1"), 40000, IpAddress.Parse("2001:db8:9::1"), 53);
        var other = new FlowFacts(6, IpAddress.Parse("fd00:db8::1"), 8080, IpAddress.Parse("2001:db8:9::2"), 443);
        Assert.Equal(new PolicyMatch(0, PolicyOutcome.OfType(AddressType.SessionLasting)), policy.Match(ssh));
        Assert.Equal(new PolicyMatch(3, PolicyOutcome.Pinned(IpPrefix.Parse("2001:db8:f1::7/128"))), policy.Match(pinned));
        Assert.Equal(new PolicyMatch(PolicyMatch.Default, PolicyOutcome.Legacy), policy.Match(other));
        Assert.True(policy.AllowsInbound(AddressType.SessionLasting, other, out _));
        Assert.False(policy.AllowsInbound(AddressType.Nonpersistent, other, out _));
    }

    [Fact]
    public void An_inbound_rule_without_a_type_opens_every_type()
    {
        ServicePolicy policy = Parse(ScenarioWriterTests.EverySetting).BuildPolicy();
        var facts = new FlowFacts(6, IpAddress.Parse("fd00::1"), 80, IpAddress.Parse("2001:db8::1"), 5000);

        Assert.All(Enum.GetValues<AddressType>(), type => Assert.True(policy.AllowsInbound(type, facts, out _)));
        Assert.Equal(AddressType.SessionLasting, policy.DefaultOutcome.Type);
        Assert.Equal(AddressPreferences.Temporary | AddressPreferences.CareOf, policy.Rules[1].Outcome.Preferences);
        Assert.True(policy.Rules[2].Outcome.OnNet);
    }

    [Fact]
    public void Every_setting_reaches_the_options_of_the_engine()
    {
        Scenario scenario = Parse(ScenarioWriterTests.EverySetting);
        DataplaneOptions usual = new();

        DataplaneOptions options = scenario.BuildOptions();

        Assert.Equal(ulong.MaxValue, options.AddressSeed);
        Assert.Equal(16, options.IdentifierSecret.Length);
        Assert.Equal(0x0f, options.IdentifierSecret.Span[15]);
        Assert.Equal(scenario.Internal, options.Internal);
        Assert.Equal((1 << (int)AddressType.Fixed) | (1 << (int)AddressType.Nonpersistent), options.NeutralTypes);
        Assert.Equal(new RenewalLimit(Duration.FromSeconds(600), 1 << 20), options.NonpersistentRenewal);
        Assert.Equal(new RenewalLimit(Duration.Infinite, 1500), options.SessionLastingRenewal);
        Assert.Equal(RenewalLimit.Never, options.GracefulRenewal);
        Assert.Equal(
            (1000, 10, 2, 3, 4, 5, 6, 65536),
            (options.MaximumFlows, options.MaximumBindings, options.MaximumInternalAddresses, options.MaximumTypedAddresses, options.MaximumPrefixes,
                options.MaximumFragmentedDatagrams, options.MaximumHeldFrames, options.MaximumHeldOctets));
        Assert.Equal(
            [7440, 240, 240, 120, 60, 600, 15],
            new[]
            {
                options.TcpEstablishedTimeout, options.TcpOpeningTimeout, options.TcpClosingTimeout, options.UdpTimeout, options.IcmpTimeout,
                options.OtherTimeout, options.FragmentTimeout,
            }.Select(timeout => timeout.Nanoseconds / Timestamp.NanosecondsPerSecond));
        Assert.Equal(Duration.FromMilliseconds(1500), options.NetworkAnswerTimeout);
        Assert.True(options.GracefulDatagramsAtOnce && options.PreferRoute && !options.PickUpMidFlow);
        Assert.Equal(usual.MaximumFlows, Parse(Complete).BuildOptions().MaximumFlows);
        Assert.Equal(0, new DataplaneEngine(options, default).FlowCount);
    }

    [Fact]
    public void The_policy_table_is_that_of_the_scenario_or_of_its_profile()
    {
        Assert.Equal(2, Parse(ScenarioWriterTests.EverySetting).BuildPolicyTable().Entries.Length);
        Assert.Same(PolicyTable.Default, Parse(Complete).BuildPolicyTable());
        Assert.Same(PolicyTable.Linux, Parse(Complete + "\nprofile: linux\n").BuildPolicyTable());
    }

    [Fact]
    public void Times_of_both_kinds_are_checked_once_the_first_packet_is_known()
    {
        Scenario scenario = Parse("internal: [fd00::1]\nnetwork:\n  - {at: 5s, attach: a}\n  - {at: 1700000004.5, detach: true}\n");

        scenario.CheckOrder(Timestamp.FromSeconds(1_699_999_990));
        ScenarioException wrong = Assert.Throws<ScenarioException>(() => scenario.CheckOrder(Timestamp.FromSeconds(1_700_000_000)));

        Assert.Equal(4, wrong.Line);
        Assert.Contains("events in time order", wrong.Message, StringComparison.Ordinal);
    }

    internal static Scenario Parse(string yaml) => ScenarioReader.Parse("lab.yaml", Encoding.UTF8.GetBytes(yaml));

    private static PrefixAdvertisement Given(string prefix, AddressType type, Duration preferred, Duration valid) =>
        new(IpPrefix.Parse(prefix), type, preferred, valid, Home: false);
}
