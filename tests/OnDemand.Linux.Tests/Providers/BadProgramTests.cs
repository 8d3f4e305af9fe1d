using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Providers;
using Xunit;

namespace OnDemand.Linux.Tests.Providers;

/// <summary>Programs that do everything wrong: the engine's thread goes on, memory stays bounded, the user is told and not flooded.</summary>
public sealed class BadProgramTests
{
    private const string Idle = "while read -r line; do echo \"$line\" >>\"$1\"; done";

    [Fact]
    public async Task Every_line_of_garbage_is_answered_and_few_are_told()
    {
        await using var rig = new ProviderRig($"yes 'no JSON' 2>/dev/null | head -n 200; {Idle}");
        await rig.UntilAsync(() => rig.Log.Count(line => line.Contains("error", StringComparison.Ordinal)) == 200);
        Assert.Equal(
            Enumerable.Range(1, 200),
            rig.Log.Where(line => line.Contains("error", StringComparison.Ordinal))
                .Select(line => ProviderRig.Parse(line).GetProperty("line").GetInt32()));
        Assert.Equal(200, rig.Provider.Mistakes);
        Assert.Equal(3, rig.Said.Length);             // the first, the tenth, the hundredth
        Assert.Empty(rig.News);
    }

    [Fact]
    public async Task A_flood_of_garbage_from_one_that_reads_nothing_harms_nobody()
    {
        await using var rig = new ProviderRig("yes 'no JSON' 2>/dev/null | head -n 100000; sleep 60");
        await rig.UntilAsync(() => rig.Said.Count(sentence => sentence.Contains("that cannot be used", StringComparison.Ordinal)) == 6);
        Assert.Equal(100_000, rig.Provider.Mistakes);
        Assert.Empty(rig.News);
    }

    [Fact]
    public async Task A_flood_of_right_lines_waits_for_the_engine_and_none_is_lost()
    {
        const int count = 100_000;
        await using var rig = new ProviderRig($$"""yes '{"withdraw": "2001:db8::/64"}' 2>/dev/null | head -n {{count}}; {{Idle}}""");
        await rig.UntilAsync(() => rig.News.Count == count);
        Assert.All(rig.News, news => Assert.IsType<WithdrawEvent>(news.Network));
        Assert.Equal(0, rig.Provider.Mistakes);
    }

    [Fact]
    public async Task A_line_without_end_is_refused_once_and_the_next_is_read()
    {
        await using var rig = new ProviderRig($$"""head -c 5000000 /dev/zero; echo; echo '{"withdraw": "2001:db8::/64"}'; {{Idle}}""");
        await rig.UntilAsync(() => rig.News.Count == 1);
        Assert.Equal(1, rig.Provider.Mistakes);
        await rig.UntilAsync(() => rig.Log.Any(line => line.Contains("expected at most 65536 octets", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task One_that_closes_its_output_is_ended_and_started_again()
    {
        await using var rig = new ProviderRig("echo here >>\"$1\"; exec >&-; sleep 60", asksAgain: "50ms");
        await rig.UntilAsync(() => rig.Log.Length >= 2);
        Assert.Contains("closed its output; it is started again", rig.Said[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_ends_at_once_is_started_ever_less_often_and_told_once()
    {
        await using var rig = new ProviderRig("exit 1", asksAgain: "50ms");
        int question = rig.Ask(AddressType.Fixed, seconds: 1);
        await rig.UntilAsync(() => rig.Provider.Ends >= 4);
        Assert.Single(rig.Said);
        Assert.DoesNotContain(rig.News, news => news.Answer is { } answer && answer.Id != question);
    }

    [Fact]
    public async Task One_that_cannot_be_run_is_told()
    {
        await using var rig = new ProviderRig("true", program: "no program at all");
        await rig.UntilAsync(() => rig.Provider.Ends >= 2);
        Assert.Contains("cannot be started", Assert.Single(rig.Said), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_it_complains_of_comes_line_by_line_without_control_characters()
    {
        await using var rig = new ProviderRig($"printf 'one\\ntwo \\033[31mred\\n' >&2; {Idle}");
        await rig.UntilAsync(() => rig.Said.Length == 2);
        Assert.Equal(["provider: one", "provider: two  [31mred"], rig.Said);
    }

    [Fact]
    public async Task One_that_never_reads_cannot_stop_the_engine_from_telling_it()
    {
        await using var rig = new ProviderRig("echo '{\"withdraw\": \"2001:db8::/64\"}'; sleep 60");
        await rig.UntilAsync(() => rig.News.Count == 1);
        for (int i = 0; i < 100_000; i++)
        {
            rig.Provider.Follow(new EngineEvent { Kind = EngineEventKind.Detached, Flow = -1 }, null);
        }

        Assert.Contains("does not read what it is told", Assert.Single(rig.Said), StringComparison.Ordinal);
    }

    [Fact]
    public void A_program_that_is_not_there_is_named_before_anything_begins()
    {
        HostException refusal = Assert.Throws<HostException>(() => new ScriptProvider(
            new ProviderSettings { Command = ["/nowhere/provider"] }, new Scenario(), new OnDemand.Dataplane.DataplaneOptions(), _ => { }));
        Assert.Contains("/nowhere/provider", refusal.Message, StringComparison.Ordinal);
    }
}
