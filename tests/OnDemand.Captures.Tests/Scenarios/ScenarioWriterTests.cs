using System.Text.Json;
using OnDemand.Captures.Scenarios;
using Xunit;

namespace OnDemand.Captures.Tests.Scenarios;

public class ScenarioWriterTests
{
    public const string EverySetting = """
        seed: 0xffffffffffffffff
        internal: ["fd00::/64", "2001:db8:aaaa::1"]
        network:
          - {at: 100us, attach: "cell 7: north", prefixes: [{prefix: "2001:db8:1::5", type: fixed, home: true}]}
          - {at: 1s, attach: b, prefixes: []}
          - {at: 2s, advertise: true, prefixes: [{prefix: "2001:db8:2::/64", preferred: 0s, valid: 2h}]}
          - {at: 3s, withdraw: "2001:db8:2::/64", window: 90s}
          - {at: 4s, detach: true}
          - {at: 1700000000.000000001, attach: c, window: 1500ms}
        on-demand:
          nonpersistent: [{answer: grant, prefix: "2001:db8:3::/56", preferred: 1m, valid: 1d, delay: 1ns}, {answer: silence}]
          fixed: {answer: unsupported}
        policy:
          default: access-network-anchored
          graceful-udp: at-once
          session-lasting: route
          on-net: sijeon-07
          rules:
            - {protocol: 47, traffic-class: 0xb8, internal: "fd00::/120", legacy: true}
            - {protocol: icmpv6, preferences: [tmp, IPV6_PREFER_SRC_COA]}
            - {type: graceful, on-net: true, preferences: home}
            - {prefix: "2001:db8:3::/56", remote: "::/0"}
            - {user: alice, group: 0, program: "/opt/it's #1/**", cgroup: "/user.slice/a: b", type: fixed}
            - {user: 007, legacy: true}
          inbound: [{}, {type: untyped, remote: "2001:db8:99::/48", protocol: sctp, local-port: 1-65535}]
        sockets:
          - {at: 0, close: 9.25s, protocol: dccp, local-port: 0, internal: "fd00::", prefix: "2001:db8:3::/56"}
          - {at: 1700000000.250, protocol: udplite, local-port: 65535, preferences: [public]}
        addresses:
          neutral: [nonpersistent, fixed, nonpersistent]
          secret: 000102030405060708090a0b0c0d0e0f
          renew: {nonpersistent: {after: 10m, bytes: 1MiB}, session-lasting: {bytes: 1.5kB}}
        linger: 5s
        pickup: false
        untranslatable: drop
        limits: {flows: 1000, bindings: 10, internal-addresses: 2, typed-addresses: 3, prefixes: 4, fragments: 5, held-packets: 6, held-bytes: 64KiB}
        timers: {tcp-established: 124m, tcp-opening: 4m, tcp-closing: 4m, udp: 2m, icmp: 60s, other: 10m, fragment: 15s, answer: 1.5s}
        labels: [{prefix: "::1/128", precedence: 50, label: 0}, {prefix: "::/0", precedence: 40, label: 1}]
        profile: linux
        outside: {"2001:db8:1::5": "fd00::5"}
        """;

    public const string Drawn = """
        internal: ["fd00::1"]
        network: [{at: 0s, attach: a}]
        on-demand:
          order: random
          session-lasting: [{answer: grant, prefix: "2001:db8:1::/64"}, {answer: grant, prefix: "2001:db8:2::/64", delay: 5ms}]
          nonpersistent: [{answer: grant, prefix: "2001:db8:2::/64"}, {answer: grant, prefix: "2001:db8:1::/64", valid: 1h}]
          fixed: {answer: refuse}
        """;

    [Theory]
    [InlineData(ScenarioReaderTests.Complete)]
    [InlineData(EverySetting)]
    [InlineData(Drawn)]
    [InlineData("internal: [\"fd00::\"]\nnetwork: [{at: 0s, attach: 'a: \"b\" # c'}]\n")]
    public void A_written_scenario_reads_back_to_the_same_scenario(string yaml)
    {
        Scenario scenario = ScenarioReaderTests.Parse(yaml);

        Scenario again = ScenarioReaderTests.Parse(Write(scenario));

        Assert.Equal(Describe(scenario), Describe(again));
    }

    [Fact]
    public void Remarks_become_comments_and_change_nothing()
    {
        Scenario scenario = ScenarioReaderTests.Parse(ScenarioReaderTests.Complete);
        var remarks = new ScenarioRemarks
        {
            Head = ["top"],
            Internal = ["why: these"],
            AfterNetwork = ["- {at: 5s, detach: true}"],
            Inbound = ["open: all"],
            Foot = ["end"],
        };

        using var output = new StringWriter();
        ScenarioWriter.Write(output, scenario, remarks);

        Assert.StartsWith("# top\n", output.ToString(), StringComparison.Ordinal);
        Assert.Contains("\n  # - {at: 5s, detach: true}\n", output.ToString(), StringComparison.Ordinal);
        Assert.EndsWith("# end\n", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(Describe(scenario), Describe(ScenarioReaderTests.Parse(output.ToString())));
    }

    private static string Write(Scenario scenario)
    {
        using var output = new StringWriter();
        ScenarioWriter.Write(output, scenario, ScenarioRemarks.None);
        return output.ToString();
    }

    // Every property of every record, places in the file aside; lists by value, which record equality would compare by reference.
    private static string Describe(Scenario scenario) => string.Join(
        '\n',
        [
            JsonSerializer.Serialize(scenario with { Policy = Placeless(scenario.Policy), Network = [], Sockets = [], Outside = new Dictionary<Dataplane.Wire.IpAddress, Dataplane.Wire.IpAddress>() }),
            .. scenario.Network.Select(next => JsonSerializer.Serialize(next with { Place = default }, next.GetType())),
            .. scenario.Sockets.Select(socket => JsonSerializer.Serialize(socket with { Place = default })),
            .. scenario.Outside.Select(pair => pair.ToString()),
        ]);

    private static ScenarioPolicy Placeless(ScenarioPolicy policy) => policy with
    {
        Rules = [.. policy.Rules.Select(rule => rule with { Socket = rule.Socket is null ? null : rule.Socket with { UserPlace = default, GroupPlace = default } })],
    };
}
