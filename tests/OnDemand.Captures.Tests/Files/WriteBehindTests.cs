using System.IO.Pipelines;
using OnDemand.Captures.Files;
using Xunit;

namespace OnDemand.Captures.Tests.Files;

/// <summary>The pipe that writes a stream on a thread of its own.</summary>
public sealed class WriteBehindTests
{
    [Fact]
    public async Task Own_and_lent_octets_of_any_length_come_out_in_their_order()
    {
        using var output = new MemoryStream();
        var pipe = new WriteBehind(output, blockLength: 1 << 12);
        var pool = new BlockPool(1 << 17);
        List<byte> expected = [];
        var random = new Random(1);
        for (int i = 0; i < 200; i++)
        {
            Block block = pool.Rent(0);
            random.NextBytes(block.Octets);
            int length = 1 + random.Next(i % 3 == 0 ? 40_000 : 300);
            pipe.Lend(block, 7, length);
            pipe.Lend(block, 7 + length, 5);
            expected.AddRange(block.Octets.AsSpan(7, length + 5));
            int own = random.Next(6_000);
            random.NextBytes(pipe.GetSpan(own)[..own]);
            expected.AddRange(pipe.GetSpan(own)[..own]);
            pipe.Advance(own);
            FlushResult flushed = await pipe.FlushAsync(TestContext.Current.CancellationToken);
            Assert.False(flushed.IsCompleted);
            block.Release();
        }

        await pipe.CompleteAsync();
        await pipe.Written;

        Assert.Equal(expected.ToArray(), output.ToArray());
    }

    [Fact]
    public async Task A_block_is_shared_until_it_is_written()
    {
        using var output = new MemoryStream();
        var pipe = new WriteBehind(output, blockLength: 1 << 12);
        Block block = new BlockPool(1 << 12).Rent(0);
        pipe.Lend(block, 0, 100);
        Assert.True(block.IsShared);

        _ = await pipe.FlushAsync(TestContext.Current.CancellationToken);
        await pipe.CompleteAsync();
        await pipe.Written;

        Assert.False(block.IsShared);
    }

    [Fact]
    public async Task A_stream_that_fails_ends_the_pipe_and_gives_its_reason()
    {
        using var output = new MemoryStream(new byte[10], writable: true);   // has no more room
        var pipe = new WriteBehind(output, blockLength: 1 << 12);
        bool completed = false;
        for (int i = 0; i < 100 && !completed; i++)
        {
            pipe.GetSpan(1_000)[..1_000].Clear();
            pipe.Advance(1_000);
            FlushResult flushed = await pipe.FlushAsync(TestContext.Current.CancellationToken);
            completed = flushed.IsCompleted;
        }

        await pipe.CompleteAsync();

        Assert.True(completed);
        await Assert.ThrowsAsync<NotSupportedException>(() => pipe.Written);
    }

    [Fact]
    public async Task Who_gives_up_does_not_wait_for_a_stream_that_takes_nothing()
    {
        using var output = new StalledStream();
        using var gaveUp = new CancellationTokenSource();
        var pipe = new WriteBehind(output, blockLength: 1 << 12);
        var flushes = Task.Run(
            async () =>
            {
                while (true)
                {
                    pipe.GetSpan(1_000)[..1_000].Clear();
                    pipe.Advance(1_000);
                    _ = await pipe.FlushAsync(gaveUp.Token);
                }
            },
            TestContext.Current.CancellationToken);
        await Task.WhenAny(flushes, Task.Delay(100, TestContext.Current.CancellationToken));
        Assert.False(flushes.IsCompleted);

        await gaveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => flushes.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));
        pipe.GetSpan(1_000)[..1_000].Clear();
        pipe.Advance(1_000);
        var last = Task.Run(async () => await pipe.FlushAsync(CancellationToken.None), TestContext.Current.CancellationToken);   // as when it is closed
        _ = await last.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.False(pipe.Written.IsCompleted);
        output.GoOn();
        await pipe.CompleteAsync();
        await pipe.Written;
        Assert.Equal(7_000 + 1_000, output.Taken);   // what was handed over, the last time included
    }

    private sealed class StalledStream : MemoryStream
    {
        private readonly ManualResetEventSlim _goesOn = new();

        public long Taken { get; private set; }

        public void GoOn() => _goesOn.Set();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _goesOn.Wait(TestContext.Current.CancellationToken);
            base.Write(buffer);
            Taken += buffer.Length;
        }

        protected override void Dispose(bool disposing)
        {
            _goesOn.Dispose();
            base.Dispose(disposing);
        }
    }
}
