using System.Net.Sockets;
using System.Text.Json;
using OnDemand.Linux.Control;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Lab;
using OnDemand.Linux.Programs;

namespace OnDemand.LabTests;

/// <summary>
/// What can happen to a socket, a host or a dataplane while <c>setsc()</c> waits for the network: many times each, at other moments each time,
/// from a fixed seed. Whatever the moment, the caller gets one of the answers that setsc.h names, and nothing is kept for nobody.
/// </summary>
public sealed class RaceTests
{
    private const int Port = 7009;
    private const string FirstPlace = "2001:db8:a1:7:";
    private const string SecondPlace = "2001:db8:a2:7:";

    // The network takes its time, and gives what belongs to where it was asked. Nothing lingers, so that each round has to ask.
    private const string Scenario = """
        seed: 42
        internal: [fd00:db8::1]
        linger: 50ms
        network:
          - {at: 0s, attach: ar1, prefixes: [{prefix: 2001:db8:f1::7/128, type: fixed}]}
          - {at: 10s, attach: ar2, window: 100ms, prefixes: [{prefix: 2001:db8:f1::7/128, type: fixed}]}
        on-demand:
          session-lasting:
            - {answer: grant, prefix: 2001:db8:51:2::/64}
            - {answer: grant, prefix: 2001:db8:51:3::/64}
          nonpersistent:
            - {answer: grant, prefix: 2001:db8:a1:7::/64}
            - {answer: grant, prefix: 2001:db8:a2:7::/64}
        policy: {default: legacy}
        """;

    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    // Results of setsc.h that a caller may get when its dataplane ends: EAI_REQUIREDIPFAILED, ECONNRESET, ECONNREFUSED; and the address, if it
    // was there before.
    private static readonly string[] WhenDataplaneEnds = ["0", Told.Failed, "104", "111"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_socket_that_is_closed_while_it_waits_for_the_network_leaves_nothing_behind()
    {
        using var network = new ProviderProgramFile(Answers(delay: 0.03), scenario: Scenario);
        await using LabRig rig = await UpAsync(network);
        using var client = new ControlClient(rig.Lab.Directory.Control);
        AskingProgram program = AskingProgram.Start(rig, await SetscExamples.BuildAsync(rig));
        var random = new Random(4001);
        Dictionary<string, int> results = [];
        for (int round = 0; round < 60; round++)
        {
            bool library = random.Next(3) == 0;
            (string cookie, Task<Told> told) = await program.AskAsync(
                round, "session-lasting", library, onNet: random.Next(3) == 0, map: random.Next(2) == 0);
            await Task.Delay(random.Next(60), Cancellation);
            await program.CloseAsync(round);
            Told answer = await told.WaitAsync(InTime, Cancellation);

            // The library holds on to the socket until it has its answer, if it comes to take hold of it (else EBADF). Without it the dataplane
            // may find another one of the program's under that number.
            Assert.Contains(answer.Result, library ? ["0", "9"] : new[] { "0", "unknown-socket", "invalid-request" });
            results[answer.Result] = results.GetValueOrDefault(answer.Result) + 1;
            await AssertNothingKeptAsync(client, $"round {round}, socket {cookie}, {answer}");
        }

        // Both happened, or the moments were the wrong ones.
        Assert.True(
            results.GetValueOrDefault("0") >= 5 && results.GetValueOrDefault("unknown-socket") >= 5, string.Join(", ", results));
        await AssertReleasedAsync(network);
        await AssertGoesOnAsync(rig, program);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_program_that_ends_while_its_socket_waits_for_the_network_leaves_nothing_behind(bool isKilled)
    {
        using var network = new ProviderProgramFile(Answers(delay: 0.03), scenario: Scenario);
        await using LabRig rig = await UpAsync(network);
        using var client = new ControlClient(rig.Lab.Directory.Control);
        string place = await SetscExamples.BuildAsync(rig);
        var random = new Random(isKilled ? 4002 : 4003);
        for (int round = 0; round < 25; round++)
        {
            AskingProgram program = AskingProgram.Start(rig, place);
            (string cookie, _) = await program.AskAsync(
                round, "session-lasting", library: random.Next(2) == 0, onNet: random.Next(3) == 0, map: random.Next(2) == 0);
            await Task.Delay(random.Next(60), Cancellation);
            await (isKilled ? program.KillAsync() : program.ExitAsync());
            await AssertNothingKeptAsync(client, $"round {round}, socket {cookie}");
        }

        Assert.True(network.Told("request").Length >= 20, $"The network was asked only {network.Told("request").Length} times.");
        await AssertReleasedAsync(network);
        await AssertGoesOnAsync(rig, AskingProgram.Start(rig, place));
    }

    [Fact]
    public async Task A_move_while_a_socket_waits_for_the_network_never_gives_it_an_address_of_the_place_that_was_left()
    {
        using var network = new ProviderProgramFile(Answers(delay: 0.06), scenario: Scenario);
        await using LabRig rig = await UpAsync(network);
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        using var client = new ControlClient(rig.Lab.Directory.Control);
        AskingProgram program = AskingProgram.Start(rig, await SetscExamples.BuildAsync(rig));
        var random = new Random(4004);
        int before = 0;
        int after = 0;
        for (int round = 0; round < 24; round++)
        {
            string router = LabNodes.OtherRouter(rig.Lab.State.Serving!);
            (string left, string come) = router == LabNodes.SecondRouter ? (FirstPlace, SecondPlace) : (SecondPlace, FirstPlace);
            string type = random.Next(3) == 0 ? "session-lasting" : "nonpersistent";
            TimeSpan pause = TimeSpan.FromMilliseconds(random.Next(160));
            Task move = Task.Run(() => rig.MoveAsync(router, windowSeconds: 1), Cancellation);
            await Task.Delay(pause, Cancellation);
            (string cookie, Task<Told> told) = await program.AskAsync(round, type, onNet: random.Next(3) == 0);
            await move;
            Told answer = await told.WaitAsync(InTime, Cancellation);
            string what = $"round {round}, {type}, asked {pause.TotalMilliseconds} ms after the move began, {answer}";
            Assert.True(answer.IsGranted, what);
            BindingResource binding = await BindingAsync(cookie);
            if (answer.Address!.StartsWith(left, StringComparison.Ordinal))
            {
                // The list is told of a move a moment after whoever moved.
                _ = await LabRig.BecomesAsync(async () => (binding = await BindingAsync(cookie)).Valid == 0, InTime);
            }

            Assert.Equal(answer.Address, binding.Address.ToString());
            if (binding.Valid == 0)
            {
                // It had the address before the host left the place, and can know that it has ended; it asks again.
                Assert.StartsWith(left, answer.Address, StringComparison.Ordinal);
                before++;
                (_, told) = await program.AskAsync(round, type);
                answer = await told.WaitAsync(InTime, Cancellation);
                Assert.True(answer.IsGranted, what);
            }
            else
            {
                after++;
            }

            Assert.StartsWith(type == "nonpersistent" ? come : "2001:db8:51:", answer.Address, StringComparison.Ordinal);
            await AssertConversesAsync(program, round, answer, what);
            await program.CloseAsync(round);
            await AssertNothingKeptAsync(client, what);
        }

        Assert.True(after >= 8, $"{before} were answered before the move, {after} after it.");

        async Task<BindingResource> BindingAsync(string cookie) => (await client.BindingsAsync(Cancellation)).Bindings.Single(one => one.Cookie == cookie);
    }

    [Theory]
    [InlineData(Libc.SignalTerminate)]
    [InlineData(Libc.SignalKill)]
    public async Task A_dataplane_that_ends_while_a_socket_waits_for_the_network_is_an_answer_and_the_next_one_grants(int signal)
    {
        using var network = new ProviderProgramFile(Answers(delay: 0.06), scenario: Scenario);
        await using LabRig rig = await UpAsync(network);
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        AskingProgram program = AskingProgram.Start(rig, await SetscExamples.BuildAsync(rig));
        var random = new Random(4005 + signal);
        List<string> results = [];
        for (int round = 0; round < 8; round++)
        {
            string type = random.Next(2) == 0 ? "session-lasting" : "nonpersistent";
            LabProcess ending = rig.Lab.State.Dataplane!;
            (_, Task<Told> told) = await program.AskAsync(round, type, timeout: 5);
            await Task.Delay(random.Next(80), Cancellation);
            ending.Send(signal);
            Told answer = await told.WaitAsync(InTime, Cancellation);
            Assert.Contains(answer.Result, WhenDataplaneEnds);
            Assert.True(await ending.WaitAsync(InTime, Cancellation));

            // Nobody is there to ask, or is just about to be no more.
            (_, told) = await program.AskAsync(1000 + round, type);
            Assert.Contains((await told.WaitAsync(InTime, Cancellation)).Result, WhenDataplaneEnds[2..]);

            await rig.Lab.StartDataplaneAsync(Cancellation);
            (_, told) = await program.AskAsync(round, type);
            Told again = await told.WaitAsync(InTime, Cancellation);
            string what = $"round {round}, {type}, first {answer}, then {again}";
            Assert.True(again.IsGranted, what);
            await AssertConversesAsync(program, round, again, what);
            results.Add(answer.Result);
            await program.CloseAsync(round);
            using var client = new ControlClient(rig.Lab.Directory.Control);
            await AssertNothingKeptAsync(client, what);
        }

        Assert.Contains(results, result => result != "0");
    }

    private static string Answers(double delay)
    {
        (string Key, string Prefix, string Type)[] answers =
        [
            ("session-lasting", "2001:db8:51:2::/64", "session-lasting"), ("ar2 session-lasting", "2001:db8:51:3::/64", "session-lasting"),
            ("nonpersistent", "2001:db8:a1:7::/64", "nonpersistent"), ("ar2 nonpersistent", "2001:db8:a2:7::/64", "nonpersistent"),
        ];
        return JsonSerializer.Serialize(answers.ToDictionary(
            answer => answer.Key,
            answer => new object[] { new object[] { delay, new { grant = new { prefix = answer.Prefix, type = answer.Type } } } }));
    }

    private static async Task<LabRig> UpAsync(ProviderProgramFile network)
    {
        LabRig.Need("python3", "make", "gcc");
        return await LabRig.UpAsync(network.Scenario);
    }

    // No binding, no address and no prefix but what the network gave unasked, and Nonpersistent ones, which last as long as the attachment.
    private static async Task AssertNothingKeptAsync(ControlClient client, string what)
    {
        IReadOnlyList<BindingResource> bindings = [];
        PrefixResource[] prefixes = [];
        bool isFree = await LabRig.BecomesAsync(
            async () =>
            {
                bindings = (await client.BindingsAsync(Cancellation)).Bindings;
                prefixes = [.. (await client.PrefixesAsync(Cancellation)).Prefixes.Where(prefix => prefix.State != "ended")];
                return bindings.Count == 0 && !prefixes.Any(prefix => prefix.Prefix.ToString().StartsWith("2001:db8:51:", StringComparison.Ordinal));
            },
            TimeSpan.FromSeconds(20));
        Assert.True(isFree, $"{what}: there are {string.Join(", ", bindings)} and {string.Join(", ", prefixes.AsEnumerable())}.");
    }

    // The network has back what it gave: also what it was asked for last, for a socket that was there no more.
    private static async Task AssertReleasedAsync(ProviderProgramFile network) => Assert.True(
        await LabRig.BecomesAsync(
            () =>
            {
                JsonElement[] log = network.Log;
                return Task.FromResult(
                    Array.FindLastIndex(log, line => line.TryGetProperty("released", out _))
                    > Array.FindLastIndex(log, line => line.TryGetProperty("request", out _)));
            },
            InTime),
        "Something was not given back to the network.");

    private static async Task AssertGoesOnAsync(LabRig rig, AskingProgram program)
    {
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        (_, Task<Told> told) = await program.AskAsync(9999, "session-lasting");
        Told answer = await told.WaitAsync(InTime, Cancellation);
        Assert.True(answer.IsGranted, answer.ToString());
        await AssertConversesAsync(program, 9999, answer, "afterwards");
    }

    private static async Task AssertConversesAsync(AskingProgram program, int socket, Told told, string what)
    {
        string heard = await program.ConverseAsync(socket, told.Address, Port);
        Assert.True(heard == $"who from {told.Address}", $"{what}: {heard}");
    }
}
