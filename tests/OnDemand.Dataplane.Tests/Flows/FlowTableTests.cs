using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class FlowTableTests
{
    [Fact]
    public void Every_part_of_the_key_tells_flows_apart()
    {
        FlowKey[] keys =
        [
            new(Frames.Server, IpProtocol.Tcp, 1, 2, 3),
            new(Frames.OtherServer, IpProtocol.Tcp, 1, 2, 3),
            new(Frames.Server, IpProtocol.Udp, 1, 2, 3),
            new(Frames.Server, IpProtocol.Tcp, 4, 2, 3),
            new(Frames.Server, IpProtocol.Tcp, 1, 4, 3),
            new(Frames.Server, IpProtocol.Tcp, 1, 2, 4),
            new(Frames.Server, IpProtocol.Tcp, FlowKey.NativeHost | 1, 2, 3),
        ];
        var table = new FlowTable(keys.Length, new FlowHash(1));

        int[] ids = [.. keys.Select(key => table.Add(key, table.Hash(key)))];

        Assert.Equal(ids, keys.Select(key => table.Find(key)));
        Assert.Equal(keys.Length, ids.Distinct().Count());
        Assert.True(table.IsFull);
    }

    [Fact]
    public void An_entry_gives_its_key_back()
    {
        var key = new FlowKey(Frames.Server, 136, FlowKey.NativeHost | 4711, 65535, 1);
        var table = new FlowTable(4, new FlowHash(1));

        FlowEntry entry = table.Entry(table.Add(key, table.Hash(key)));

        Assert.Equal(
            (Frames.Server, (byte)136, FlowKey.NativeHost | 4711, (ushort)65535, (ushort)1),
            (entry.Remote, entry.Protocol, entry.Host, entry.LocalPort, entry.RemotePort));
    }

    [Fact]
    public void A_removed_entry_is_used_again_and_begins_empty()
    {
        var table = new FlowTable(2, new FlowHash(1));
        var first = new FlowKey(Frames.Server, IpProtocol.Udp, 0, 1, 1);
        var second = new FlowKey(Frames.Server, IpProtocol.Udp, 0, 2, 2);
        int id = table.Add(first, table.Hash(first));
        table.Entry(id).Bytes = 99;
        table.Entry(id).State = FlowState.Datagram;

        table.Remove(id);
        int again = table.Add(second, table.Hash(second));

        Assert.Equal(id, again);
        Assert.Equal(-1, table.Find(first));
        Assert.Equal((0UL, FlowState.Free, -1, -1, -1), (table.Entry(again).Bytes, table.Entry(again).State, table.Entry(again).Address,
            table.Entry(again).OldAddress, table.Entry(again).Binding));
        Assert.Equal(1, table.HighWater);
    }

    [Fact]
    public void A_flow_is_one_cache_line_and_its_rest_a_quarter()
    {
        Assert.Equal(64, System.Runtime.CompilerServices.Unsafe.SizeOf<FlowEntry>());
        Assert.Equal(16, System.Runtime.CompilerServices.Unsafe.SizeOf<FlowColdEntry>());
        Assert.Equal(26, System.Runtime.CompilerServices.Unsafe.SizeOf<Binding>());
    }

    [Fact]
    public void A_binding_is_found_by_socket_and_outcome_and_not_by_the_remote_port()
    {
        var table = new BindingTable(2, new FlowHash(1));
        ulong one = BindingTable.KeyOf(FlowKey.MakeTail(IpProtocol.Udp, 3, 5353, 53), 7);
        ulong same = BindingTable.KeyOf(FlowKey.MakeTail(IpProtocol.Udp, 3, 5353, 443), 7);
        ulong other = BindingTable.KeyOf(FlowKey.MakeTail(IpProtocol.Udp, 3, 5353, 53), 8);

        int id = table.Add(one);

        Assert.Equal(id, table.Find(same));
        Assert.Equal(-1, table.Find(other));
        Assert.NotEqual(id, table.Add(other));
        Assert.True(table.IsFull);
        table.Remove(id);
        Assert.Equal(-1, table.Find(one));
        Assert.Equal(id, table.Add(one));
        Assert.Equal((-1, 0, -1), (table[id].Address, table[id].Flows, table[id].Request));
    }

    [Fact]
    public void Another_seed_is_another_hash_and_the_same_seed_is_the_same()
    {
        Assert.Equal(new FlowHash(1).Of(42UL), new FlowHash(1).Of(42UL));
        Assert.NotEqual(new FlowHash(1).Of(42UL), new FlowHash(2).Of(42UL));
        Assert.NotEqual(new FlowHash(1).Of(Frames.Server), new FlowHash(2).Of(Frames.Server));
    }

    [Fact]
    public void Keys_that_differ_little_are_spread_evenly()
    {
        var hash = new FlowHash(7);
        int[] buckets = new int[256];
        for (int port = 0; port < 65536; port++)
        {
            buckets[(byte)hash.Of(Frames.Server, FlowKey.MakeTail(IpProtocol.Tcp, 0, (ushort)port, 443))]++;
        }

        Assert.All(buckets, count => Assert.InRange(count, 160, 360));   // 256 on average
    }
}
