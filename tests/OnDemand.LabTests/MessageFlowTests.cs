using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using OnDemand.Linux.Control;
using OnDemand.Linux.Lab;
using OnDemand.Linux.Programs;

namespace OnDemand.LabTests;

/// <summary>
/// The message flow example of draft-ietf-dmm-ondemand-mobility-17 §4.2 among real programs, kernels and links, step by step: what the
/// applications say, what the network's own program was asked, what those who watch were told, what was on the wire. The same run, recorded
/// and replayed without any of these, has the same steps.
/// </summary>
public sealed partial class MessageFlowTests
{
    private const int Port = 7009;
    private const string Np1 = "2001:db8:a1:1:";
    private const string Np2 = "2001:db8:a2:1:";
    private const string Sl1 = "2001:db8:51:1:";

    // The network provides a Session-Lasting and a Nonpersistent prefix upon attachment, and a new Nonpersistent one at each move.
    private const string Scenario = """
        seed: 17
        internal: [fd00:db8::1]
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: 2001:db8:51:1::/64, type: session-lasting}
              - {prefix: 2001:db8:a1:1::/64, type: nonpersistent}
          - at: 10s
            attach: ar2
            prefixes:
              - {prefix: 2001:db8:a2:1::/64, type: nonpersistent}
        policy: {default: legacy}
        """;

    // It supports neither Fixed nor Graceful-Replacement addresses.
    private const string Answers = """{"fixed": [[0.05, {"unsupported": true}]], "graceful-replacement": [[0.05, {"unsupported": true}]]}""";

    private static readonly TimeSpan InTime = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_drafts_example_comes_out_as_it_is_told_and_its_replay_has_the_same_steps()
    {
        LabRig.Need("python3", "tcpdump", "make", "gcc", "stdbuf");
        using var network = new ProviderProgramFile(Answers, scenario: Scenario);
        string place = Directory.CreateTempSubdirectory("ondemand-recording-").FullName;
        try
        {
            string live = Path.Combine(place, "live.pcapng");
            string[] opened = await PlayAsync(network, live);
            await AssertReplaysAsync(live, opened);
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    private static async Task<string[]> PlayAsync(ProviderProgramFile network, string recording)
    {
        await using LabRig rig = await LabRig.UpAsync(network.Scenario, record: recording);
        await using var server = new LineServer(rig.Server(LabNodes.Peer, SocketType.Stream, Port));
        using var client = new ControlClient(rig.Lab.Directory.Control);
        string library = await SetscExamples.BuildAsync(rig);
        ConcurrentQueue<NoticeResource> notices = new();
        Task watching = await WatchAsync(rig, notices);
        NetworkCapture capture = await rig.CaptureAsync();

        // The mobile device attaches to the network. The network provides two IPv6 prefixes: PREFsl1 and PREFnp1.
        Assert.Equal([(Sl1, "preferred"), (Np1, "preferred")], await PrefixesAsync(client));
        Assert.Equal("ar1", Assert.Single(network.Told("attached")).GetProperty("attached").GetString());

        // An application is launched. It opens an IP socket and requests a Non-persistent IPv6 address. The IP stack provides IPnp1.
        Process first = Launch(rig, library, "nonpersistent");
        string np1 = await ProvidedAsync(first, "nonpersistent", Np1);

        // Another application is launched, requesting a Non-persistent IPv6 address. The IP stack provides IPnp1 again.
        Process second = Launch(rig, library, "nonpersistent");
        Assert.Equal(np1, await ProvidedAsync(second, "nonpersistent", Np1));

        // A third application is launched. This time, it requires a Session-lasting IPv6 address. The IP stack provides IPsl1.
        Process third = Launch(rig, library, "session-lasting");
        string sl1 = await ProvidedAsync(third, "session-lasting", Sl1);
        Assert.Empty(network.Told("request"));
        Assert.Empty(notices);

        // The mobile host moves to a new point of attachment. The network provides PREFnp2. PREFnp1 is no longer valid.
        await rig.MoveAsync(LabNodes.SecondRouter);
        Assert.Equal("ar2", network.Told("attached")[^1].GetProperty("attached").GetString());
        Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(notices.Count >= 2), InTime));
        Assert.Equal([("stranded", np1), ("stranded", np1)], notices.Select(notice => (notice.Notice, notice.Binding!.Address.ToString())));
        Assert.True(await LabRig.BecomesAsync(
            async () => (await PrefixesAsync(client)).SequenceEqual([(Sl1, "preferred"), (Np2, "preferred")]), InTime));

        // The applications that were given IPnp1 re-establish the socket and receive IPnp2, which is generated from PREFnp2.
        await AssertLostAsync(first);
        await AssertLostAsync(second);
        Process firstAgain = Launch(rig, library, "nonpersistent");
        string np2 = await ProvidedAsync(firstAgain, "nonpersistent", Np2);
        Process secondAgain = Launch(rig, library, "nonpersistent");
        Assert.Equal(np2, await ProvidedAsync(secondAgain, "nonpersistent", Np2));

        // The application that is using IPsl1 can still use it.
        await AssertHeardAsync(third, sl1);
        Assert.Empty(network.Told("request"));

        // A new application is launched, this time requiring a Graceful-replacement IPv6 address. The network does not support this.
        // It re-attempts, this time requesting a Session-lasting IPv6 address. The IP stack provides IPsl1.
        Process last = Launch(rig, library, "graceful-replacement", "session-lasting");
        string refused = await SetscExamples.ReadAsync(last);
        Assert.StartsWith("graceful-replacement: ", refused, StringComparison.Ordinal);
        Assert.Contains("are not offered here", refused, StringComparison.Ordinal);
        Assert.Equal(sl1, await ProvidedAsync(last, "session-lasting", Sl1));
        Assert.Equal("graceful-replacement", Assert.Single(network.Told("request")).GetProperty("type").GetString());

        // All of them end, and with their sockets what they had been given; the kernel tells the order.
        string[] released = [.. notices.Skip(2).Select(notice => notice.Notice)];
        Assert.All(released, notice => Assert.Equal("released", notice));
        foreach (Process application in new[] { firstAgain, secondAgain, third, last })
        {
            application.StandardInput.Close();
            await application.WaitForExitAsync(Cancellation).WaitAsync(InTime, Cancellation);
            Assert.Equal(0, application.ExitCode);
        }

        Assert.True(await LabRig.BecomesAsync(async () => (await client.BindingsAsync(Cancellation)).Bindings.Count == 0, InTime));
        Assert.True(await LabRig.BecomesAsync(() => Task.FromResult(notices.Count == 8), InTime), string.Join("\n", notices));
        Assert.Equal(
            new[] { np1, np1, np2, np2, sl1, sl1 }.Order(StringComparer.Ordinal),
            notices.Skip(2).Select(notice => notice.Binding!.Address.ToString()).Order(StringComparer.Ordinal));
        Assert.True(await rig.Lab.EndDataplaneAsync(Cancellation), "The dataplane did not end by itself.");
        await watching.WaitAsync(InTime, Cancellation);

        // On the wire: each connection was opened from the address that its application had been given, in that order.
        await capture.StopAsync();
        string[] connections = [.. (await capture.FindAsync($"tcp dst port {Port} and ip6[53] & 0x12 = 2", "-tt")).Order(StringComparer.Ordinal)
            .Select(SourceOf)];
        Assert.Equal([np1, np1, sl1, np2, np2, sl1], connections.Distinct(StringComparer.Ordinal).Select(AddressOf));
        await capture.AssertCleanAsync();
        return [np1, np1, sl1, np2, np2, sl1];
    }

    private static async Task AssertReplaysAsync(string live, string[] opened)
    {
        string again = live + ".again";
        string report = live + ".json";
        string[] line = LabProgram.Self.Line("replay", live, "--output", again, "--report", report, "--quiet");
        CommandResult replay = await CommandRunner.RunAsync(line[0], line[1..], null, Cancellation);
        Assert.True(replay.Status == 0, $"It gave {replay.Status}: {replay.Error}{replay.Output}");
        byte[] repeated = await File.ReadAllBytesAsync(again, Cancellation);
        Assert.True((await File.ReadAllBytesAsync(live, Cancellation)).AsSpan().SequenceEqual(repeated), "The recordings differ.");

        // What went in, in order: each record has it once for the replay, and once in a comment for those who read.
        Assert.Equal(
            [
                "attach ar1", "request nonpersistent", "request nonpersistent", "request session-lasting", "attach ar2",
                "request nonpersistent", "request nonpersistent", "request graceful-replacement", "answer unsupported", "request session-lasting",
            ],
            ControlRecord().Matches(Encoding.Latin1.GetString(repeated)).Select(Name));

        // And what came of it: the same connections from the same addresses, and the same fates when the host moved.
        using JsonDocument read = JsonDocument.Parse(await File.ReadAllBytesAsync(report, Cancellation));
        JsonElement[] flows = [.. read.RootElement.GetProperty("flows").EnumerateArray().Where(flow => flow.GetProperty("remotePort").GetInt32() == Port)];
        Assert.Equal(opened, flows.Select(flow => flow.GetProperty("spans").EnumerateArray().Single().GetProperty("typed").GetString()));
        Assert.Equal(
            ["stranded", "stranded", "kept", "", "", ""],
            flows.Select(flow => string.Join(' ', flow.GetProperty("events").EnumerateArray().Select(happened => happened.GetProperty("what").GetString())
                .Where(what => what is "stranded" or "kept" or "went-over" or "refused"))));
    }

    private static string Name(Match record) =>
        record.Groups["place"].Success ? $"attach {record.Groups["place"].Value}"
        : record.Groups["type"].Success ? $"request {record.Groups["type"].Value}"
        : $"answer {record.Groups["answer"].Value}";

    [GeneratedRegex("""ondemand: \{(attach: "(?<place>ar\d)"|request: \d+, cookie: \d+[^{}]* type: (?<type>[a-z-]+)|answer: \d+, (?<answer>[a-z]+))""")]
    private static partial Regex ControlRecord();

    private static async Task<Task> WatchAsync(LabRig rig, ConcurrentQueue<NoticeResource> notices)
    {
        Process watch = rig.Start(LabNodes.Host, "curl", "-sSN", "--unix-socket", rig.Lab.Directory.Programs, "http://localhost/v1/watch");

        // The empty line says that it is on.
        Assert.Equal("", await watch.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(InTime, Cancellation));
        return Task.Run(
            async () =>
            {
                while (await watch.StandardOutput.ReadLineAsync(Cancellation) is { } line)
                {
                    if (line.Length > 0)
                    {
                        notices.Enqueue(JsonSerializer.Deserialize(line, ControlJson.Default.NoticeResource)!);
                    }
                }
            },
            Cancellation);
    }

    private static async Task<(string, string)[]> PrefixesAsync(ControlClient client) =>
    [
        .. (await client.PrefixesAsync(Cancellation)).Prefixes.Where(prefix => prefix.State != "ended")
            .Select(prefix => (prefix.Prefix.ToString().Replace(":/64", "", StringComparison.Ordinal), prefix.State))
            .OrderBy(prefix => prefix.Item1, StringComparer.Ordinal),
    ];

    private static Process Launch(LabRig rig, string library, params string[] types) =>
        SetscExamples.Start(rig, library, "session_client", [Port.ToString(CultureInfo.InvariantCulture), .. types]);

    // It says what it was provided with, binds to that and connects; and the server sees it there.
    private static async Task<string> ProvidedAsync(Process application, string type, string prefix)
    {
        string said = await SetscExamples.ReadAsync(application);
        Assert.StartsWith($"{type}: {prefix}", said, StringComparison.Ordinal);
        string address = said[(type.Length + 2)..];
        await AssertHeardAsync(application, address);
        return address;
    }

    private static async Task AssertHeardAsync(Process application, string address)
    {
        await SetscExamples.WriteAsync(application, "hello");
        Assert.Equal($"hello from {address}", await SetscExamples.ReadAsync(application));
    }

    // Its connection was aborted; it notices when it uses it.
    private static async Task AssertLostAsync(Process application)
    {
        await SetscExamples.WriteAsync(application, "hello");
        await application.WaitForExitAsync(Cancellation).WaitAsync(InTime, Cancellation);
        Assert.Equal((1, "The connection is gone."), (application.ExitCode, (await application.StandardError.ReadToEndAsync(Cancellation)).Trim()));
    }

    // "1700000000.000001 IP6 2001:db8:a1:1::1.40000 > …", address and port.
    private static string SourceOf(string packet) => packet.Split(' ')[2];

    private static string AddressOf(string source) => source[..source.LastIndexOf('.')];
}
