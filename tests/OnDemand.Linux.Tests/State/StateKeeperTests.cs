using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Control;
using OnDemand.Linux.State;
using OnDemand.Linux.Tests.Control;
using Xunit;

namespace OnDemand.Linux.Tests.State;

/// <summary>The file that outlives a run, while it is written.</summary>
public sealed class StateKeeperTests : IDisposable
{
    private static readonly IpAddress Typed = IpAddress.Parse("2001:db8:51:1::77");
    private static readonly Decision Why = new(DecisionOrigin.PolicyRule, AddressType.SessionLasting, SelectionRule.None, 0, DecisionRemarks.None);

    private readonly string _directory = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    private string File => StateKeeper.FileIn(_directory);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task What_another_run_left_is_replaced_by_a_whole_file_that_nobody_else_may_read()
    {
        await using var dataplane = new FakeDataplane();
        await AttachAsync(dataplane, "ar7");
        await dataplane.SendAsync(IpProtocol.Tcp, 1000, 3, 443);
        Directory.CreateDirectory(_directory);
        await System.IO.File.WriteAllTextAsync(File, "what another run left\n", Cancellation);
        await using (StateKeeper keeper = Start(dataplane))
        {
            await HasAsync(text => text.Contains("flow ", StringComparison.Ordinal));
        }

        SavedState saved = StateKeeper.Load(File, dataplane.Scenario);

        Assert.Empty(saved.DamagedLines);
        Assert.Equal("ar7", saved.Attachment);
        Assert.Equal("2001:db8:51:1::/64", Assert.Single(saved.Prefixes).Prefix.ToString());
        Assert.Single(saved.Addresses);
        Assert.Equal([1000, 1001, 1002], saved.Flows.Keys.Select(flow => (int)flow.LocalPort).Order());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, new FileInfo(File).UnixFileMode);
    }

    [Fact]
    public async Task Flows_are_added_as_they_come_and_go_without_a_question_to_the_engine()
    {
        await using var dataplane = new FakeDataplane();
        await using StateKeeper keeper = Start(dataplane);
        await HasAsync(text => text.Contains("\ndetached ~", StringComparison.Ordinal));
        int asked = dataplane.Commands;

        keeper.Note(Happened(EngineEventKind.FlowOpened, 1));
        keeper.Note(Happened(EngineEventKind.FlowOpened, 2));
        await HasAsync(text => Flows(text, "flow") == 2);
        keeper.Note(Happened(EngineEventKind.FlowRemoved, 1));
        await HasAsync(text => Flows(text, "gone") == 1);

        Assert.Equal(asked, dataplane.Commands);
        FlowSnapshot left = Assert.Single(StateKeeper.Load(File, dataplane.Scenario).Flows.Values);
        Assert.Equal((2, Typed, Why), (left.Identity.LocalPort, left.Address, left.Decision));
    }

    [Fact]
    public async Task A_connection_that_goes_on_after_a_reset_is_there_again()
    {
        await using var dataplane = new FakeDataplane();
        await using StateKeeper keeper = Start(dataplane);
        keeper.Note(Happened(EngineEventKind.FlowOpened, 1));
        keeper.Note(Happened(EngineEventKind.FlowClosed, 1));
        await HasAsync(text => Flows(text, "gone") == 1);

        keeper.Note(Happened(EngineEventKind.FlowReopened, 1));

        await HasAsync(text => Flows(text, "flow") == 2);
        Assert.Equal(1, Assert.Single(StateKeeper.Load(File, dataplane.Scenario).Flows).Key.LocalPort);
    }

    [Fact]
    public async Task A_move_writes_the_network_anew_and_an_address_the_addresses()
    {
        await using var dataplane = new FakeDataplane();
        await using StateKeeper keeper = Start(dataplane);
        await HasAsync(text => text.Contains("\ndetached ~", StringComparison.Ordinal));
        await AttachAsync(dataplane, "ar8");
        Assert.DoesNotContain("ar8", await TextAsync(), StringComparison.Ordinal);

        keeper.Note(new EngineEvent { Kind = EngineEventKind.AddressMade });
        await HasAsync(text => text.Contains("\naddress ", StringComparison.Ordinal));
        Assert.DoesNotContain("ar8", await TextAsync(), StringComparison.Ordinal);
        keeper.Note(new EngineEvent { Kind = EngineEventKind.PrefixAdded });
        await HasAsync(text => text.Contains("\nattached ar8 ~", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Lifetimes_that_the_network_renews_are_written_so_that_a_prefix_does_not_end_with_its_first_ones()
    {
        await using var dataplane = new FakeDataplane();
        await AttachAsync(dataplane, "ar7", Duration.FromSeconds(60));
        await using StateKeeper keeper = Start(dataplane);
        await HasAsync(text => text.Contains("\nprefix ", StringComparison.Ordinal));
        Timestamp first = Assert.Single(StateKeeper.Load(File, dataplane.Scenario).Prefixes).ValidUntil;

        EngineEvent renewed = await dataplane.RunAsync(
            context =>
            {
                context.Engine.Advertise([Session(Duration.FromSeconds(3600))], authenticated: true, context.Now);
                EngineEvent last = default;
                while (context.Engine.TryTakeEvent(out EngineEvent happened))
                {
                    last = happened;
                }

                return last;
            },
            Cancellation);
        keeper.Note(renewed);

        await HasAsync(_ => StateKeeper.Load(File, dataplane.Scenario).Prefixes is [{ } prefix] && prefix.ValidUntil > first);
    }

    [Fact]
    public async Task What_happened_last_is_written_at_the_end()
    {
        await using var dataplane = new FakeDataplane();
        await using (StateKeeper keeper = Start(dataplane))
        {
            await HasAsync(text => text.Contains("\ndetached ~", StringComparison.Ordinal));
            dataplane.ShutDown();
            keeper.Note(Happened(EngineEventKind.FlowOpened, 9));
        }

        Assert.Equal(9, Assert.Single(StateKeeper.Load(File, dataplane.Scenario).Flows).Key.LocalPort);
    }

    [Fact]
    public async Task When_the_dataplane_takes_no_more_commands_for_a_while_nothing_is_lost_by_it()
    {
        await using var dataplane = new FakeDataplane();
        await AttachAsync(dataplane, "ar7");
        var busy = new Busy(dataplane) { Refusals = 3 };
        await using var keeper = new StateKeeper(File, sentence => Assert.Fail(sentence));
        keeper.Start(busy);
        await HasAsync(text => text.Contains("\nattached ar7 ~", StringComparison.Ordinal));

        await AttachAsync(dataplane, "ar8");
        busy.Refusals = 3;
        keeper.Note(Happened(EngineEventKind.FlowOpened, 1));
        keeper.Note(new EngineEvent { Kind = EngineEventKind.Attached });

        await HasAsync(text => text.Contains("\nattached ar8 ~", StringComparison.Ordinal) && Flows(text, "flow") == 1);
    }

    // It was answered: whoever made it relies on it.
    [Fact]
    public async Task A_move_of_the_last_moment_is_written_at_the_end()
    {
        await using var dataplane = new FakeDataplane();
        await using var after = new FakeDataplane();
        await AttachAsync(after, "ar9");
        await using (var keeper = new StateKeeper(File, sentence => Assert.Fail(sentence)))
        {
            keeper.Start(dataplane, atRest: after);
            await HasAsync(text => text.Contains("\ndetached ~", StringComparison.Ordinal));
            dataplane.ShutDown();
            keeper.Note(Happened(EngineEventKind.FlowOpened, 9));
            keeper.Note(new EngineEvent { Kind = EngineEventKind.Attached });
        }

        SavedState saved = StateKeeper.Load(File, dataplane.Scenario);
        Assert.Equal(("ar9", 1, 1), (saved.Attachment, saved.Prefixes.Count, saved.Flows.Count));
    }

    [Fact]
    public async Task A_run_that_ends_before_its_first_file_is_whole_leaves_what_was_there_and_nothing_else()
    {
        await using var dataplane = new FakeDataplane();
        Directory.CreateDirectory(_directory);
        await System.IO.File.WriteAllTextAsync(File, "what another run left\n", Cancellation);
        dataplane.Running.Reset();
        await using (StateKeeper keeper = Start(dataplane))
        {
            Assert.True(SpinWait.SpinUntil(() => System.IO.File.Exists(File + ".new"), TimeSpan.FromSeconds(30)));
        }

        dataplane.Running.Set();
        Assert.Equal([File], Directory.GetFiles(_directory));
        Assert.Equal("what another run left\n", await TextAsync());
    }

    [Fact]
    public async Task At_every_octet_where_a_write_can_be_cut_what_was_whole_before_is_read_back()
    {
        await using var dataplane = new FakeDataplane();
        await AttachAsync(dataplane, "ar7");
        await using (StateKeeper keeper = Start(dataplane))
        {
            await HasAsync(text => text.Contains("\naddress ", StringComparison.Ordinal));
            keeper.Note(Happened(EngineEventKind.FlowOpened, 1));
            keeper.Note(Happened(EngineEventKind.FlowOpened, 2));
            await HasAsync(text => Flows(text, "flow") == 2);
        }

        byte[] whole = await System.IO.File.ReadAllBytesAsync(File, Cancellation);
        int flows = 0;
        for (int length = whole.Length; length > StateFormat.Header.Length; length--)
        {
            await System.IO.File.WriteAllBytesAsync(File, whole[..length], Cancellation);
            SavedState saved = StateKeeper.Load(File, dataplane.Scenario);
            Assert.Empty(saved.DamagedLines);
            Assert.Null(saved.SetAside);
            string lines = System.Text.Encoding.UTF8.GetString(whole.AsSpan(0, whole.AsSpan(0, length).LastIndexOf((byte)'\n') + 1));
            Assert.Equal(Flows(lines, "flow"), saved.Flows.Count);
            flows = Math.Max(flows, saved.Flows.Count);
        }

        Assert.Equal(2, flows);
    }

    // What is written after a move begins with the new point of attachment, without which no prefix, address or flow of before would count.
    [Fact]
    public async Task At_every_octet_where_what_follows_a_move_can_be_cut_the_network_is_all_of_the_old_one_or_all_of_the_new_one()
    {
        await using var dataplane = new FakeDataplane();
        await AttachAsync(dataplane, "ar7");
        await using (StateKeeper keeper = Start(dataplane))
        {
            await HasAsync(text => text.Contains("\naddress ", StringComparison.Ordinal));
            await AttachAsync(dataplane, "ar8", Duration.FromSeconds(3600), more: true);
            keeper.Note(Happened(EngineEventKind.FlowOpened, 1));
            keeper.Note(new EngineEvent { Kind = EngineEventKind.PrefixAdded });
            await HasAsync(text => Flows(text, "flow") == 1);
        }

        byte[] whole = await System.IO.File.ReadAllBytesAsync(File, Cancellation);
        int second = System.Text.Encoding.UTF8.GetString(whole).IndexOf("\nattached ar8", StringComparison.Ordinal);
        Assert.True(second > 0);
        HashSet<string> networks = [];
        for (int length = second; length <= whole.Length; length++)
        {
            await System.IO.File.WriteAllBytesAsync(File, whole[..length], Cancellation);
            SavedState saved = StateKeeper.Load(File, dataplane.Scenario);
            Assert.Empty(saved.DamagedLines);
            Assert.All(saved.Flows.Values, flow => Assert.Equal("ar8", saved.Attachment));
            networks.Add($"{saved.Attachment}: {string.Join(' ', saved.Prefixes.Select(prefix => prefix.Prefix))}");
        }

        Assert.Equal(["ar7: 2001:db8:51:1::/64", "ar8: 2001:db8:51:1::/64 2001:db8:51:2::/64"], networks.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_file_that_does_not_say_where_a_network_ends_is_read_too()
    {
        await using var dataplane = new FakeDataplane();
        await AttachAsync(dataplane, "ar7");
        await using (StateKeeper keeper = Start(dataplane))
        {
            await HasAsync(text => text.Contains("\naddress ", StringComparison.Ordinal));
        }

        string[] lines = await System.IO.File.ReadAllLinesAsync(File, Cancellation);
        await System.IO.File.WriteAllLinesAsync(File, lines.Where(line => !line.StartsWith("network ", StringComparison.Ordinal)), Cancellation);
        SavedState saved = StateKeeper.Load(File, dataplane.Scenario);

        Assert.Equal((true, "ar7", 1), (saved.HasNetwork, saved.Attachment, saved.Prefixes.Count));
    }

    [Theory]
    [InlineData("what another program left\n", true)]
    [InlineData("ondemand-state 1\ndetached\n", true)]
    [InlineData("ondemand-state 2\nflow nonsense\n", false)]
    public async Task A_foreign_or_damaged_file_is_kept_aside_and_never_overwritten(string content, bool foreign)
    {
        await using var dataplane = new FakeDataplane();
        Directory.CreateDirectory(_directory);
        await System.IO.File.WriteAllTextAsync(File, content, Cancellation);

        SavedState first = StateKeeper.Load(File, dataplane.Scenario);
        SavedState second = StateKeeper.Load(File, dataplane.Scenario);

        Assert.Equal((foreign, $"{File}.aside-1"), (first.IsForeign, first.SetAside));
        Assert.Equal($"{File}.aside-2", second.SetAside);
        Assert.Equal(content, await System.IO.File.ReadAllTextAsync(first.SetAside!, Cancellation));
        Assert.False(first.HasNetwork);
    }

    private sealed class Busy(FakeDataplane dataplane) : IDataplaneControl
    {
        private int _refusals;

        public int Refusals { set => Volatile.Write(ref _refusals, value); }

        public Scenario Scenario => dataplane.Scenario;

        public Task<T> RunAsync<T>(Func<ControlContext, T> work, CancellationToken cancellationToken) =>
            Interlocked.Decrement(ref _refusals) >= 0
                ? Task.FromException<T>(new InvalidOperationException("Too many wait.")) : dataplane.RunAsync(work, cancellationToken);
    }

    private static Task<int> AttachAsync(FakeDataplane dataplane, string name, Duration? valid = null, bool more = false) => dataplane.RunAsync(
        context =>
        {
            PrefixAdvertisement first = Session(valid ?? Duration.Infinite);
            context.Network.Attach(name, more ? [first, first with { Prefix = IpPrefix.Parse("2001:db8:51:2::/64") }] : [first], null, context.Now);
            return 0;
        },
        Cancellation);

    private static PrefixAdvertisement Session(Duration valid) =>
        new(IpPrefix.Parse("2001:db8:51:1::/64"), AddressType.SessionLasting, valid, valid);

    private static EngineEvent Happened(EngineEventKind kind, ushort port) => new()
    {
        Kind = kind,
        Identity = new FlowIdentity(IpProtocol.Udp, FakeDataplane.Host, port, FakeDataplane.Server, 53),
        Address = Typed,
        Decision = Why,
    };

    private static int Flows(string text, string word) =>
        text.Split('\n').Count(line => line.StartsWith(word + " ", StringComparison.Ordinal));

    private StateKeeper Start(FakeDataplane dataplane)
    {
        var keeper = new StateKeeper(File, sentence => Assert.Fail(sentence));
        keeper.Start(dataplane);
        return keeper;
    }

    private async Task<string> TextAsync() => System.IO.File.Exists(File) ? await System.IO.File.ReadAllTextAsync(File, Cancellation) : "";

    private async Task HasAsync(Func<string, bool> condition)
    {
        long began = Environment.TickCount64;
        for (string text = await TextAsync(); !condition(text); text = await TextAsync())
        {
            Assert.True(Environment.TickCount64 - began < 30_000, $"It never came; there is:\n{text}");
            await Task.Delay(5, Cancellation);
        }
    }
}
