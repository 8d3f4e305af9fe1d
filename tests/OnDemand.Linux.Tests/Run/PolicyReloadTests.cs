using System.Text;
using OnDemand.Captures.Recording;
using OnDemand.Captures.Replay;
using OnDemand.Linux.Config;
using OnDemand.Linux.Policy;
using OnDemand.Linux.Recording;
using OnDemand.Linux.Run;
using OnDemand.Linux.Sockets;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Another policy for a running dataplane.</summary>
public sealed class PolicyReloadTests : IDisposable
{
    private const string Head = """
        seed: 1
        internal: [fd00:a::2]
        network:
          - at: 0s
            attach: ar1
            prefixes:
              - {prefix: "2001:db8:a1::/64", type: nonpersistent}
              - {prefix: "2001:db8:a2::/64", type: session-lasting}

        """;

    private const string Before = Head + "policy: {default: nonpersistent, rules: [{user: 5, type: fixed}]}\n";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ondemand-reload");
    private readonly string _file;

    public PolicyReloadTests()
    {
        _file = Path.Combine(_folder.FullName, "host.yaml");
        File.WriteAllText(_file, Before);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task New_flows_go_by_the_new_policy_and_old_ones_stay_as_they_are()
    {
        using var rig = new HostRig(Before);
        using PolicyReload reload = Reload(rig, null);
        Send(rig, 1);
        Assert.StartsWith("2001:db8:a1:", SourceOf(rig), StringComparison.Ordinal);
        string old = SourceOf(rig);
        Write(Head + "policy: {default: nonpersistent, rules: [{remote-port: 53, type: session-lasting}]}\n");

        Assert.True(await RunAsync(rig, reload));

        Assert.Equal($"The policy of {_file} is in force.", rig.Said[^1]);
        Send(rig, 1);
        Assert.Equal(old, SourceOf(rig));
        Send(rig, 2);
        Assert.StartsWith("2001:db8:a2:", SourceOf(rig), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("policy: {default: nonpersistnt}\n", ":9:19: found the unknown type 'nonpersistnt', expected 'nonpersistent', the nearest of legacy,")]
    [InlineData("policy: {rules: [{user: nobody-of-this-name, type: fixed}]}\n", ":9:25: found the unknown user 'nobody-of-this-name', expected a user of this host")]
    [InlineData("host: {tap: 7, mtu: 5}\n", ":9:21: found '5', expected a whole number from 1280 to 65521")]
    [InlineData("policy: {rules: [", ":")]
    public async Task A_wrong_file_keeps_the_old_policy_and_says_where_and_why(string end, string problem)
    {
        var recorder = new RunRecorder();
        using var rig = new HostRig(Before, recorder);
        SocketJudge judge = Judge();
        using PolicyReload reload = Reload(rig, judge);
        Write(Head + end);

        Assert.False(await RunAsync(rig, reload));

        Assert.StartsWith($"The policy stays as it is: {_file}{problem}", rig.Said[^1], StringComparison.Ordinal);
        Assert.EndsWith(".", rig.Said[^1], StringComparison.Ordinal);
        Assert.DoesNotContain("..", rig.Said[^1], StringComparison.Ordinal);
        Assert.Equal(1u, judge.Judge(new SocketRecord { Uid = 5, Inode = 1 }).Traits);
        Send(rig, 1);
        Assert.StartsWith("2001:db8:a1:", SourceOf(rig), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_is_gone_keeps_the_old_policy()
    {
        using var rig = new HostRig(Before);
        using PolicyReload reload = Reload(rig, null);
        File.Delete(_file);

        Assert.False(await RunAsync(rig, reload));

        Assert.Equal($"The policy stays as it is: Could not find file '{_file}'.", rig.Said[^1]);
    }

    [Fact]
    public async Task What_needs_a_restart_is_named_and_the_policy_is_taken_all_the_same()
    {
        using var rig = new HostRig(Before);
        using PolicyReload reload = Reload(rig, null);
        Write("# another comment\n" + Before.Replace("seed: 1", "seed: 0x1", StringComparison.Ordinal)
                .Replace("policy: {default: nonpersistent", "policy: {default: session-lasting, on-net: sijeon-07", StringComparison.Ordinal)
            + "host: {mtu: 1400}\nlinger: 5s\n");

        Assert.True(await RunAsync(rig, reload));

        Assert.Equal(
            $"The policy of {_file} is in force; what else has changed ('host: mtu', 'linger', 'policy: on-net', 'seed') needs a restart.", rig.Said[^1]);
        Send(rig, 1);
        Assert.StartsWith("2001:db8:a2:", SourceOf(rig), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Order_and_form_of_a_file_are_no_change()
    {
        using var rig = new HostRig(Before);
        using PolicyReload reload = Reload(rig, null);
        Write("policy:\n  default: nonpersistent   # as ever\ninternal: ['fd00:a::2']\n" + Before[Before.IndexOf("network", StringComparison.Ordinal)..Before.IndexOf("policy", StringComparison.Ordinal)] + "seed: 1\n");

        Assert.True(await RunAsync(rig, reload));

        Assert.Equal($"The policy of {_file} is in force.", rig.Said[^1]);
    }

    [Fact]
    public async Task Conditions_on_sockets_keep_their_bits()
    {
        using var rig = new HostRig(Before);
        SocketJudge judge = Judge();
        using PolicyReload reload = Reload(rig, judge);
        Write(Head + "policy: {rules: [{user: 6, type: fixed}, {user: 5, type: fixed}]}\n");

        Assert.True(await RunAsync(rig, reload));

        Assert.Equal(1u, judge.Judge(new SocketRecord { Uid = 5, Inode = 1 }).Traits);
        Assert.Equal(2u, judge.Judge(new SocketRecord { Uid = 6, Inode = 1 }).Traits);
    }

    [Fact]
    public async Task Another_part_of_the_file_can_be_taken_over_and_can_refuse()
    {
        using var rig = new HostRig(Before);
        using PolicyReload reload = Reload(rig, null);
        int mtu = 0;
        reload.Add("host: mtu", config => mtu = config.Host.Mtu < 9000 ? config.Host.Mtu : throw new HostException("Not so long."));
        Write(Before + "host: {mtu: 1400}\n");
        Assert.True(await RunAsync(rig, reload));
        Assert.Equal((1400, $"The policy of {_file} is in force."), (mtu, rig.Said[^1]));

        Write(Head + "policy: {default: session-lasting}\nhost: {mtu: 9000}\n");
        Assert.False(await RunAsync(rig, reload));
        Assert.Equal((1400, "The policy stays as it is: Not so long."), (mtu, rig.Said[^1]));
        Send(rig, 1);
        Assert.StartsWith("2001:db8:a1:", SourceOf(rig), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_recording_with_a_policy_that_was_set_anew_replays_octet_for_octet()
    {
        string recording = Path.Combine(_folder.FullName, "REC.pcapng");
        HostConfig config = HostConfigReader.Parse("host.yaml", Encoding.UTF8.GetBytes(Before));
        List<string> said = [];
        using (var recorder = new LiveRecorder(new RecordingOptions { File = recording }, config.Scenario, "od0", new MacAddress(2), said.Add))
        using (var rig = new HostRig(Before, recorder))
        {
            using PolicyReload reload = Reload(rig, null);
            Send(rig, 1);
            Write(Head + "policy: {default: session-lasting, rules: [{user: 6, program: /usr/bin/*, type: fixed}, {user: 5, legacy: true}], inbound: [{}]}\n");
            Assert.True(await RunAsync(rig, reload));
            Send(rig, 1);
            Send(rig, 2);
            Assert.StartsWith("2001:db8:a2:", SourceOf(rig), StringComparison.Ordinal);
            recorder.OnStop(rig.Host.Start.Add(Dataplane.Duration.FromSeconds(60)));
        }

        string again = Path.Combine(_folder.FullName, "AGAIN.pcapng");
        ReplayResult result = await RecordingRun.RunAsync(
            new ReplayOptions { Input = recording, Scenario = string.Empty, Output = again }, File.OpenRead, File.Create, null, Stop);

        Assert.Empty(said);
        Assert.Equal([], result.Report.Verification!.Examples);
        byte[] octets = await File.ReadAllBytesAsync(recording, Stop);
        Assert.Equal(octets, await File.ReadAllBytesAsync(again, Stop));
        Assert.True(octets.AsSpan().IndexOf("{policy: {default: session-lasting, rules: [{user: '6', program: '/usr/bin/*', type: fixed}, {user: '5', legacy: true}], inbound: [{}]}, bits: [1, 0]}"u8) > 0);
    }

    private void Write(string text) => File.WriteAllText(_file, text);

    private static void Send(HostRig rig, int port) => rig.Put(TestFrames.Udp(HostRig.Inside, HostRig.Server, (ushort)(1000 + port), 53, new byte[20]));

    private static string SourceOf(HostRig rig) => new System.Net.IPAddress(rig.Last.AsSpan(14 + 8, 16)).ToString();

    private static async Task<bool> RunAsync(HostRig rig, PolicyReload reload)
    {
        Task<bool> task = reload.RunAsync();
        while (!task.IsCompleted)
        {
            rig.Settle();
            await Task.Yield();
        }

        return await task;
    }

    private SocketJudge Judge() => new(HostConfigReader.Load(_file), new SocketOwners(new SocketOwnerLimits(), TimeProvider.System), cgroupRoot: null);

    private PolicyReload Reload(HostRig rig, SocketJudge? judge) => new(_file, HostConfigReader.Load(_file), rig.Host, judge, rig.Said.Add);
}
