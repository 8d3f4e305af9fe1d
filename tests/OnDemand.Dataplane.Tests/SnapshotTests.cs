using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests;

/// <summary>Listings say what is there, in slices, and neither change nor allocate anything.</summary>
public sealed class SnapshotTests
{
    private readonly EngineRig _rig = new(EngineRig.Options(AddressType.GracefulReplacement));

    [Fact]
    public void A_flow_is_listed_with_everything_that_is_known_of_it()
    {
        _rig.Attach(EngineRig.GracefulPrefix);
        IpAddress typed = _rig.SourceOf(Frames.Udp(Frames.Host, 5000, Frames.Server, 443, 100));
        Timestamp sent = _rig.Now;

        FlowSnapshot flow = Assert.Single(Flows());

        Assert.Equal(new(IpProtocol.Udp, Frames.Host, 5000, Frames.Server, 443), flow.Identity);
        Assert.Equal(AddressType.GracefulReplacement, flow.Type);
        Assert.Equal(typed, flow.Address);
        Assert.Null(flow.OldAddress);
        Assert.Equal(EngineRig.GracefulPrefix, flow.Prefix);
        Assert.Equal(PrefixState.Preferred, flow.PrefixState);
        Assert.Equal(FlowState.Datagram, flow.State);
        Assert.Equal(1u, flow.Packets);
        Assert.Equal(40ul + 8 + 100, flow.Octets);
        Assert.InRange(sent.Since(flow.LastSeen).Nanoseconds, 0, 1 << 26);
        Assert.InRange(flow.IdleAt.Since(sent).Nanoseconds, 299_000_000_000, 300_100_000_000);
        Assert.False(flow.IsInbound);
        Assert.False(flow.IsNative);
        Assert.Equal(DecisionOrigin.DefaultType, flow.Decision.Origin);
    }

    [Fact]
    public void A_flow_that_went_over_keeps_its_old_address_in_the_list_until_the_window_closes()
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.GracefulReplacement) with { GracefulDatagramsAtOnce = true });
        TestFrame frame = Frames.Udp(Frames.Host, 5000, Frames.Server, 443);
        rig.Attach(EngineRig.GracefulPrefix);
        IpAddress before = rig.SourceOf(frame);
        rig.Attach(Duration.FromSeconds(10), EngineRig.OtherGracefulPrefix);
        IpAddress after = rig.SourceOf(frame);

        FlowSnapshot within = Assert.Single(Flows(rig));
        rig.Pass(11_000);
        FlowSnapshot beyond = Assert.Single(Flows(rig));

        Assert.Equal((after, before), (within.Address, within.OldAddress!.Value));
        Assert.Equal(after, beyond.Address);
        Assert.Null(beyond.OldAddress);
    }

    [Fact]
    public void A_stranded_flow_is_listed_as_stranded()
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.Nonpersistent));
        rig.Attach(EngineRig.NonpersistentPrefix);
        IpAddress typed = rig.SourceOf(Frames.Tcp(Frames.Host, 1, Frames.Server, 80, TcpControl.Syn, 100));
        rig.Inbound(Frames.Tcp(Frames.Server, 80, typed, 1, TcpControl.Syn | TcpControl.Ack, 500, 101));
        rig.Outbound(Frames.Tcp(Frames.Host, 1, Frames.Server, 80, TcpControl.Ack, 101, 501));
        rig.Attach(EngineRig.OtherNonpersistentPrefix);
        rig.Pass(1);

        FlowSnapshot flow = Assert.Single(Flows(rig));

        Assert.Equal(FlowState.Stranded, flow.State);
        Assert.Equal(PrefixState.Ended, flow.PrefixState);
        Assert.Equal(typed, flow.Address);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(1024)]
    public void Slices_of_any_size_together_give_every_flow_once(int size)
    {
        _rig.Attach(EngineRig.GracefulPrefix);
        for (ushort port = 1; port <= 1500; port++)
        {
            _rig.Outbound(Frames.Udp(Frames.Host, port, Frames.Server, 80));
        }

        int[] ports = [.. Flows(_rig, size).Select(flow => (int)flow.Identity.LocalPort)];

        Assert.Equal(Enumerable.Range(1, 1500), ports.Order());
        Assert.Equal(1500, _rig.Engine.FlowCount);
    }

    [Fact]
    public void Places_that_flows_have_left_cost_a_bounded_look()
    {
        var rig = new EngineRig(EngineRig.Options(AddressType.GracefulReplacement) with
        {
            MaximumFlows = 1 << 14,
            MaximumBindings = 1 << 14
        });
        rig.Attach(EngineRig.GracefulPrefix);
        for (int port = 1; port <= 10_000; port++)
        {
            rig.Outbound(Frames.Udp(Frames.Host, (ushort)port, Frames.Server, 80));
        }

        rig.Pass(400_000);
        var flows = new FlowSnapshot[16];
        int cursor = 0;
        List<int> cursors = [];
        while (cursor >= 0)
        {
            Assert.Equal(0, rig.Engine.CopyFlows(ref cursor, flows));
            cursors.Add(cursor);
        }

        Assert.Equal([4096, 8192, -1], cursors);
    }

    [Fact]
    public void An_empty_engine_lists_nothing_and_a_finished_cursor_stays_finished()
    {
        int cursor = 0;
        int prefixes = 0;
        int addresses = 0;

        Assert.Equal(0, _rig.Engine.CopyFlows(ref cursor, new FlowSnapshot[4]));
        Assert.Equal(0, _rig.Engine.CopyPrefixes(ref prefixes, new PrefixSnapshot[4]));
        Assert.Equal(0, _rig.Engine.CopyAddresses(ref addresses, new AddressSnapshot[4]));
        _rig.Attach(EngineRig.GracefulPrefix);
        _rig.Outbound(Frames.Udp(Frames.Host, 1, Frames.Server, 80));

        Assert.Equal((-1, -1, -1), (cursor, prefixes, addresses));
        Assert.Equal(0, _rig.Engine.CopyFlows(ref cursor, new FlowSnapshot[4]));
        Assert.Equal(0, _rig.Engine.CopyPrefixes(ref prefixes, new PrefixSnapshot[4]));
        Assert.Equal(0, _rig.Engine.CopyAddresses(ref addresses, new AddressSnapshot[4]));
    }

    [Fact]
    public void Prefixes_are_listed_in_order_with_their_windows()
    {
        _rig.Attach(EngineRig.GracefulPrefix, EngineRig.SessionLastingPrefix);
        _rig.Outbound(Frames.Udp(Frames.Host, 1, Frames.Server, 80));
        Timestamp moved = _rig.Now;
        _rig.Attach(Duration.FromSeconds(10), EngineRig.OtherGracefulPrefix);

        PrefixSnapshot[] prefixes = [.. Prefixes(size: 2)];

        Assert.Equal(
            [EngineRig.GracefulPrefix, EngineRig.SessionLastingPrefix, EngineRig.OtherGracefulPrefix], prefixes.Select(one => one.Prefix));
        Assert.Equal([PrefixState.Closing, PrefixState.Preferred, PrefixState.Preferred], prefixes.Select(one => one.State));
        Assert.Equal([false, false, true], prefixes.Select(one => one.IsOfPresentNetwork));
        Assert.Equal(moved.Add(Duration.FromSeconds(10)), prefixes[0].ClosesAt);
        Assert.Equal(Timestamp.Never, prefixes[1].ClosesAt);
        Assert.Equal([1, 0, 0], prefixes.Select(one => one.Users));
        Assert.Equal(3, _rig.Engine.PrefixCount);
    }

    [Fact]
    public void Typed_addresses_are_listed_with_what_they_carried()
    {
        _rig.Attach(EngineRig.GracefulPrefix);
        IpAddress typed = _rig.SourceOf(Frames.Udp(Frames.Host, 1, Frames.Server, 80, 100));
        _rig.Inbound(Frames.Udp(Frames.Server, 80, typed, 1, 60));

        AddressSnapshot address = Assert.Single(Addresses(), one => one.Internal == Frames.Host);

        Assert.Equal(typed, address.Address);
        Assert.Equal((AddressType.GracefulReplacement, EngineRig.GracefulPrefix), (address.Type, address.Prefix));
        Assert.Equal((1ul, 148ul), (address.PacketsOut, address.OctetsOut));
        Assert.Equal((1ul, 108ul), (address.PacketsIn, address.OctetsIn));
        Assert.False(address.IsRetired);
        Assert.True(address.Users > 0);
        Assert.Equal(Addresses().Count, _rig.Engine.AddressCount);
    }

    [Fact]
    public void Looking_allocates_nothing()
    {
        _rig.Attach(EngineRig.GracefulPrefix);
        for (ushort port = 1; port <= 100; port++)
        {
            _rig.Outbound(Frames.Udp(Frames.Host, port, Frames.Server, 80));
        }

        var flows = new FlowSnapshot[32];
        var prefixes = new PrefixSnapshot[8];
        var addresses = new AddressSnapshot[8];
        DataplaneEngine engine = _rig.Engine;
        int seen = Look(engine, flows, prefixes, addresses);
        long allocated = Allocated(() => Assert.True(seen == Look(engine, flows, prefixes, addresses)));

        Assert.True(seen > 100);
        Assert.Equal(0, allocated);
    }

    // A collection that another test causes counts what is left of this thread's buffer as allocated; then it is measured again.
    private static long Allocated(Action look)
    {
        while (true)
        {
            GC.Collect();
            int collections = GC.CollectionCount(0);
            long before = GC.GetAllocatedBytesForCurrentThread();
            look();
            long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            if (GC.CollectionCount(0) == collections)
            {
                return allocated;
            }
        }
    }

    private static int Look(DataplaneEngine engine, FlowSnapshot[] flows, PrefixSnapshot[] prefixes, AddressSnapshot[] addresses)
    {
        int seen = 0;
        for (int cursor = 0; cursor >= 0;)
        {
            seen += engine.CopyFlows(ref cursor, flows);
        }

        for (int cursor = 0; cursor >= 0;)
        {
            seen += engine.CopyPrefixes(ref cursor, prefixes);
        }

        for (int cursor = 0; cursor >= 0;)
        {
            seen += engine.CopyAddresses(ref cursor, addresses);
        }

        return seen;
    }

    private static List<FlowSnapshot> Flows(EngineRig rig, int size = 16)
    {
        var slice = new FlowSnapshot[size];
        List<FlowSnapshot> flows = [];
        for (int cursor = 0; cursor >= 0;)
        {
            flows.AddRange(slice[..rig.Engine.CopyFlows(ref cursor, slice)]);
        }

        return flows;
    }

    private List<FlowSnapshot> Flows() => Flows(_rig);

    private List<PrefixSnapshot> Prefixes(int size)
    {
        var slice = new PrefixSnapshot[size];
        List<PrefixSnapshot> prefixes = [];
        for (int cursor = 0; cursor >= 0;)
        {
            prefixes.AddRange(slice[.._rig.Engine.CopyPrefixes(ref cursor, slice)]);
        }

        return prefixes;
    }

    private List<AddressSnapshot> Addresses()
    {
        var slice = new AddressSnapshot[1];
        List<AddressSnapshot> addresses = [];
        for (int cursor = 0; cursor >= 0;)
        {
            addresses.AddRange(slice[.._rig.Engine.CopyAddresses(ref cursor, slice)]);
        }

        return addresses;
    }
}
