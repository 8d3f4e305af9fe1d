using System.Text;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Providers;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

public sealed class ProviderReaderTests
{
    private static readonly string[] Right =
    [
        """{"answer": 7, "grant": {"prefix": "2001:db8:51:2::/64", "type": "session-lasting", "preferred": "30m", "valid": "1h", "home": true}}""",
        """{"answer": 7, "refuse": true}""",
        """{"answer": 7, "unsupported": true}""",
        """{"withdraw": "2001:db8:51:2::/64", "window": "10s"}""",
        """{"advertise": [{"prefix": "2001:db8:51:2::/64", "type": "fixed", "valid": "2h"}], "authenticated": true}""",
        """{"attach": "ar2", "prefixes": [{"prefix": "2001:db8:a2::/64", "type": "nonpersistent"}], "window": "5s"}""",
        """{"detach": true}""",
    ];

    private static readonly ProviderReader Reader = new([IpPrefix.Parse("fd00:db8::1")], mayMove: true, mostPrefixes: 4);

    [Fact]
    public void Answers_are_read_with_all_that_they_say()
    {
        ProviderMessage grant = Read(Right[0]);
        Assert.Equal((7, PrefixAnswerKind.Granted), (grant.Number, grant.Kind));
        Assert.Null(grant.Unasked);
        Assert.Equal(
            new PrefixAdvertisement(
                IpPrefix.Parse("2001:db8:51:2::/64"), AddressType.SessionLasting, Duration.FromSeconds(1800), Duration.FromSeconds(3600), true),
            grant.Prefix);
        Assert.Equal((7, PrefixAnswerKind.Refused), (Read(Right[1]).Number, Read(Right[1]).Kind));
        Assert.Equal(PrefixAnswerKind.Unsupported, Read(Right[2]).Kind);
    }

    [Fact]
    public void What_the_network_does_unasked_is_read_as_a_scenario_has_it()
    {
        var withdrawal = Assert.IsType<WithdrawEvent>(Read(Right[3]).Unasked);
        Assert.Equal((IpPrefix.Parse("2001:db8:51:2::/64"), Duration.FromSeconds(10)), (withdrawal.Prefix, withdrawal.Window));
        var advertisement = Assert.IsType<AdvertiseEvent>(Read(Right[4]).Unasked);
        Assert.True(advertisement.Authenticated);
        Assert.Equal(Duration.FromSeconds(7200), Assert.Single(advertisement.Prefixes).ValidLifetime);
        var attachment = Assert.IsType<AttachEvent>(Read(Right[5]).Unasked);
        Assert.Equal(("ar2", Duration.FromSeconds(5)), (attachment.Name, attachment.Window));
        Assert.IsType<DetachEvent>(Read(Right[6]).Unasked);
    }

    [Theory]
    [InlineData("""{"answer": 0, "refuse": true}""", "the number of a request")]
    [InlineData("""{"answer": 7}""", "none of grant, refuse, unsupported")]
    [InlineData("""{"answer": 7, "refuse": false}""", "expected true")]
    [InlineData("""{"answer": 7, "refuse": true, "unsupported": true}""", "exactly one")]
    [InlineData("""{"answer": 7, "refuse": true, "window": "1s"}""", "'window' beside 'answer'")]
    [InlineData("""{"answer": 7, "grant": {"prefix": "2001:db8::/64"}}""", "a grant without a type")]
    [InlineData("""{"answer": 7, "grant": {"prefix": "2001:db8::/64", "type": "fixd"}}""", "'fixed'")]
    [InlineData("""{"answer": 7, "grant": {"prefix": "fe80::/64", "type": "fixed"}}""", "neither link-local")]
    [InlineData("""{"answer": 7, "grant": {"prefix": "fd00:db8::1", "type": "fixed"}}""", "the internal address")]
    [InlineData("""{"answer": 7, "grant": {"prefix": "2001:db8::/64", "type": "fixed", "valid": "0s"}}""", "a lifetime above zero")]
    [InlineData("""{"anwser": 7, "refuse": true}""", "'answer', the nearest")]
    [InlineData("""{"withdraw": "2001:db8::1/64"}""", "bits set past its length")]
    [InlineData("""{"advertise": []}""", "at least one prefix")]
    [InlineData("""{"detach": false}""", "expected true")]
    [InlineData("""{"attach": "ar2", "at": "5s"}""", "unknown key")]
    [InlineData("""{"withdraw": "2001:db8::/64", "grant": {}}""", "'grant' beside 'withdraw'")]
    [InlineData("""{"detach": true} {"detach": true}""", "broken JSON")]
    [InlineData("[]", "a message")]
    [InlineData("hello", "broken JSON")]
    public void A_wrong_line_is_refused_with_a_sentence(string line, string expected)
    {
        ScenarioException refusal = Assert.Throws<ScenarioException>(() => Read(line));
        Assert.Contains(expected, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Only_a_program_that_may_moves_the_host()
    {
        var reader = new ProviderReader([], mayMove: false, mostPrefixes: 4);
        foreach (string line in Right[5..])
        {
            ScenarioException refusal = Assert.Throws<ScenarioException>(() => reader.Read(Encoding.UTF8.GetBytes(line)));
            Assert.Contains("'moves: true'", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void No_line_has_more_prefixes_than_there_is_room_for()
    {
        IEnumerable<string> five = Enumerable.Range(1, 5).Select(i => $$"""{"prefix": "2001:db8:{{i}}::/64", "type": "fixed"}""");
        string list = string.Join(",", five);
        Assert.Contains("5 prefixes", Assert.Throws<ScenarioException>(() => Read($$"""{"advertise": [{{list}}]}""")).Message, StringComparison.Ordinal);
        Assert.Contains(
            "5 prefixes", Assert.Throws<ScenarioException>(() => Read($$"""{"attach": "x", "prefixes": [{{list}}]}""")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_hundred_thousand_broken_lines_are_read_or_refused_and_nothing_else()
    {
        var random = new Random(8653);
        int read = 0;
        int refused = 0;
        for (int i = 0; i < 100_000; i++)
        {
            byte[] line = Encoding.UTF8.GetBytes(Right[random.Next(Right.Length)]);
            for (int changes = random.Next(4); changes > 0; changes--)
            {
                int at = random.Next(line.Length);
                line = random.Next(3) switch
                {
                    0 => [.. line[..at], .. line[(at + 1)..], (byte)'}'],
                    1 => [.. line[..at], (byte)random.Next(256), .. line[at..]],
                    _ => [.. line[..at], (byte)(line[at] ^ (1 << random.Next(8))), .. line[(at + 1)..]],
                };
            }

            try
            {
                _ = Reader.Read(line);
                read++;
            }
            catch (ScenarioException refusal)
            {
                Assert.NotEmpty(refusal.Message);
                refused++;
            }
        }

        Assert.True(read > 10_000 && refused > 10_000, $"{read} read and {refused} refused show little.");
    }

    [Fact]
    public void Lines_are_cut_in_the_same_places_however_their_octets_come()
    {
        byte[] text = Encoding.ASCII.GetBytes("one\n\ntwo two\n0123456789\n01234567890\nthree\nrest");
        string[] expected = ["one", "", "two two", "0123456789", "(too long)", "three"];
        for (int step = 1; step <= text.Length; step++)
        {
            var reader = new LineReader(10);
            List<string> lines = [];
            for (int at = 0; at < text.Length; at += step)
            {
                reader.Add(
                    text.AsSpan(at, Math.Min(step, text.Length - at)),
                    (line, isTooLong) => lines.Add(isTooLong ? "(too long)" : Encoding.ASCII.GetString(line)));
            }

            Assert.Equal(expected, lines);
            Assert.True(reader.IsInside);
        }
    }

    private static ProviderMessage Read(string line) => Reader.Read(Encoding.UTF8.GetBytes(line));
}
