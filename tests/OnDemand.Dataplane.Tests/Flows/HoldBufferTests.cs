using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using Xunit;

namespace OnDemand.Dataplane.Tests.Flows;

public sealed class HoldBufferTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Frames_come_out_in_order_and_octet_for_octet_whatever_is_held_beside_them(int seed)
    {
        var random = new Random(seed);
        var hold = new HoldBuffer(50, 100 * 2048);
        HeldQueue[] queues = [.. Enumerable.Repeat(HeldQueue.Empty, 4)];
        Queue<(byte[] Frame, long Tag)>[] model = [.. queues.Select(_ => new Queue<(byte[], long)>())];
        byte[] taken = new byte[70_000];
        bool refused = false;
        for (int step = 0; step < 20_000; step++)
        {
            int at = random.Next(queues.Length);
            int other = random.Next(queues.Length);
            int blocks = model.Sum(queue => queue.Sum(held => Blocks(held.Frame.Length)));
            switch (random.Next(20))
            {
                case 0:
                    Assert.Equal(model[at].Count, hold.Discard(ref queues[at]));
                    model[at].Clear();
                    break;
                case 1 when at != other:
                    hold.Move(ref queues[at], ref queues[other]);
                    while (model[at].TryDequeue(out (byte[], long) moved))
                    {
                        model[other].Enqueue(moved);
                    }

                    break;
                case < 11:
                    byte[] frame = Frames.Payload(random.Next(10) == 0 ? random.Next(2000, 66_000) : random.Next(0, 3000), step);
                    bool room = hold.Count < 50 && blocks + Blocks(frame.Length) <= 100;
                    refused |= !room;
                    Assert.Equal(room, hold.TryAdd(ref queues[at], frame, new FrameInfo(14, step % 2 == 0, step), step % 3 == 0, new Timestamp(step)));
                    if (room)
                    {
                        model[at].Enqueue((frame, step));
                    }

                    break;
                case var _ when model[at].TryDequeue(out (byte[] Frame, long Tag) first):
                    HeldFrame held = hold.Take(ref queues[at], taken);
                    Assert.True(first.Frame.AsSpan().SequenceEqual(taken.AsSpan(0, held.Length)));
                    Assert.Equal(
                        (first.Tag, 14, first.Tag % 2 == 0, first.Tag % 3 == 0, new Timestamp(first.Tag)),
                        (held.Tag, held.NetworkOffset, held.Partial, held.Outbound, held.Since));
                    break;
            }

            Assert.Equal(model.Sum(queue => queue.Count), hold.Count);
            Assert.Equal(model[at].Count == 0, queues[at].IsEmpty);
        }

        Assert.True(refused);
    }

    [Fact]
    public void It_is_bounded_in_frames()
    {
        var hold = new HoldBuffer(3, 64 * 2048);
        HeldQueue queue = HeldQueue.Empty;

        bool[] added = [.. Enumerable.Range(0, 4).Select(_ => hold.TryAdd(ref queue, new byte[10], new FrameInfo(0), true, default))];

        Assert.Equal([true, true, true, false], added);
        Assert.Equal(3, hold.Discard(ref queue));
        Assert.True(hold.TryAdd(ref queue, new byte[10], new FrameInfo(0), true, default));
    }

    [Fact]
    public void It_is_bounded_in_octets_and_a_refused_frame_takes_nothing()
    {
        var hold = new HoldBuffer(100, 4 * 2048);
        HeldQueue queue = HeldQueue.Empty;

        Assert.True(hold.TryAdd(ref queue, new byte[(2 * 2048) + 1], new FrameInfo(0), true, default));
        Assert.False(hold.TryAdd(ref queue, new byte[2049], new FrameInfo(0), true, default));
        Assert.True(hold.TryAdd(ref queue, new byte[2048], new FrameInfo(0), true, default));
        Assert.False(hold.TryAdd(ref queue, [], new FrameInfo(0), true, default));
    }

    private static int Blocks(int length) => Math.Max(1, (length + 2047) / 2048);
}
