using OnDemand.Dataplane.Flows;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class ChainIndexTests
{
    [Theory]
    [InlineData(1, 1, 2_000, ulong.MaxValue)]
    [InlineData(2, 100, 50_000, ulong.MaxValue)]
    [InlineData(3, 5_000, 100_000, ulong.MaxValue)]
    [InlineData(4, 300, 20_000, 3UL)]
    [InlineData(5, 300, 20_000, 0UL)]
    public void It_finds_what_a_dictionary_finds_whatever_the_hashes(int seed, int capacity, int steps, ulong mask)
    {
        var random = new Random(seed);
        var index = new ChainIndex(capacity, capacity);
        var model = new Dictionary<ulong, int>();
        ulong[] keys = new ulong[capacity];
        var free = new Stack<int>(Enumerable.Range(0, capacity));
        for (int step = 0; step < steps; step++)
        {
            ulong key = (ulong)random.Next(2 * capacity);
            if (model.Remove(key, out int removed))
            {
                index.Remove(key & mask, removed);
                free.Push(removed);
            }
            else if (free.TryPop(out int id))
            {
                keys[id] = key;
                index.Add(key & mask, id);
                model.Add(key, id);
            }

            ulong asked = (ulong)random.Next(2 * capacity);
            Assert.Equal(model.GetValueOrDefault(asked, -1), index.Find(asked & mask, new Key(keys, asked)));
            Assert.Equal(model.Count, index.Count);
        }

        Assert.True(model.Count > 0);
    }

    [Fact]
    public void What_is_not_there_is_not_removed()
    {
        var index = new ChainIndex(4, 4);
        index.Add(7, 1);
        index.Remove(7, 2);
        index.Remove(6, 1);

        Assert.Equal((1, 1), (index.Count, index.Find(7, new Key([0, 5, 0, 0], 5))));
    }

    private readonly struct Key(ulong[] keys, ulong key) : IEntryKey
    {
        public bool Matches(int id) => keys[id] == key;
    }
}
