using OnDemand.Captures.Scenarios;
using OnDemand.Captures.Tests.Files;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>Every capture at hand, replayed without a move, before an oracle that shares no code with this project.</summary>
public sealed class JudgeTests
{
    /// <summary>
    /// What the oracle demands to be rewritten and the engine drops by rule. Here a router, taken for the host, sends errors about packets
    /// that it forwarded and never had a flow for: an error without a flow is dropped silently (RFC 5508 §4.2, REQ-4 and REQ-5).
    /// </summary>
    private static readonly Dictionary<string, int> DroppedByRule = new(StringComparer.Ordinal) { ["icmp-errors/input.pcapng fd00:db8::ff"] = 13 };

    [Fact]
    public async Task Every_capture_under_the_scenario_that_inspect_writes_is_rewritten_as_the_oracle_demands()
    {
        Judge.SkipUnlessThere();
        using Judge judge = new();
        foreach (JudgedCapture capture in JudgedCapture.All())
        {
            if (await capture.InspectedAsync() is { } scenario)
            {
                bool damaged = await capture.IsDamagedAsync();
                judge.Add(capture.Name, capture.Octets, await RunAsync(capture, scenario, outside: false), strict: !damaged, tshark: !damaged);
            }
        }

        IReadOnlyList<Judgment> judgments = await judge.AskAsync();

        Assert.True(judgments.Count > 20, $"Only {judgments.Count} captures gave a scenario.");
        Assert.True(judgments.Sum(judgment => judgment.Rewritten) > 2_000, "Hardly anything was rewritten.");
        AssertAllOk(judgments);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_address_of_every_capture_is_rewritten_as_the_oracle_demands(bool outside)
    {
        Judge.SkipUnlessThere();
        using Judge judge = new();
        foreach (JudgedCapture capture in JudgedCapture.All())
        {
            bool damaged = await capture.IsDamagedAsync();
            foreach (IpAddress address in await capture.AddressesAsync())
            {
                Scenario scenario = outside ? JudgedCapture.Outside(address) : JudgedCapture.Inside(address);
                string name = $"{capture.Name} {address}";
                bool drops = DroppedByRule.TryGetValue(name, out int dropped);
                ReplayOf replay = await RunAsync(capture, scenario, outside);
                judge.Add(name, capture.Octets, replay, strict: !damaged && !drops, moves: drops);
                Assert.Equal(dropped, replay.Report.DropReasons.Where(reason => reason.Name == "error-without-flow").Sum(reason => reason.Count));
                Assert.Equal(dropped, replay.Report.Totals.Dropped);
            }
        }

        IReadOnlyList<Judgment> judgments = await judge.AskAsync();

        Assert.True(judgments.Count > 60, $"Only {judgments.Count} addresses.");
        Assert.True(judgments.Sum(judgment => judgment.Rewritten) > 5_000, "Hardly anything was rewritten.");
        AssertAllOk(judgments);
    }

    [Fact]
    public async Task A_capture_without_the_internal_address_comes_out_as_it_went_in()
    {
        foreach (JudgedCapture capture in JudgedCapture.All())
        {
            ReplayOf replay = await RunAsync(capture, JudgedCapture.Inside(IpAddress.Parse("fdff::dead")), outside: false);

            int sound = (int)(replay.Result.Damage?.Offset ?? capture.Octets.Length);
            Assert.True(capture.Octets.AsSpan(0, sound).SequenceEqual(replay.Output), capture.Name);
            Assert.Equal(replay.Output, replay.Host);
        }
    }

    [Fact]
    public async Task The_oracle_refuses_an_output_with_one_wrong_octet_anywhere()
    {
        Judge.SkipUnlessThere();
        JudgedCapture capture = JudgedCapture.All().Single(candidate => candidate.Name == "web-download/input.pcap");
        ReplayOf replay = await RunAsync(capture, JudgedCapture.Inside(IpAddress.Parse("fd00:db8::1")), outside: false);
        using Judge judge = new();
        judge.Add("whole", capture.Octets, replay, strict: true);
        int[] places = [40 + 14 + 8, 40 + 14 + 24, 40 + 14 + 56, 40 + 14 + 41, 40 + 14 + 7, 24 + 4, replay.Output.Length - 1];
        foreach (int place in places)
        {
            replay.Output[place] ^= 1;
            judge.Add($"octet {place}", capture.Octets, replay, strict: true);
            replay.Output[place] ^= 1;
        }

        IReadOnlyList<Judgment> judgments = await judge.AskAsync();

        Assert.Equal(["whole"], judgments.Where(judgment => judgment.Ok).Select(judgment => judgment.Name));
        Assert.Equal(places.Length + 1, judgments.Count);
    }

    [Fact]
    public async Task The_oracle_sees_the_errors_that_it_is_seeded_with()
    {
        Judge.SkipUnlessThere();
        Assert.SkipWhen(await IsMissingAsync("tshark", "--version"), "tshark is not installed.");

        // Where several are installed, Debian's package is only in Debian's own.
        string? python = null;
        foreach (string candidate in (string[])["python3", "/usr/bin/python3"])
        {
            string? scapy = await Tool.RunAsync(candidate, "-c", "import importlib.util as u; print('there' if u.find_spec('scapy') else 'missing')");
            python ??= scapy?.Trim() == "there" ? candidate : null;
        }

        Assert.SkipWhen(python is null, "python3-scapy is not installed.");

        string? output = await Tool.RunAsync(python!, "-B", Path.Combine(Shared.Oracles!, "check_replay.py"), "--self-test");

        Assert.NotEmpty(output!);
    }

    private static async Task<bool> IsMissingAsync(string program, string argument) => await Tool.RunAsync(program, argument) is null;

    private static Task<ReplayOf> RunAsync(JudgedCapture capture, Scenario scenario, bool outside) =>
        ReplayOf.RunAsync(new MemoryStream(capture.Octets), scenario, options => options with { Input = "in", TakenOutside = outside });

    private static void AssertAllOk(IReadOnlyList<Judgment> judgments)
    {
        Judgment[] refused = [.. judgments.Where(judgment => !judgment.Ok)];
        Assert.True(refused.Length == 0, $"{refused.Length} of {judgments.Count} refused:\n{string.Join('\n', refused.Take(80))}");
    }
}
