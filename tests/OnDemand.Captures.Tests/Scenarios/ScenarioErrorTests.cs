using System.Text;
using FsCheck;
using FsCheck.Fluent;
using OnDemand.Captures.Scenarios;
using Xunit;

namespace OnDemand.Captures.Tests.Scenarios;

public class ScenarioErrorTests
{
    // A scenario with a hole: what a case puts there begins in line 3, column 1.
    private const string Frame = "internal: [fd00::1]\nnetwork: [{at: 0s, attach: a, prefixes: [{prefix: '2001:db8:1::/64'}]}]\n";

    [Theory]
    [InlineData("polcy: {}", 3, 1, "the unknown key in a scenario 'polcy'", "'policy', the nearest of seed, internal,")]
    [InlineData("zzzzzzzzz: 1", 3, 1, "the unknown key in a scenario 'zzzzzzzzz'", "one of seed, internal, network")]
    [InlineData("seed: -1", 3, 7, "'-1'", "a whole number from 0 to 18446744073709551615")]
    [InlineData("seed: [1]", 3, 7, "a list", "a whole number")]
    [InlineData("seed:", 3, 6, "nothing", "a whole number")]
    [InlineData("seed: 1\nseed: 2", 4, 1, "the key 'seed' a second time", "each key once")]
    [InlineData("on-demand: {fixd: {answer: refuse}}", 3, 13, "the unknown type 'fixd'", "'fixed', the nearest of fixed, session-lasting, nonpersistent, graceful-replacement")]
    [InlineData("on-demand: {fixed: {answer: rfuse}}", 3, 29, "the unknown answer 'rfuse'", "'refuse', the nearest of grant, refuse, unsupported, silence")]
    [InlineData("on-demand: {fixed: {answer: grant}}", 3, 20, "a grant without a prefix", "the key 'prefix'")]
    [InlineData("on-demand: {fixed: {delay: 1s}}", 3, 20, "an answer without 'answer'", "the key 'answer'")]
    [InlineData("on-demand: {fixed: {answer: refuse, prefix: '2001:db8::/64'}}", 3, 37, "'prefix' beside 'answer: refuse'", "it to be left out")]
    [InlineData("on-demand: {fixed: {answer: silence, delay: 1s}}", 3, 38, "'delay' beside 'answer: silence'", "it to be left out")]
    [InlineData("on-demand: {fixed: {answer: refuse, delay: infinite}}", 3, 44, "an infinite delay", "'answer: silence'")]
    [InlineData("on-demand: {fixed: {answer: grant, prefix: '2001:db8:9::/64', valid: 0}}", 3, 70, "a grant with a valid lifetime of zero", "a lifetime above zero")]
    [InlineData("on-demand: {fixed: {answer: silence}, home-anchored: {answer: silence}}", 3, 39, "the type fixed a second time", "each type once")]
    [InlineData("on-demand: [fixed]", 3, 12, "a list", "a map with types as keys")]
    [InlineData("on-demand: {order: rndom}", 3, 20, "the unknown order 'rndom'", "'random', the nearest of as-given, random")]
    [InlineData("on-demand: {order: [random]}", 3, 20, "a list", "one of as-given, random")]
    [InlineData("on-demand: {oder: random}", 3, 13, "the unknown type 'oder'", "one of fixed")]
    [InlineData("on-demand: {order: random, fixed: [{answer: grant, prefix: '2001:db8:9::/64'}, {answer: refuse}]}", 3, 80, "'answer: refuse' in a list beside 'order: random'", "a list of grants")]
    [InlineData("on-demand: {order: random, fixed: [{answer: grant, prefix: '2001:db8:9::/64'}, {answer: grant, prefix: '2001:db8:9::/64'}]}", 3, 80, "the prefix 2001:db8:9::/64 a second time in one list", "each prefix once")]
    [InlineData("on-demand: {fixed: {answer: grant, prefix: '2001:db8:9::/64'}, graceful: {answer: grant, prefix: '2001:db8:9::/64'}}", 3, 98, "the prefix 2001:db8:9::/64 as graceful-replacement after it was fixed", "one type for each prefix")]
    [InlineData("on-demand: {order: random, fixed: {answer: grant, prefix: '2001:db8:1::/64'}}", 3, 59, "the prefix 2001:db8:1::/64 as fixed after it was untyped", "one type for each prefix")]
    [InlineData("policy: {default: legcy}", 3, 19, "the unknown type 'legcy'", "'legacy', the nearest of legacy, fixed")]
    [InlineData("policy: {graceful-udp: atonce}", 3, 24, "the unknown treatment 'atonce'", "'at-once', the nearest of window-end, at-once")]
    [InlineData("policy: {rules: [{protocol: tpc, type: fixed}]}", 3, 29, "'tpc'", "'tcp' or another of tcp, udp, dccp, icmpv6, sctp, udplite or a number from 0 to 255")]
    [InlineData("policy: {rules: [{protocol: 256, type: fixed}]}", 3, 29, "'256'", "a number from 0 to 255")]
    [InlineData("policy: {rules: [{remote-port: 70000, type: fixed}]}", 3, 32, "'70000'", "a port from 0 to 65535 or a range such as 5000-5999")]
    [InlineData("policy: {rules: [{traffic-class: 0x100, type: fixed}]}", 3, 34, "'0x100'", "a Traffic Class from 0 to 255")]
    [InlineData("policy: {rules: [{protocol: tcp}]}", 3, 18, "a rule with none of type, prefix, legacy", "exactly one of them")]
    [InlineData("policy: {rules: [{type: fixed, legacy: true}]}", 3, 32, "'type' and 'legacy' in a rule", "exactly one of type, prefix, legacy")]
    [InlineData("policy: {rules: [{legacy: false}]}", 3, 27, "'false'", "true")]
    [InlineData("policy: {rules: [{legacy: true, on-net: true}]}", 3, 33, "'on-net' without 'type'", "a type that is asked for")]
    [InlineData("policy: {rules: [{prefix: '2001:db8:2::/64'}]}", 3, 27, "the unknown prefix '2001:db8:2::/64'", "'2001:db8:1::/64'")]
    [InlineData("policy: {rules: [{internal: 'fd00::2', type: fixed}]}", 3, 29, "'fd00::2'", "one of the internal addresses fd00::1/128")]
    [InlineData("policy: {rules: [{preferences: [tmp, public]}]}", 3, 38, "'public' beside 'tmp'", "contradict")]
    [InlineData("policy: {rules: [{preferences: [home, coa]}]}", 3, 39, "'coa' beside 'home'", "contradict")]
    [InlineData("policy: {rules: [{preferences: [noncga, cga]}]}", 3, 41, "'cga' beside 'noncga'", "contradict")]
    [InlineData("policy: {rules: [{preferences: [tmp, IPV6_PREFER_SRC_TMP]}]}", 3, 38, "'IPV6_PREFER_SRC_TMP' a second time", "each preference once")]
    [InlineData("policy: {rules: [{preferences: on-net}]}", 3, 32, "the unknown preference 'on-net'", "one of home, coa")]
    [InlineData("policy: {rules: [{preferences: [pulbic]}]}", 3, 33, "the unknown preference 'pulbic'", "'public', the nearest")]
    [InlineData("policy: {rules: [{user: '', type: fixed}]}", 3, 25, "''", "the name of a user, or a number from 0 to 4294967294")]
    [InlineData("policy: {rules: [{user: 4294967295, type: fixed}]}", 3, 25, "'4294967295'", "the name of a user, or a number from 0 to 4294967294")]
    [InlineData("policy: {rules: [{user: [a], type: fixed}]}", 3, 25, "a list", "the name of a user")]
    [InlineData("policy: {rules: [{group: 'a:b', type: fixed}]}", 3, 26, "'a:b'", "the name of a group, or a number")]
    [InlineData("policy: {rules: [{group: '-1', type: fixed}]}", 3, 26, "'-1'", "the name of a group, or a number")]
    [InlineData("policy: {rules: [{program: ssh, type: fixed}]}", 3, 28, "'ssh'", "an absolute path such as /usr/bin/ssh")]
    [InlineData("policy: {rules: [{program: /usr/bin/, type: fixed}]}", 3, 28, "'/usr/bin/'", "an absolute path such as /usr/bin/ssh")]
    [InlineData("policy: {rules: [{program: /usr/../bin/x, type: fixed}]}", 3, 28, "'/usr/../bin/x'", "an absolute path such as /usr/bin/ssh")]
    [InlineData("policy: {rules: [{program: /a/***, type: fixed}]}", 3, 28, "'/a/***'", "an absolute path such as /usr/bin/ssh")]
    [InlineData("policy: {rules: [{cgroup: user.slice, type: fixed}]}", 3, 27, "'user.slice'", "the path of a cgroup below the root of its hierarchy")]
    [InlineData("policy: {rules: [{cgroup: /a//b, type: fixed}]}", 3, 27, "'/a//b'", "the path of a cgroup below the root of its hierarchy")]
    [InlineData("policy: {rules: [{cgroup: /a/, type: fixed}]}", 3, 27, "'/a/'", "the path of a cgroup below the root of its hierarchy")]
    [InlineData("policy: {rules: [{usr: a, type: fixed}]}", 3, 19, "the unknown key in a rule 'usr'", "'user', the nearest of protocol,")]
    [InlineData("policy: {rules: [{user: a}]}", 3, 18, "a rule with none of type, prefix, legacy", "exactly one of them")]
    [InlineData("policy: {inbound: [{user: a}]}", 3, 21, "the unknown key in an inbound rule 'user'", "one of type, protocol")]
    [InlineData("policy: {inbound: {type: fixed}}", 3, 19, "a map", "a list of rules")]
    [InlineData("policy: {inbound: [fixed]}", 3, 20, "'fixed'", "an inbound rule: a map with keys such as 'type'")]
    [InlineData("sockets: [{protocol: udp, local-port: 5}]", 3, 11, "a socket that asks for nothing", "'type', 'prefix' or 'preferences'")]
    [InlineData("sockets: [{protocol: udp, type: fixed}]", 3, 11, "a socket without 'local-port'", "the key 'local-port'")]
    [InlineData("sockets: [{local-port: 9, type: fixed}]", 3, 11, "a socket without 'protocol'", "the key 'protocol'")]
    [InlineData("sockets: [{protocol: udp, local-port: 5-6, type: fixed}]", 3, 39, "'5-6'", "a port from 0 to 65535")]
    [InlineData("sockets: [{protocol: udp, local-port: 5, type: fixed, prefix: '2001:db8:1::/64'}]", 3, 55, "'prefix' beside 'type'", "only one of them")]
    [InlineData("sockets: [{protocol: udp, local-port: 5, type: untyped}]", 3, 48, "the unknown type 'untyped'", "one of fixed")]
    [InlineData("sockets: [{at: 2s, close: 1s, protocol: udp, local-port: 5, type: fixed}]", 3, 27, "a socket that closes at 1s after it asks at 2s", "a time that is not earlier")]
    [InlineData("sockets: [{at: soon, protocol: udp, local-port: 5, type: fixed}]", 3, 16, "'soon'", "a time since the first packet such as 2.5s")]
    [InlineData("addresses: {neutral: sometimes}", 3, 22, "'sometimes'", "true, false or a list of types")]
    [InlineData("addresses: {secret: abc}", 3, 21, "'abc'", "an even number of hexadecimal digits")]
    [InlineData("addresses: {renew: {graceful: {}}}", 3, 31, "a renewal with neither 'after' nor 'bytes'", "at least one of them")]
    [InlineData("addresses: {renew: {graceful: {after: 0s}}}", 3, 39, "'0s'", "a duration above zero")]
    [InlineData("addresses: {renew: {graceful: {bytes: lots}}}", 3, 39, "'lots'", "a size above zero such as 1500")]
    [InlineData("addresses: {renew: {fixed: {after: 1h}}}", 3, 28, "a renewal of fixed addresses", "a Fixed address stays")]
    [InlineData("linger: 5", 3, 9, "'5'", "a duration such as 2.5s, 300ms")]
    [InlineData("pickup: yes", 3, 9, "'yes'", "true or false")]
    [InlineData("untranslatable: dorp", 3, 17, "the unknown treatment 'dorp'", "'drop', the nearest of pass, drop")]
    [InlineData("limits: {flows: 0}", 3, 17, "'0'", "a whole number from 1 to 268435456")]
    [InlineData("limits: {held-bytes: 2GiB}", 3, 22, "'2GiB'", "a size from 2KiB to 1GiB")]
    [InlineData("timers: {udp: 0s}", 3, 15, "'0s'", "a duration above zero")]
    [InlineData("timers: {upd: 5s}", 3, 10, "the unknown key in timers 'upd'", "'udp', the nearest")]
    [InlineData("labels: [{prefix: '::/0', precedence: 5}]", 3, 10, "a policy table entry without 'label'", "the key 'label'")]
    [InlineData("labels: [{prefix: '::/0', precedence: 5, label: 1}, {prefix: '::/0', precedence: 6, label: 2}]", 3, 53, "a second entry for ::/0", "one entry for each prefix")]
    [InlineData("profile: linus", 3, 10, "the unknown profile 'linus'", "'linux', the nearest of rfc6724, linux")]
    [InlineData("outside: {'2001:db8::5': 'fd00::9'}", 3, 26, "'fd00::9'", "one of the internal addresses")]
    [InlineData("outside: {'2001:db8::5': 'fd00::1', '2001:db8:0::5': 'fd00::1'}", 3, 37, "the typed address 2001:db8::5 a second time", "each typed address once")]
    [InlineData("outside: [1]", 3, 10, "a list", "a map from typed to internal addresses")]
    public void A_wrong_setting_is_named_with_its_place(string yaml, int line, int column, string found, string expected) =>
        AssertWrong(Frame + yaml + "\n", line, column, found, expected);

    [Theory]
    [InlineData("{at: 0s}", 12, "a network event with none of attach, withdraw, detach, advertise", "exactly one of them")]
    [InlineData("{attach: a}", 12, "a network event without 'at'", "the key 'at'")]
    [InlineData("{at: 0s, atach: a}", 21, "the unknown key in a network event 'atach'", "'attach', the nearest of at, attach")]
    [InlineData("{at: 0s, attach: a, detach: true}", 32, "'attach' and 'detach' in a network event", "exactly one of")]
    [InlineData("{at: 0s, detach: false}", 29, "'false'", "true")]
    [InlineData("{at: 0s, detach: true, window: 5s}", 35, "'window' beside 'detach'", "it to be left out")]
    [InlineData("{at: 0s, attach: a, window: 0s}", 40, "a window of '0s'", "a window above zero that ends")]
    [InlineData("{at: 0s, attach: a, window: infinite}", 40, "a window of 'infinite'", "a window above zero that ends")]
    [InlineData("{at: 0s, attach: a, authenticated: true}", 32, "'authenticated' beside 'attach'", "it to be left out")]
    [InlineData("{at: 0s, attach: \"a\\nb\"}", 29, "'a\uFFFDb'", "printable")]
    [InlineData("{at: -1s, attach: a}", 17, "'-1s'", "a time since the first packet")]
    [InlineData("{at: 0s, advertise: true}", 12, "a network event without 'prefixes'", "the key 'prefixes'")]
    [InlineData("{at: 0s, withdraw: '2001:db8:7::/64'}", 31, "the unknown prefix '2001:db8:7::/64'", "a prefix that the network gives")]
    [InlineData("{at: 0s, attach: a}, {at: 2s, detach: true}, {at: 1s, attach: b}", 57, "an event at 1s after one at 2s", "events in time order")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: 2001:db8::1/64}]}", 52, "'2001:db8::1/64' with bits set past its length", "'2001:db8::/64'")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: 2001:db8::/129}]}", 52, "the prefix length '129'", "a length from 0 to 128")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: 192.0.2.0/24}]}", 52, "'192.0.2.0/24'", "an IPv6 prefix such as")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: 'fe80::/64'}]}", 52, "'fe80::/64' as a prefix from the network", "a unicast prefix")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: 'fd00::1/128'}]}", 52, "the internal address fd00::1", "an address that is not internal")]
    [InlineData("{at: 0s, attach: a, prefixes: [{type: fixed}]}", 43, "a prefix without 'prefix'", "the key 'prefix'")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: '2001:db8::/64', preferred: 2h, valid: 1h}]}", 80, "a preferred lifetime of 2h above the valid lifetime of 1h", "preferred not above valid")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: '2001:db8::/64', valid: 0s}]}", 76, "a valid lifetime of zero", "a lifetime above zero")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: '2001:db8::7/128'}, {prefix: '2001:db8::7'}]}", 72, "the prefix 2001:db8::7/128 a second time", "each prefix once")]
    [InlineData("{at: 0s, attach: a, prefixes: [{prefix: '2001:db8::7/128', type: fixed}]}, {at: 1s, attach: b, prefixes: [{prefix: '2001:db8::7/128', type: graceful}]}", 127, "the prefix 2001:db8::7/128 as graceful-replacement after it was fixed", "one type for each prefix")]
    public void A_wrong_network_event_is_named_with_its_place(string events, int column, string found, string expected) =>
        AssertWrong($"internal: [fd00::1]\nnetwork:  [{events}]\n", 2, column, found, expected);

    [Theory]
    [InlineData("", 1, 1, "an empty file", "'internal' and 'network'")]
    [InlineData("# nothing\n", 1, 1, "an empty file", "'internal' and 'network'")]
    [InlineData("hello\n", 1, 1, "'hello'", "a map with keys such as 'seed'")]
    [InlineData("seed: 5\n", 1, 1, "a scenario without 'internal'", "the key 'internal'")]
    [InlineData("internal: [fd00::1]\n", 1, 1, "a scenario without 'network'", "the key 'network'")]
    [InlineData("internal: []\nnetwork: []\n", 1, 11, "an empty list", "at least one address")]
    [InlineData("internal: [fd00::1]\nnetwork: []\n", 2, 10, "an empty list", "at least one event")]
    [InlineData("internal: fd00::1\nnetwork: []\n", 1, 11, "'fd00::1'", "a list of at least one address")]
    [InlineData("internal: [fe80::1]\nnetwork: []\n", 1, 12, "'fe80::1' as an internal address", "neither link-local nor loopback")]
    [InlineData("internal: [fd00::1, fd00::1]\nnetwork: []\n", 1, 21, "'fd00::1' a second time", "each internal address once")]
    public void A_wrong_whole_is_named_with_its_place(string yaml, int line, int column, string found, string expected) =>
        AssertWrong(yaml, line, column, found, expected);

    [Theory]
    [InlineData("a: &x [1]\nb: *x\n", 1, 4, "a YAML anchor")]
    [InlineData("a: *x\n", 1, 4, "a YAML alias")]
    [InlineData("a: !!python/object:os.system [x]\n", 1, 4, "a YAML tag")]
    [InlineData("{a: 1}\n---\n{b: 2}\n", 2, 1, "a second YAML document")]
    [InlineData("? [a]\n: 1\n", 1, 3, "a list as a key")]
    [InlineData("a: [1\n", 2, 1, "broken YAML")]
    [InlineData("a: \"unfinished\n", 1, 4, "broken YAML")]
    [InlineData("a:\tb: c: d\n", 1, 5, "broken YAML")]
    [InlineData("a: @\n", 1, 4, "broken YAML")]
    public void Yaml_that_a_scenario_must_not_hold_is_refused(string yaml, int line, int column, string found)
    {
        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReaderTests.Parse(yaml));

        Assert.Equal((line, column), (wrong.Line, wrong.Column));
        Assert.Contains(found, wrong.Message, StringComparison.Ordinal);
        AssertOneSentence(wrong);
    }

    [Fact]
    public void A_bomb_of_aliases_is_refused_at_its_first_anchor()
    {
        var bomb = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (int i = 1; i < 20; i++)
        {
            bomb.AppendLine($"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]");
        }

        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReaderTests.Parse(bomb.ToString()));

        Assert.Equal((1, 5), (wrong.Line, wrong.Column));
    }

    [Theory]
    [InlineData("[")]
    [InlineData("{a: ")]
    [InlineData("- ")]
    public void Deep_nesting_is_refused_without_exhausting_the_stack(string opening)
    {
        string deep = string.Concat(Enumerable.Repeat(opening, 200_000 / opening.Length));

        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReaderTests.Parse(deep));

        AssertOneSentence(wrong);
    }

    [Fact]
    public void A_file_above_the_limit_is_refused_and_not_read_further()
    {
        using var endless = new EndlessStream();

        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReader.Load("-", endless));

        Assert.Contains("at most 1 MiB", wrong.Message, StringComparison.Ordinal);
        Assert.InRange(endless.Given, ScenarioTree.LargestFile, ScenarioTree.LargestFile + 1);
    }

    [Fact]
    public void Octets_that_are_not_utf8_are_named_with_their_place()
    {
        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReader.Parse("x", [.. "seed: 1\nab: "u8, 0xff, 0xfe]));

        Assert.Equal((2, 5), (wrong.Line, wrong.Column));
        Assert.Contains("not UTF-8", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_order_mark_is_no_error() =>
        Assert.Equal(7UL, ScenarioReader.Parse("x", [0xef, 0xbb, 0xbf, .. Encoding.UTF8.GetBytes(Frame + "seed: 7\n")]).Seed);

    [Fact]
    public void What_was_found_never_breaks_the_sentence()
    {
        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReaderTests.Parse(Frame + "seed: \"\\e[31m" + new string('x', 500) + "\"\n"));

        AssertOneSentence(wrong);
        Assert.DoesNotContain('\u001b', wrong.Message);
        Assert.InRange(wrong.Message.Length, 1, 200);
    }

    [Fact]
    public void No_file_gives_anything_but_a_scenario_or_a_sentence() =>
        Prop.ForAll<int, int, char>((where, length, replacement) =>
        {
            // A valid file with some of its characters cut out and another put in.
            string valid = ScenarioWriterTests.EverySetting;
            int start = (int)((uint)where % valid.Length);
            int end = Math.Min(valid.Length, start + (int)((uint)length % 12));
            string mutated = valid[..start] + (char.IsSurrogate(replacement) ? '{' : replacement) + valid[end..];
            try
            {
                return ScenarioReaderTests.Parse(mutated).Internal.Count > 0;
            }
            catch (ScenarioException wrong)
            {
                AssertOneSentence(wrong);
                return wrong.Line >= 1 && wrong.Column >= 1;
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));

    private static void AssertWrong(string yaml, int line, int column, string found, string expected)
    {
        ScenarioException wrong = Assert.Throws<ScenarioException>(() => ScenarioReaderTests.Parse(yaml));

        Assert.StartsWith($"lab.yaml:{line}:{column}: found ", wrong.Message, StringComparison.Ordinal);
        Assert.Contains(found, wrong.Message, StringComparison.Ordinal);
        Assert.Contains(expected, wrong.Message[wrong.Message.IndexOf(", expected ", StringComparison.Ordinal)..], StringComparison.Ordinal);
        Assert.Equal((line, column, "lab.yaml"), (wrong.Line, wrong.Column, wrong.File));
        AssertOneSentence(wrong);
    }

    private static void AssertOneSentence(ScenarioException wrong)
    {
        Assert.DoesNotContain('\n', wrong.Message);
        Assert.EndsWith(".", wrong.Message, StringComparison.Ordinal);
    }

    private sealed class EndlessStream : Stream
    {
        public long Given { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count)
        {
            buffer.AsSpan(offset, count).Fill((byte)'#');
            Given += count;
            return count;
        }

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
