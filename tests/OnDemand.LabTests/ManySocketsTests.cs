using System.Net;
using System.Net.Sockets;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Sockets;
using OnDemand.Setsc;
using Type = OnDemand.Dataplane.Mobility.AddressType;

namespace OnDemand.LabTests;

/// <summary>Ten thousand sockets of several programs and users ask at the same time.</summary>
public sealed class ManySocketsTests
{
    private const int Port = 7009;
    private const int OfEach = 2500;
    private const int Nobody = 65534;
    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(120);

    // By type: what the lab's usual network gives at the first router.
    private static readonly Dictionary<string, string> Prefixes = new(StringComparer.Ordinal)
    {
        ["fixed"] = "2001:db8:f1::7/128",
        ["session-lasting"] = "2001:db8:51:1::/64",
        ["nonpersistent"] = "2001:db8:a1:1::/64",
        ["graceful-replacement"] = "2001:db8:91:1::/64",
    };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // Two programs of root's and one of another user in C (who may have 64 connections open), and this one in .NET.
    [Fact]
    public async Task Ten_thousand_sockets_that_ask_at_once_get_one_answer_each_and_leave_nothing_behind()
    {
        LabRig.Need("python3", "make", "gcc");
        await using LabRig rig = await LabRig.UpAsync();
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        using var client = new ControlClient(rig.Lab.Directory.Control);
        string place = await SetscExamples.BuildAsync(rig);
        AskingProgram[] programs = [.. Enumerable.Range(0, 3).Select(_ => AskingProgram.Start(rig, place))];
        Socket[] sockets = LabSockets.On(rig.Name, LabNodes.Host, () => Enumerable.Range(0, OfEach).Select(number => number % 8 < 4
            ? new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.InterNetworkV6, SocketType.Dgram, ProtocolType.Udp)).ToArray());

        await programs[0].AskForManyAsync(OfEach, threads: 100, user: null);
        await programs[1].AskForManyAsync(OfEach, threads: 100, user: null);
        await programs[2].AskForManyAsync(OfEach, threads: 32, Nobody);
        (string Cookie, string Type, string Address)[] own = await AskAsync(rig, sockets);
        Assert.True(
            await LabRig.BecomesAsync(() => Task.FromResult(programs.All(program => program.Answers.Count >= OfEach)), InTime),
            $"There are {string.Join(", ", programs.Select(program => program.Answers.Count))} answers.");

        // One answer each, and the right one.
        Dictionary<string, (string Type, string Address)> granted = own.ToDictionary(one => one.Cookie, one => (one.Type, one.Address));
        foreach (AskingProgram program in programs)
        {
            Assert.Equal(Enumerable.Range(0, OfEach), program.Answers.Select(answer => answer.Number).Order());
            foreach ((_, string cookie, string type, Told told) in program.Answers)
            {
                Assert.True(told.IsGranted, told.ToString());
                granted.Add(cookie, (type, told.Address!));
            }
        }

        // The dataplane says the same of each; and all sockets of a type share one address.
        IReadOnlyList<BindingResource> bindings = (await client.BindingsAsync(Cancellation)).Bindings;
        Assert.Equal(4 * OfEach, bindings.Count);
        Assert.Equal(OfEach, bindings.Count(binding => binding.User == Nobody));
        foreach (BindingResource binding in bindings)
        {
            string name = Dataplane.Mobility.AddressTypes.ToName(binding.Type);
            Assert.Equal(granted[binding.Cookie], (name, binding.Address.ToString()));
            Assert.Equal(Prefixes[name], binding.Prefix.ToString());
            Assert.True(binding.Prefix.Contains(binding.Address));
        }

        Assert.Equal(4, bindings.Select(binding => (binding.Type, binding.Address)).Distinct().Count());
        Assert.Equal(
            programs[2].Answers.Select(answer => answer.Cookie).Order(StringComparer.Ordinal),
            (await programs[2].ListAsync()).Order(StringComparer.Ordinal));
        await AssertConversesAsync(programs);

        foreach (AskingProgram program in programs)
        {
            await program.CloseAllAsync();
        }

        Array.ForEach(sockets, socket => socket.Dispose());
        int left = -1;
        Assert.True(
            await LabRig.BecomesAsync(async () => (left = (await client.BindingsAsync(Cancellation)).Bindings.Count) == 0, InTime),
            $"{left} bindings are left without their sockets.");
        Assert.All((await client.PrefixesAsync(Cancellation)).Prefixes, prefix => Assert.Equal(0, prefix.Users));
    }

    // Types in turn as the other programs do.
    private static async Task<(string Cookie, string Type, string Address)[]> AskAsync(LabRig rig, Socket[] sockets)
    {
        var answers = new (string Cookie, string Type, string Address)[sockets.Length];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = 100, CancellationToken = Cancellation };
        await Parallel.ForAsync(0, sockets.Length, parallel, async (number, cancel) =>
        {
            var options = new SetscOptions
            {
                Map = number % 3 == 0,
                SocketPath = rig.Lab.Directory.Programs,
                Timeout = TimeSpan.FromMinutes(1),
            };
            var type = (AddressType)(1 + (number % 4));
            IPAddress address = await sockets[number].SetServiceContinuityAsync(type, options, cancel);
            answers[number] = (
                SocketCookie.Of(sockets[number].SafeHandle).ToString(System.Globalization.CultureInfo.InvariantCulture),
                Dataplane.Mobility.AddressTypes.ToName((Type)(byte)type), address.ToString());
        });
        return answers;
    }

    // Some of the connections: bound to the address, or mapped to it.
    private static async Task AssertConversesAsync(AskingProgram[] programs)
    {
        foreach (AskingProgram program in programs)
        {
            foreach ((int number, _, _, Told told) in program.Answers.Where(answer => answer.Number is < 24 and >= 0 && answer.Number % 8 < 4))
            {
                bool isMapped = number % 3 == 0;
                Assert.Equal($"who from {told.Address}", await program.ConverseAsync(number, isMapped ? null : told.Address, Port));
            }
        }
    }
}
