using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class FragmentTableTests
{
    [Theory]
    [InlineData(1, 40)]
    [InlineData(2, 200)]
    [InlineData(3, 8000)]
    [Rfc(5722, "4")]
    public void An_overlap_is_seen_exactly_when_a_set_of_octets_sees_it(int seed, int blocks)
    {
        var random = new Random(seed);
        for (int round = 0; round < 200; round++)
        {
            var table = new FragmentTable(1, new FlowHash(1));
            int id = table.Add(Frames.Host, Frames.Server, 1, Timestamp.FromSeconds(5));
            HashSet<(int Offset, int Blocks)> seen = [];
            HashSet<int> covered = [];
            for (int step = 0; step < 30; step++)
            {
                int offset = random.Next(blocks);
                int octets = random.Next(1, 9) * 8;
                if (seen.Count > 0 && random.Next(4) == 0)
                {
                    (offset, int known) = seen.ElementAt(random.Next(seen.Count));
                    octets = known * 8;
                }

                int count = octets / 8;
                int[] wanted = [.. Enumerable.Range(offset, count)];
                bool duplicate = seen.Contains((offset, count));
                bool apart = !wanted.Any(covered.Contains);

                Assert.Equal(duplicate || apart, table.Mark(id, offset, octets));
                if (apart)
                {
                    seen.Add((offset, count));
                    covered.UnionWith(wanted);
                }
            }
        }
    }

    [Fact]
    [Rfc(8200, "4.5")]
    public void Two_fragments_are_no_duplicate_of_one_that_spans_both()
    {
        var table = new FragmentTable(1, new FlowHash(1));
        int id = table.Add(Frames.Host, Frames.Server, 1, Timestamp.FromSeconds(5));
        Assert.True(table.Mark(id, 0, 16));
        Assert.True(table.Mark(id, 2, 16));

        Assert.False(table.Mark(id, 0, 32));
        Assert.False(table.Mark(id, 1, 16));
        Assert.False(table.Mark(id, 0, 8));
        Assert.True(table.Mark(id, 2, 16));
    }

    [Fact]
    public void The_last_fragment_may_end_in_the_middle_of_a_block_and_past_the_largest_offset()
    {
        var table = new FragmentTable(1, new FlowHash(1));
        int id = table.Add(Frames.Host, Frames.Server, 1, Timestamp.FromSeconds(5));

        Assert.True(table.Mark(id, 8191, 65535));
        Assert.True(table.Mark(id, 8190, 5));
        Assert.False(table.Mark(id, 8189, 9));
        Assert.True(table.Mark(id, 100, 0));
    }

    [Fact]
    public void A_datagram_is_known_by_source_destination_and_identification()
    {
        var table = new FragmentTable(8, new FlowHash(1));
        int id = table.Add(Frames.Host, Frames.Server, 1, Timestamp.FromSeconds(5));

        Assert.Equal(id, table.Find(Frames.Host, Frames.Server, 1));
        Assert.Equal(-1, table.Find(Frames.Server, Frames.Host, 1));
        Assert.Equal(-1, table.Find(Frames.OtherHost, Frames.Server, 1));
        Assert.Equal(-1, table.Find(Frames.Host, Frames.OtherServer, 1));
        Assert.Equal(-1, table.Find(Frames.Host, Frames.Server, 2));
    }

    [Fact]
    public void The_oldest_leaves_first_and_its_place_begins_empty()
    {
        var table = new FragmentTable(3, new FlowHash(1));
        int[] ids = [.. Enumerable.Range(0, 3).Select(number => table.Add(Frames.Host, Frames.Server, (uint)number, Timestamp.FromSeconds(number)))];
        Assert.Equal(-1, table.Add(Frames.Host, Frames.Server, 9, Timestamp.FromSeconds(9)));
        table.Mark(ids[0], 0, 800);

        Assert.Equal(ids[0], table.Oldest);
        table.RemoveOldest();
        Assert.Equal(ids[1], table.Oldest);
        Assert.Equal(-1, table.Find(Frames.Host, Frames.Server, 0));

        int again = table.Add(Frames.Host, Frames.Server, 4, Timestamp.FromSeconds(4));
        Assert.Equal(ids[0], again);
        Assert.True(table.Mark(again, 1, 8));
        Assert.Equal((DatagramState.Waiting, -1, -1), (table[again].State, table[again].Address, table[again].Flow));
        table.RemoveOldest();
        table.RemoveOldest();
        Assert.Equal(again, table.Oldest);
        table.RemoveOldest();
        Assert.Equal(-1, table.Oldest);
    }
}
