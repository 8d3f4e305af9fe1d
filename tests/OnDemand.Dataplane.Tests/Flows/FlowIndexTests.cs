using OnDemand.Dataplane.Flows;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class FlowIndexTests
{
    [Theory]
    [InlineData(1, 8, 20_000)]
    [InlineData(2, 100, 50_000)]
    [InlineData(3, 5_000, 200_000)]
    [InlineData(4, 60_000, 800_000)]
    public void It_finds_what_a_dictionary_finds_through_growth_and_removal(int seed, int capacity, int steps)
    {
        var random = new Random(seed);
        var hash = new FlowHash((ulong)seed);
        Run(random, capacity, steps, key => (uint)hash.Of(key));
    }

    [Theory]
    [InlineData(1, 0xffUL)]
    [InlineData(2, 0x7UL)]
    [InlineData(3, 0xffff_ff00UL)]
    [InlineData(4, 0UL)]
    public void It_stays_right_when_somebody_chooses_keys_that_collide(int seed, ulong mask) =>
        Run(new Random(seed), 600, 8_000, key => (uint)(key & mask));

    [Fact]
    public void Slots_that_meet_at_the_end_of_the_area_go_on_at_its_beginning() =>
        Run(new Random(5), 400, 20_000, key => (uint)(0xffff_fff0UL | (key & 0xf)));

    [Fact]
    public void Several_growths_in_a_row_lose_nothing()
    {
        const int capacity = 200_000;
        var hash = new FlowHash(9);
        uint HashOf(ulong key) => (uint)hash.Of(key);
        ulong[] keys = new ulong[capacity];
        var index = new FlowIndex(capacity);
        bool grew = false;
        for (int id = 0; id < capacity; id++)
        {
            keys[id] = (ulong)id * 77;
            index.Add(HashOf(keys[id]), id, new Table(keys, HashOf));
            grew |= index.IsGrowing;
            int asked = (id * 31) % (id + 1);
            Assert.Equal(asked, index.Find(HashOf(keys[asked]), new Table(keys, HashOf, keys[asked])));
        }

        Assert.True(grew);
        Assert.Equal(capacity, index.Count);
        for (int id = 0; id < capacity; id++)
        {
            Assert.Equal(id, index.Find(HashOf(keys[id]), new Table(keys, HashOf, keys[id])));
            index.Remove(HashOf(keys[id]), id, new Table(keys, HashOf));
        }

        Assert.Equal(0, index.Count);
    }

    [Theory]
    [InlineData(5_000)]
    [InlineData(150_000)]
    public void A_guess_is_an_entry_whose_hash_looks_the_same_also_while_the_index_grows(int capacity)
    {
        var hash = new FlowHash(3);
        uint HashOf(ulong key) => (uint)hash.Of(key);
        ulong[] keys = new ulong[capacity];
        var index = new FlowIndex(capacity);
        int wrong = 0;
        for (int id = 0; id < capacity; id++)
        {
            keys[id] = (ulong)id;
            index.Add(HashOf((ulong)id), id, new Table(keys, HashOf));
            int asked = (int)((id * 31L) % (id + 1));
            wrong += index.Guess(HashOf((ulong)asked)) == asked ? 0 : 1;
            Assert.InRange(index.Guess(HashOf((ulong)asked)), 0, id);          // something is there that looks so
            Assert.InRange(index.Guess(HashOf(ulong.MaxValue - (ulong)id)), -1, id);
        }

        Assert.InRange(wrong, 0, capacity / 100);
        for (int id = 0; id < capacity; id += 2)
        {
            index.Remove(HashOf((ulong)id), id, new Table(keys, HashOf));
        }

        Assert.All(Enumerable.Range(0, capacity), id => Assert.True(index.Guess(HashOf((ulong)id)) is var guess && (guess < 0 ? id % 2 == 0 : guess % 2 == 1)));
    }

    [Theory]
    [InlineData(1023)]                 // the last number, plus one, is ones alone too
    [InlineData(1024)]
    [InlineData(1500)]
    public void A_hash_of_ones_alone_is_never_taken_for_the_mark_of_a_slot_that_has_moved(int capacity)
    {
        static uint HashOf(ulong key) => (uint)key;
        const ulong kept = 0x1_ffff_ffff;
        const ulong removed = 0x2_ffff_ffff;
        const ulong absent = 0x3_ffff_ffff;
        ulong[] keys = new ulong[capacity];
        var index = new FlowIndex(capacity);
        int last = capacity - 1;
        Add(last, kept);
        Add(last - 1, removed);
        int next = 0;
        for (; !index.IsGrowing; next++)
        {
            Add(next, (ulong)next);
        }

        Assert.Equal((last, last - 1), (Find(kept), Find(removed)));       // both still in the old area
        index.Remove(uint.MaxValue, last - 1, new Table(keys, HashOf));
        Assert.Equal((last, -1, -1), (Find(kept), Find(removed), Find(absent)));
        for (; index.IsGrowing; next++)
        {
            Add(next, (ulong)next);
        }

        Assert.Equal((last, -1), (Find(kept), Find(removed)));
        Assert.Equal(last, index.Guess(uint.MaxValue));

        void Add(int id, ulong key)
        {
            keys[id] = key;
            index.Add(HashOf(key), id, new Table(keys, HashOf));
        }

        int Find(ulong key) => index.Find(HashOf(key), new Table(keys, HashOf, key));
    }

    [Fact]
    public void An_area_that_is_used_again_has_been_wiped_to_its_last_slot()
    {
        static uint HashOf(ulong key) => (uint)key;
        const int capacity = 4096;
        const uint lastGroup = 1016;   // of the area of 1,024 slots in which it begins
        ulong[] keys = new ulong[capacity];
        var index = new FlowIndex(capacity);
        int count = 0;
        for (uint i = 0; i < 8; i++)
        {
            Add(((ulong)i << 32) | lastGroup);
        }

        while (count < 1500 || index.IsGrowing)
        {
            Add((ulong)count << 11);   // far from it once the area is large: they share the first groups of each eighth
        }

        Assert.All(Enumerable.Range(0, 8), id => Assert.Equal(id, index.Find(lastGroup, new Table(keys, HashOf, keys[id]))));
        for (int id = 0; id < count; id++)
        {
            index.Remove(HashOf(keys[id]), id, new Table(keys, HashOf));
        }

        Assert.Equal(0, index.Count);
        Assert.All(Enumerable.Range(0, 1024), group => Assert.Equal(-1, index.Guess(uint.MaxValue & ~0x1fffu | (uint)group * 8)));

        void Add(ulong key)
        {
            keys[count] = key;
            index.Add(HashOf(key), count, new Table(keys, HashOf));
            count++;
        }
    }

    private static void Run(Random random, int capacity, int steps, Func<ulong, uint> hashOf)
    {
        var index = new FlowIndex(capacity);
        var model = new Dictionary<ulong, int>();
        var present = new List<ulong>();
        ulong[] keys = new ulong[capacity];
        var free = new Stack<int>(Enumerable.Range(0, capacity));
        for (int step = 0; step < steps; step++)
        {
            // Waves: mostly adding, then mostly removing, so that growth, moving and wiping all meet both.
            bool adding = random.Next(100) < ((step / Math.Max(1, capacity)) % 2 == 0 ? 70 : 40);
            if (adding && free.Count > 0)
            {
                ulong key = (ulong)random.NextInt64();
                if (model.ContainsKey(key))
                {
                    continue;
                }

                int id = free.Pop();
                keys[id] = key;
                index.Add(hashOf(key), id, new Table(keys, hashOf));
                model.Add(key, id);
                present.Add(key);
            }
            else if (present.Count > 0)
            {
                int at = random.Next(present.Count);
                ulong key = present[at];
                present[at] = present[^1];
                present.RemoveAt(present.Count - 1);
                index.Remove(hashOf(key), model[key], new Table(keys, hashOf));
                free.Push(model[key]);
                Assert.Equal(-1, index.Find(hashOf(key), new Table(keys, hashOf, key)));
                model.Remove(key);
            }

            Assert.Equal(model.Count, index.Count);
            ulong wanted = present.Count > 0 && random.Next(4) > 0 ? present[random.Next(present.Count)] : (ulong)random.NextInt64();
            Assert.Equal(model.TryGetValue(wanted, out int known) ? known : -1, index.Find(hashOf(wanted), new Table(keys, hashOf, wanted)));
        }

        foreach ((ulong key, int id) in model)
        {
            Assert.Equal(id, index.Find(hashOf(key), new Table(keys, hashOf, key)));
        }
    }

    private readonly struct Table(ulong[] keys, Func<ulong, uint> hashOf, ulong key = 0) : IIndexed
    {
        public bool Matches(int id) => keys[id] == key;

        public uint HashOf(int id) => hashOf(keys[id]);

        public void Prefetch(int id) => Assert.InRange(id, 0, keys.Length - 1);
    }
}
