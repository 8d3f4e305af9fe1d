using System.Text.Json;
using OnDemand.Cli;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Control;
using OnDemand.Linux.Run;
using Xunit;

namespace OnDemand.Linux.Tests.Control;

/// <summary>The commands for a running dataplane, from their arguments to their output.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task Attach_says_what_the_host_has_now()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();

        CommandRun run = await CommandRun.OnAsync(
            scene, "attach", "ar2", "--window", "10s", "--prefix", "2001:db8:a2:1::/64,type=nonpersistent,preferred=30m,valid=1h",
            "--prefix", "2001:db8:f1::7/128,type=fixed");

        Assert.Equal((ExitStatus.Done, ""), (run.Status, run.Error));
        string[] lines = run.Output.Split('\n');
        Assert.Equal("Attached to ar2 (move 2).", lines[0]);
        Assert.Equal(
            ["prefix", "type", "state", "window", "preferred", "valid", "users", "addresses", "from"], Words(lines[1]));
        Assert.Contains(lines, line => Words(line) is ["2001:db8:a2:1::/64", "nonpersistent", "preferred", "-", "30m00s",
            "60m00s" or "1h00m", "0", "1", ..]);
        Assert.Contains(lines, line => Words(line) is ["2001:db8:61:1::/64", "graceful-replacement", "closing", "10s", ..]);
        Assert.Contains(lines, line => Words(line) is ["2001:db8:f1::7/128", "fixed", "preferred", "-", "infinite", "infinite", ..]);
    }

    [Fact]
    public async Task Attach_takes_a_move_out_of_a_file_written_as_in_a_scenario()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        const string move =
            """
            attach: ar3
            window: 2.5s
            prefixes:
              - {prefix: 2001:db8:a3:1::/64, type: nonpersistent, home: true}
              - {prefix: 2001:db8:99::/64}
            """;

        CommandRun run = await CommandRun.OfAsync(move, ["attach", "--file", "-", "--json", "--control", scene.Path]);
        CommandRun named = await CommandRun.OfAsync(move, ["attach", "ar4", "--file", "-", "--control", scene.Path]);

        Assert.Equal((ExitStatus.Done, ""), (run.Status, run.Error));
        JsonElement json = JsonDocument.Parse(run.Output).RootElement;
        Assert.Equal("ar3", json.GetProperty("attachment").GetString());
        Assert.Equal(
            [("2001:db8:a3:1::/64", "nonpersistent", true), ("2001:db8:99::/64", "untyped", false)],
            json.GetProperty("prefixes").EnumerateArray().Select(one => (
                one.GetProperty("prefix").GetString(), one.GetProperty("type").GetString(), one.GetProperty("home").GetBoolean())));
        Assert.StartsWith("Attached to ar4 ", named.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Withdraw_and_detach_say_what_is_left()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();

        CommandRun withdrawn = await CommandRun.OnAsync(scene, "withdraw", "2001:db8:61:1::/64", "--window", "1h");
        CommandRun detached = await CommandRun.OnAsync(scene, "detach");
        CommandRun unknown = await CommandRun.OnAsync(scene, "withdraw", "2001:db8:77::/64");

        Assert.Equal((0, 0), (withdrawn.Status, detached.Status));
        Assert.Contains(withdrawn.Output.Split('\n'), line => Words(line) is ["2001:db8:61:1::/64", _, "closing", "1h00m" or "59m59s", ..]);
        Assert.StartsWith("Detached (move 1).\n", detached.Output, StringComparison.Ordinal);
        Assert.Equal(
            (ExitStatus.Usage, "", "ondemand: There is no prefix 2001:db8:77::/64 that could be withdrawn.\n"),
            (unknown.Status, unknown.Output, unknown.Error));
    }

    [Fact]
    public async Task Status_is_a_few_lines_and_the_prefixes()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 12, 1000);

        CommandRun run = await CommandRun.OnAsync(scene, "status");

        Assert.Equal((ExitStatus.Done, ""), (run.Status, run.Error));
        string[] lines = run.Output.Split('\n');
        Assert.StartsWith("test.yaml: attached to ar1 for ", lines[0], StringComparison.Ordinal);
        Assert.EndsWith(", 1 move; uplink up.", lines[0], StringComparison.Ordinal);
        Assert.Equal("Internal: fd00:db8::1/128; default: legacy.", lines[1]);
        Assert.Equal("12 flows of 262,144, 12 bindings, 3 typed addresses.", lines[2]);
        Assert.Equal(3, lines.Count(line => line.StartsWith("  2001:", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Flows_is_a_table_with_one_row_a_flow()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 5, 1000);
        await scene.Dataplane.SendAsync(IpProtocol.Tcp, 9, 1, 443);

        CommandRun all = await CommandRun.OnAsync(scene, "flows");
        CommandRun some = await CommandRun.OnAsync(scene, "flows", "--type", "graceful-replacement", "--limit", "2");
        CommandRun json = await CommandRun.OnAsync(scene, "flows", "--json", "--protocol", "tcp");

        string[] lines = all.Output.Split('\n');
        Assert.Equal(
            ["proto", "internal", "remote", "type", "typed", "address", "prefix", "state", "packets", "size", "idle"], Words(lines[0]));
        Assert.Contains(lines, line => Words(line) is ["tcp", "fd00:db8::1.9", "->", "2001:db8:c::1.443", "session-lasting", _,
            "preferred", "opening-out", "1", "60B", _]);
        Assert.Equal("6 flows.", lines[^2]);
        Assert.EndsWith("\n6 flows, 2 shown.\n", some.Output, StringComparison.Ordinal);
        Assert.Equal(9, Assert.Single(JsonDocument.Parse(json.Output).RootElement.GetProperty("flows").EnumerateArray())
            .GetProperty("localPort").GetInt32());
    }

    [Fact]
    public async Task Prefixes_and_counters_are_tables_or_json()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        await scene.AttachAsync();
        await scene.Dataplane.SendAsync(IpProtocol.Udp, 1, 5, 1000);

        CommandRun prefixes = await CommandRun.OnAsync(scene, "prefixes");
        CommandRun prefixesJson = await CommandRun.OnAsync(scene, "prefixes", "--json");
        CommandRun counters = await CommandRun.OnAsync(scene, "counters");
        CommandRun countersJson = await CommandRun.OnAsync(scene, "counters", "--json");
        CommandRun prometheus = await CommandRun.OnAsync(scene, "counters", "--prometheus");

        Assert.Contains(
            prefixes.Output.Split('\n'),
            line => Words(line) is ["2001:db8:61:1::/64", "graceful-replacement", "preferred", "-", "infinite", "infinite", "5", "1",
                "this", "network"]);
        Assert.Equal(3, JsonDocument.Parse(prefixesJson.Output).RootElement.GetProperty("prefixes").GetArrayLength());
        Assert.Contains(counters.Output.Split('\n'), line => Words(line) is ["graceful-replacement", "5", "5", "5", "240B", "0", "0", "0"]);
        Assert.Contains(counters.Output.Split('\n'), line => Words(line) is ["5", "rewritten"]);
        Assert.Equal(5, JsonDocument.Parse(countersJson.Output).RootElement.GetProperty("forwarded").GetProperty("rewritten").GetInt64());
        Assert.Contains("\nondemand_packets_total{type=\"graceful-replacement\"} 5\n", prometheus.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Counters_tell_what_the_tap_lost_apart_from_what_the_engine_dropped()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        ShellCounters shell = scene.Dataplane.Shell;
        (shell.FramesRead, shell.OctetsRead, shell.Superpackets, shell.FramesWritten, shell.OctetsWritten) = (90, 9000, 5, 80, 8000);
        (shell.SuperpacketsMade, shell.FramesJoined, shell.RingBatches) = (7, 70, 8);
        (shell.NeighborAnswers, shell.LinkScope, shell.Loops, shell.WritesWhileDown, shell.Commands) = (2, 3, 4, 6, 17);

        CommandRun table = await CommandRun.OnAsync(scene, "counters");
        CommandRun json = await CommandRun.OnAsync(scene, "counters", "--json");

        string[] lines = table.Output.Split('\n');
        int first = Array.FindIndex(lines, line => Words(line) is ["frames", "at", "the", "TAP"]);
        Assert.Equal(
            ["90 read, 9.00kB", "5 superpackets", "2 neighbor solicitations answered", "3 link-scope", "80 written, 8.00kB",
                "70 in 7 superpackets made here", "10 lost", "6 tap-down", "4 loop", "0 batches, 8 by io_uring, 0 read errors, 17 commands."],
            lines.Skip(first + 1).Take(10).Select(line => string.Join(' ', Words(line))));
        JsonElement tap = JsonDocument.Parse(json.Output).RootElement.GetProperty("tap");
        Assert.Equal((90, 8000), (tap.GetProperty("framesRead").GetInt64(), tap.GetProperty("octetsWritten").GetInt64()));
        Assert.Equal("{\"loop\":4,\"tap-down\":6}", JsonSerializer.Serialize(tap.GetProperty("lost")));
        Assert.Equal("{\"link-scope\":3}", JsonSerializer.Serialize(tap.GetProperty("ignored")));
    }

    [Theory]
    [InlineData("attach", "An attachment needs the name of the point of attachment")]
    [InlineData("attach ar2 --prefix 2001:db8::/32,type=sesion-lasting",
        "Found the unknown type 'sesion-lasting', expected 'session-lasting'")]
    [InlineData("attach ar2 --prefix 2001:db8::/129,type=fixed", "Found the prefix length '129', expected a length from 0 to 128")]
    [InlineData("attach ar2 --prefix fe80::/64,type=fixed", "neither link-local nor loopback")]
    [InlineData("attach ar2 --prefix 2001:db8::/32,kind=fixed", "Found 'kind=fixed' in --prefix")]
    [InlineData("attach ar2 --prefix 2001:db8::/32,type", "Found 'type' in --prefix")]
    [InlineData("attach ar2 --prefix 2001:db8::/32,type=fixed,type=fixed", "expected each word once")]
    [InlineData("attach ar2 --prefix 2001:db8::/32 --prefix 2001:db8::/32", "a second time")]
    [InlineData("attach ar2 --prefix 2001:db8::/32,preferred=2h,valid=1h", "expected preferred not above valid")]
    [InlineData("attach ar2 --window 10", "Found '10', expected a duration")]
    [InlineData("attach ar2 --window 0s", "expected a window above zero that ends")]
    [InlineData("attach ar2 --window 1s --file x.yaml", "not in both")]
    [InlineData("attach ar2 --file does-not-exist.yaml", "There is no file")]
    [InlineData("withdraw nonsense", "Found 'nonsense', expected an IPv6 prefix")]
    [InlineData("withdraw", "Required argument missing")]
    [InlineData("flows --type fixt", "Found --type 'fixt', expected 'fixed'")]
    [InlineData("flows --limit 0", "expected a number from 1")]
    [InlineData("flows --limit many", "many")]
    [InlineData("flows --protocol tpc", "expected 'tcp'")]
    [InlineData("counters --json --prometheus", "not both")]
    [InlineData("detach now", "There is no 'now'")]
    public async Task A_mistake_is_named_before_anything_is_sent(string command, string sentence)
    {
        // Where nobody listens, sending would give status 5.
        CommandRun run = await CommandRun.OfAsync([.. command.Split(' '), "--control", "/nonexistent/od0.sock"]);

        Assert.Equal(ExitStatus.Usage, run.Status);
        Assert.Contains(sentence, run.Error, StringComparison.Ordinal);
        Assert.Equal("", run.Output);
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
    }

    [Theory]
    [InlineData("attach ar1")]
    [InlineData("withdraw 2001:db8::/32")]
    [InlineData("detach")]
    [InlineData("status")]
    [InlineData("flows")]
    [InlineData("prefixes --json")]
    [InlineData("counters --prometheus")]
    public async Task Where_nobody_answers_every_command_says_so(string command)
    {
        CommandRun run = await CommandRun.OfAsync([.. command.Split(' '), "--control", "/nonexistent/od0.sock"]);

        Assert.Equal(
            (ExitStatus.NoAnswer,
                "ondemand: No dataplane answers at '/nonexistent/od0.sock'; start one with 'ondemand run', " +
                "or name its socket with --control or ONDEMAND_CONTROL.\n"),
            (run.Status, run.Error));
    }

    [Fact]
    public async Task What_the_host_refuses_is_told_with_its_own_status()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        scene.Dataplane.Refusal = "The route to 2001:db8:a2::/64 cannot be added: no link od0.";

        CommandRun run = await CommandRun.OnAsync(scene, "attach", "ar2");

        Assert.Equal((ExitStatus.Host, $"ondemand: {scene.Dataplane.Refusal}\n"), (run.Status, run.Error));
    }

    [Fact]
    public async Task A_dataplane_that_is_shutting_down_is_named_as_such()
    {
        await using ControlScene scene = await ControlScene.StartAsync();
        scene.Dataplane.ShutDown();

        CommandRun run = await CommandRun.OnAsync(scene, "status");

        Assert.Equal((ExitStatus.NoAnswer, "ondemand: The dataplane is shutting down.\n"), (run.Status, run.Error));
    }

    [Fact]
    public async Task Without_a_path_the_only_living_socket_is_meant_and_of_several_one_must_be_named()
    {
        string place = Directory.CreateTempSubdirectory("ondemand-sockets-").FullName;
        string first = Path.Combine(place, "a0.sock");
        string second = Path.Combine(place, "b0.sock");
        await using var dataplane = new FakeDataplane();
        try
        {
            Assert.Equal("/run/ondemand/od0.sock", ControlAccess.PathOf(null, Path.Combine(place, "absent")));
            using (ControlSocket.Bind(Path.Combine(place, "dead.sock")))
            {
                await File.WriteAllTextAsync(Path.Combine(place, "file.sock"), "", TestContext.Current.CancellationToken);
            }

            Assert.Equal(HostSettings.DefaultControl("od0"), ControlAccess.PathOf(null, place));
            await using (await ControlServer.StartAsync(dataplane, second, TestContext.Current.CancellationToken))
            {
                Assert.Equal(second, ControlAccess.PathOf(null, place));
                Assert.Equal("/elsewhere/x.sock", ControlAccess.PathOf("/elsewhere/x.sock", place));
                await using (await ControlServer.StartAsync(dataplane, first, TestContext.Current.CancellationToken))
                {
                    UsageException several = Assert.Throws<UsageException>(() => ControlAccess.PathOf(null, place));
                    Assert.Equal(
                        $"Several dataplanes run on this host ({first}, {second}); say which one with --control.", several.Message);
                    Assert.Equal(first, ControlAccess.PathOf(first, place));
                }
            }
        }
        finally
        {
            Directory.Delete(place, recursive: true);
        }
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
