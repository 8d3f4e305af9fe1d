using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Audit;
using OnDemand.Linux.Config;
using OnDemand.Linux.Providers;
using OnDemand.Linux.Rights;
using Xunit;

namespace OnDemand.Linux.Tests.Config;

public sealed class HostConfigTests
{
    private const string Least = "internal: [fd00:a::2]\n";

    [Fact]
    public void A_file_that_says_nothing_of_the_host_gets_the_usual_one()
    {
        HostConfig config = Parse(Least);

        Assert.Empty(config.Scenario.Network);
        Assert.False(config.HasSeed);
        Assert.Equal(new HostSettings(), config.Host with { Uplinks = new HostSettings().Uplinks });
        Assert.Equal("/run/ondemand/od0.sock", config.Host.Control);
    }

    [Fact]
    public void Every_key_is_read()
    {
        HostConfig config = Parse(Least + """
            seed: 7
            host:
              tap: od7
              mtu: 9000
              neighbors: answer
              table: 900
              rule-preference: 50
              control: /tmp/od7.sock
              state: /tmp/od7
              forwarding: set
              preferences: off
              uplinks: [eth0, wlan0]
              ring: off
              coalesce: off
              cpu: 3
            """);

        Assert.True(config.HasSeed);
        HostSettings host = config.Host;
        Assert.Equal(("od7", 9000, NeighborMode.Answer, 900u, 50u), (host.Tap, host.Mtu, host.Neighbors, host.Table, host.RulePreference));
        Assert.Equal(("/tmp/od7.sock", "/tmp/od7", true), (host.Control, host.State, host.SetForwarding));
        Assert.Equal(["eth0", "wlan0"], host.Uplinks);
        Assert.Equal((false, true), (host.ReadPreferences, new HostSettings().ReadPreferences));
        Assert.Equal((false, false), (host.UseRing, host.Coalesce));
        Assert.Equal((new ProcessorChoice(ProcessorRule.Named, 3), new ProcessorChoice(ProcessorRule.Stay, 0)), (host.Processor, new HostSettings().Processor));
        Assert.Equal((1, 1, 16), (host.Queues, Parse(Least + "host: {queues: 1, cpu: 3}").Host.Queues, Parse(Least + "host: {queues: 16, cpu: any}").Host.Queues));
        Assert.Equal(ProcessorRule.Any, Parse(Least + "host: {cpu: any}").Host.Processor.Rule);
        Assert.Equal(ProcessorRule.Stay, Parse(Least + "host: {cpu: stay}").Host.Processor.Rule);
    }

    [Fact]
    public void A_provider_is_read_with_its_usual_times_where_none_are_said()
    {
        ProviderSettings full = Parse(Least + """
            host:
              provider:
                command: [/usr/lib/provider, --verbose, "two words"]
                timeout: 5s
                retry: {first: 200ms, most: 2s}
                moves: true
            """).Host.Provider!;
        ProviderSettings least = Parse(Least + "host: {provider: {command: [/p]}}").Host.Provider!;

        Assert.Equal(["/usr/lib/provider", "--verbose", "two words"], full.Command);
        Assert.Equal((Duration.FromSeconds(5), true), (full.Timeout, full.MayMove));
        Assert.Equal(new RetryTimes(Duration.FromMilliseconds(200), Duration.FromSeconds(2)), full.Retry);
        Assert.Equal((ProviderSettings.UsualTimeout, RetryTimes.Usual, false), (least.Timeout, least.Retry, least.MayMove));
        Assert.Null(Parse(Least).Host.Provider);
    }

    [Fact]
    public void The_control_socket_and_the_state_follow_the_tap()
    {
        HostSettings host = Parse(Least + "host: {tap: od3}").Host;

        Assert.Equal("/run/ondemand/od3.sock", host.Control);
        Assert.Equal("/var/lib/ondemand/od3", host.State);
    }

    [Fact]
    public void The_programs_socket_follows_the_tap_has_a_path_or_is_off()
    {
        Assert.Equal("/run/ondemand/od3.programs.sock", Parse(Least + "host: {tap: od3}").Host.Programs);
        Assert.Equal("/tmp/p.sock", Parse(Least + "host: {programs: /tmp/p.sock}").Host.Programs);
        Assert.Null(Parse(Least + "host: {programs: off}").Host.Programs);
    }

    [Fact]
    public void Rights_and_the_audit_log_are_read()
    {
        HostSettings host = Parse(Least + """
            host:
              rights:
                types:
                  fixed: {users: [root, 1000], groups: [root], programs: [/usr/bin/ssh]}
                  session-lasting: {programs: []}
                quotas: {addresses: 16, prefixes: 0, requests-per-minute: 600}
              audit: {file: /var/log/ondemand/audit.jsonl, size: 64KiB, keep: 0}
            """).Host;

        TypeRights rights = host.Rights.Types[AddressType.Fixed];
        Assert.Equal([0u, 1000u], rights.Users!.Order());
        Assert.Equal([0u], rights.Groups!);
        Assert.Equal(["/usr/bin/ssh"], rights.Programs!);
        Assert.True(host.Rights.Types[AddressType.SessionLasting] is { Users: null, Groups: null, Programs: [] });
        Assert.Equal(new UserQuotas { Addresses = 16, Prefixes = 0, RequestsPerMinute = 600 }, host.Rights.Quotas);
        Assert.Equal(new AuditSettings("/var/log/ondemand/audit.jsonl", 65_536, 0), host.Audit);
        Assert.Null(Parse(Least).Host.Audit);
    }

    [Fact]
    public void The_same_file_drives_a_replay()
    {
        const string text = Least + "host: {tap: od3}\nnetwork: [{at: 0s, attach: ar1}]\n";

        Scenario scenario = ScenarioReader.Parse("host.yaml", Encoding.UTF8.GetBytes(text));

        Assert.Single(scenario.Network);
    }

    [Fact]
    public void A_replay_still_needs_a_network()
    {
        ScenarioException problem = Assert.Throws<ScenarioException>(
            () => ScenarioReader.Parse("host.yaml", Encoding.UTF8.GetBytes(Least)));

        Assert.Contains("without 'network'", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Addresses_that_need_not_last_are_renewed_every_day_unless_the_file_says_otherwise()
    {
        HostConfig usual = HostConfigReader.Parse("host.yaml", "internal: [fd00::1]"u8);
        HostConfig own = HostConfigReader.Parse(
            "host.yaml", "internal: [fd00::1]\naddresses: {renew: {nonpersistent: {after: 10m}, session-lasting: {bytes: 1GiB}}}"u8);

        var day = new RenewalLimit(Duration.FromSeconds(86_400), 0);
        DataplaneOptions options = usual.Scenario.BuildOptions();
        Assert.Equal(
            (day, day, RenewalLimit.Never), (options.NonpersistentRenewal, options.GracefulRenewal, options.SessionLastingRenewal));
        options = own.Scenario.BuildOptions();
        Assert.Equal((new RenewalLimit(Duration.FromSeconds(600), 0), day), (options.NonpersistentRenewal, options.GracefulRenewal));
        Assert.Equal(1UL << 30, options.SessionLastingRenewal.Bytes);
    }

    [Theory]
    [InlineData("host: {tab: od0}", "host.yaml:2:8: found the unknown key in a host 'tab', expected 'tap'")]
    [InlineData("host: {tap: far-too-long-a-name}", "host.yaml:2:13: found 'far-too-long-a-name', expected the name of an interface")]
    [InlineData("host: {mtu: 1000}", "expected a whole number from 1280 to 65521")]
    [InlineData("host: {neighbors: answers}", "expected 'answer', the nearest of off, answer")]
    [InlineData("host: {ring: of}", "found the unknown use of io_uring 'of'")]
    [InlineData("host: {coalesce: no}", "found the unknown treatment of segments 'no'")]
    [InlineData("host: {cpu: sta}", "expected stay, any, or the number of a processor from 0 to 8191")]
    [InlineData("host: {queues: 0}", "expected a whole number from 1 to 16")]
    [InlineData("host: {queues: 17}", "expected a whole number from 1 to 16")]
    [InlineData("host: {queues: 2, cpu: 1}", "found 2 queues on the one processor that 'cpu' names, expected one queue, or 'cpu: stay' or 'cpu: any'")]
    [InlineData("host: {cpu: 8192}", "expected stay, any, or the number of a processor from 0 to 8191")]
    [InlineData("host: {table: 254}", "found table 254, which is the kernel's own")]
    [InlineData("host: {rule-preference: 32766}", "expected a whole number from 3 to 32764")]
    [InlineData("host: {uplinks: [od0]}", "found the TAP od0 as an uplink")]
    [InlineData("host: {uplinks: [eth0, eth0]}", "found 'eth0' a second time")]
    [InlineData("host: {provider: {command: [provider]}}", "a list of the program's whole path and its arguments")]
    [InlineData("host: {provider: {timeout: 5s}}", "a provider without 'command'")]
    [InlineData("host: {provider: {command: [/p], timeout: 0s}}", "a time from 10ms to 1d")]
    [InlineData("host: {provider: {command: [/p], retry: {first: 5s, most: 2s}}}", "'most' not below 'first'")]
    [InlineData("host: [od0]", "expected a host: a map with keys such as 'tap'")]
    [InlineData("host: {rights: {type: {}}}", "host.yaml:2:17: found the unknown key in rights 'type', expected 'types'")]
    [InlineData("host: {rights: {types: {fixt: {}}}}", "found the unknown type 'fixt', expected 'fixed'")]
    [InlineData("host: {rights: {types: {fixed: {user: [root]}}}}", "expected 'users'")]
    [InlineData("host: {rights: {types: {fixed: {users: [nobody-here]}}}}", "host.yaml:2:41: found 'nobody-here', which no user of this host is called")]
    [InlineData("host: {rights: {types: {fixed: {programs: [ssh]}}}}", "expected the absolute path of a program")]
    [InlineData("host: {rights: {types: {fixed: {}, home-network-anchored: {}}}}", "'home-network-anchored' a second time")]
    [InlineData("host: {rights: {quotas: {requests-per-minute: 0}}}", "expected a whole number from 1 to 1000000")]
    [InlineData("host: {audit: {size: 1MiB}}", "an audit log without 'file'")]
    [InlineData("host: {audit: {file: /x, size: 100}}", "expected a size of at least 4KiB")]
    [InlineData("host: {audit: {file: /x, keep: 100}}", "expected a whole number from 0 to 99")]
    [InlineData("network: {at: 0s}", "host.yaml:2:10")]
    public void A_wrong_word_is_named_with_its_place(string line, string expected)
    {
        ScenarioException problem = Assert.Throws<ScenarioException>(() => Parse(Least + line));

        Assert.Contains(expected, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_control_socket_whose_path_no_socket_can_have_is_refused()
    {
        string path = $"/tmp/{new string('a', 103)}";

        ScenarioException problem = Assert.Throws<ScenarioException>(() => Parse(Least + $"host: {{control: {path}}}"));

        Assert.Contains("a path of at most 107 octets", problem.Message, StringComparison.Ordinal);
    }

    private static HostConfig Parse(string text) => HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(text));
}
