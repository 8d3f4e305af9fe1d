using System.Diagnostics;
using System.Text.Json;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Providers;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

public sealed class ScriptProviderTests
{
    private const string Granted = "2001:db8:51:2::/64";

    // Notes every line and answers requests: the number is what stands between the first colon and the first comma.
    private const string Notes = """while read -r line; do echo "$line" >>"$1"; case "$line" in *'"request"'*) n=${line#*:}; n=${n%%,*}; """;

    private const string Grants =
        Notes + """echo "{\"answer\":$n,\"grant\":{\"prefix\":\"2001:db8:51:2::/64\",\"type\":\"session-lasting\"}}";; esac; done""";

    private static readonly IpPrefix Prefix = IpPrefix.Parse(Granted);

    [Fact]
    public async Task A_request_is_granted_and_what_is_released_is_told()
    {
        await using var rig = new ProviderRig(Grants);
        rig.Engine = news => rig.Grant(news.Answer!.Value.Id, Prefix);
        int question = rig.Ask(AddressType.SessionLasting);
        await rig.UntilAsync(() => rig.News.Count == 1);
        Assert.Equal(
            new PrefixAnswer(question, PrefixAnswerKind.Granted, new PrefixAdvertisement(Prefix, AddressType.SessionLasting)),
            rig.News[0].Answer);

        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Attached, Flow = -1 }, "ar1");
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.PrefixEnded, Prefix = Prefix, Flow = -1 }, "ar1");
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.PrefixEnded, Prefix = IpPrefix.Parse("2001:db8:1::/64"), Flow = -1 }, "ar1");
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Detached, Flow = -1 }, null);

        await rig.UntilAsync(() => rig.Log.Length == 5);
        Assert.Equal("""{"hello":1,"prefixes":[]}""", rig.Log[0]);
        Assert.Equal(
            ("session-lasting", false, 1),
            (ProviderRig.Parse(rig.Log[1]).GetProperty("type").GetString(), ProviderRig.Parse(rig.Log[1]).GetProperty("on-net").GetBoolean(),
                ProviderRig.Parse(rig.Log[1]).GetProperty("attempt").GetInt32()));
        Assert.InRange(ProviderRig.Parse(rig.Log[1]).GetProperty("deadline").GetDouble(), 0.1, 10.0);
        Assert.Equal(["""{"attached":"ar1"}""", $$"""{"released":"{{Granted}}"}""", """{"detached":true}"""], rig.Log[2..]);
        Assert.Empty(rig.Said);
    }

    [Fact]
    public async Task A_grant_that_the_engine_has_no_use_for_is_given_back()
    {
        await using var rig = new ProviderRig(Grants);
        rig.Ask(AddressType.SessionLasting);
        await rig.UntilAsync(() => rig.Log.Contains($$"""{"released":"{{Granted}}"}"""));
        Assert.Single(rig.News);
    }

    [Fact]
    public async Task Late_and_double_answers_reach_nobody_and_their_prefixes_are_given_back()
    {
        const string second = """echo "{\"answer\":$n,\"grant\":{\"prefix\":\"2001:db8:51:3::/64\",\"type\":\"session-lasting\"}}"; """;
        await using var rig = new ProviderRig(Grants.Replace(";; esac", "; " + second + """echo "{\"answer\":$n,\"refuse\":true}";; esac""", StringComparison.Ordinal));
        rig.Engine = news => rig.Grant(news.Answer!.Value.Id, Prefix);
        rig.Ask(AddressType.SessionLasting);
        await rig.UntilAsync(() => rig.Provider.Late == 2);
        await rig.UntilAsync(() => rig.Log.Contains("""{"released":"2001:db8:51:3::/64"}"""));
        Assert.Equal(Prefix, Assert.Single(rig.News).Answer!.Value.Prefix.Prefix);
        Assert.DoesNotContain($$"""{"released":"{{Granted}}"}""", rig.Log);
    }

    // It answers the first request only when it is asked the second time: with what belongs to the place that the host has left.
    [Fact]
    public async Task What_the_place_that_was_left_still_grants_comes_too_late_and_the_new_one_is_asked()
    {
        const string left = """{\"answer\":1,\"grant\":{\"prefix\":\"2001:db8:a1:7::/64\",\"type\":\"nonpersistent\"}}""";
        const string come = """{\"answer\":2,\"grant\":{\"prefix\":\"2001:db8:a2:7::/64\",\"type\":\"nonpersistent\"}}""";
        await using var rig = new ProviderRig(Notes + $"""[ $n = 1 ] || echo "{left}"; [ $n = 1 ] || echo "{come}";; esac; done""");
        rig.Engine = news => rig.Grant(news.Answer!.Value.Id, news.Answer.Value.Prefix.Prefix);
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Attached, Flow = -1 }, "ar1");
        int question = rig.Ask(AddressType.Nonpersistent);
        await rig.UntilAsync(() => rig.Log.Any(line => line.Contains("request", StringComparison.Ordinal)));

        // The same place once more is no move.
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Attached, Flow = -1, Time = ProviderRig.Now }, "ar1");
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Attached, Flow = -1, Time = ProviderRig.Now }, "ar2");

        await rig.UntilAsync(() => rig.News.Count == 1);
        Assert.Equal((question, IpPrefix.Parse("2001:db8:a2:7::/64")), (rig.News[0].Answer!.Value.Id, rig.News[0].Answer!.Value.Prefix.Prefix));
        await rig.UntilAsync(() => rig.Log.Contains("""{"released":"2001:db8:a1:7::/64"}"""));
        Assert.Equal(1, rig.Provider.Late);
        Assert.Single(rig.Log, """{"cancel":1}""");
    }

    [Fact]
    public async Task A_silent_program_is_asked_again_then_told_that_nobody_waits_and_the_question_is_refused()
    {
        await using var rig = new ProviderRig("""while read -r line; do echo "$line" >>"$1"; done""", timeout: "4s", asksAgain: "50ms");
        await rig.UntilAsync(() => rig.Log.Length == 1);
        int question = rig.Ask(AddressType.Fixed);
        await rig.UntilAsync(() => rig.News.Count > 0);
        Assert.Equal(new ProviderNews(new PrefixAnswer(question, PrefixAnswerKind.Refused, default), IsSilence: true), Assert.Single(rig.News));
        await rig.UntilAsync(() => rig.Log[^1] == """{"cancel":1}""");
        Assert.Equal(
            Enumerable.Range(1, rig.Log.Length - 2),
            rig.Log[1..^1].Select(line => ProviderRig.Parse(line).GetProperty("attempt").GetInt32()));
        Assert.True(rig.Log.Length >= 5, $"It was asked {rig.Log.Length - 2} times only.");
    }

    [Fact]
    public async Task The_engines_own_patience_needs_no_refusal()
    {
        await using var rig = new ProviderRig("""while read -r line; do echo "$line" >>"$1"; done""");
        rig.Ask(AddressType.Fixed, seconds: 0.3);
        await rig.UntilAsync(() => rig.Log.Contains("""{"cancel":1}"""));
        Assert.Empty(rig.News);
    }

    [Fact]
    public async Task A_program_that_dies_with_a_request_is_started_again_and_asked_again()
    {
        await using var rig = new ProviderRig(Notes + """[ -e "$1.once" ] || { touch "$1.once"; exit 3; }; echo "{\"answer\":$n,\"unsupported\":true}";; esac; done""", asksAgain: "50ms");
        int question = rig.Ask(AddressType.Fixed);
        await rig.UntilAsync(() => rig.News.Count == 1);
        Assert.Equal(new PrefixAnswer(question, PrefixAnswerKind.Unsupported, default), rig.News[0].Answer);
        Assert.Contains("ended with status 3; it is started again", Assert.Single(rig.Said), StringComparison.Ordinal);
        Assert.Equal(2, rig.Log.Count(line => line.Contains("hello", StringComparison.Ordinal)));
        JsonElement[] requests = [.. rig.Log.Where(line => line.Contains("request", StringComparison.Ordinal)).Select(ProviderRig.Parse)];
        Assert.True(requests.Length >= 2);
        Assert.All(requests, request => Assert.Equal(1, request.GetProperty("request").GetInt32()));
    }

    [Fact]
    public async Task What_the_host_has_of_the_provider_is_told_to_the_program_that_takes_over()
    {
        await using var rig = new ProviderRig("echo $$ >\"$1.pid\"; " + Grants);
        rig.Engine = news => rig.Grant(news.Answer!.Value.Id, Prefix);
        rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Attached, Flow = -1 }, "ar1");
        rig.Ask(AddressType.SessionLasting);
        await rig.UntilAsync(() => rig.News.Count == 1);
        rig.Turn();                                  // the grant is settled
        using (var program = Process.GetProcessById(await rig.ProgramIdAsync()))
        {
            program.Kill();
        }

        await rig.UntilAsync(() => rig.Log.Contains($$"""{"hello":1,"attached":"ar1","prefixes":["{{Granted}}"]}"""));
        Assert.Equal(1, rig.Provider.Ends);
    }

    [Fact]
    public async Task What_it_does_unasked_is_done_unless_it_may_not()
    {
        const string script = """
            echo '{"withdraw": "2001:db8:51:2::/64"}'
            echo '{"attach": "ar2", "prefixes": []}'
            echo '{"answer": 99, "refuse": true}'
            while read -r line; do echo "$line" >>"$1"; done
            """;
        await using var mayNot = new ProviderRig(script);
        await mayNot.UntilAsync(() => mayNot.Log.Count(line => line.Contains("error", StringComparison.Ordinal)) == 2);
        Assert.IsType<WithdrawEvent>(Assert.Single(mayNot.News).Network);
        Assert.Equal(2, mayNot.Provider.Mistakes);
        Assert.Single(mayNot.Said);

        await using var may = new ProviderRig(script, moves: true);
        await may.UntilAsync(() => may.News.Count == 2 && may.Provider.Mistakes == 1);
        Assert.Equal("ar2", Assert.IsType<AttachEvent>(may.News[1].Network).Name);
    }
}
