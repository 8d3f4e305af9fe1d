using System.Net.Sockets;
using System.Runtime.CompilerServices;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;
using Xunit;

namespace OnDemand.Linux.Tests.Tap;

/// <summary>The ring on a socket that keeps the bounds of messages, as a TAP does.</summary>
public sealed unsafe class FrameRingTests : IDisposable
{
    private const int Entries = 8;
    private const int Slot = 64;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ring");
    private readonly byte[] _buffer = GC.AllocateArray<byte>(Entries * Slot, pinned: true);
    private readonly IoPart[] _parts = GC.AllocateArray<IoPart>(2 * Entries, pinned: true);
    private readonly Socket _near;
    private readonly Socket _far;
    private readonly FrameRing? _ring;

    public FrameRingTests()
    {
        var near = new UnixDomainSocketEndPoint(Path.Combine(_folder.FullName, "near"));
        var far = new UnixDomainSocketEndPoint(Path.Combine(_folder.FullName, "far"));
        _near = Make(near);
        _far = Make(far);
        _near.Connect(far);
        _far.Connect(near);
        _ring = FrameRing.TryOpen((int)_near.Handle, Entries, out int error);
        Assert.SkipUnless(_ring is not null, $"There is no io_uring: errno {error}.");
    }

    public void Dispose()
    {
        _ring?.Dispose();
        _near.Dispose();
        _far.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Frames_in_one_part_and_in_more_leave_in_order_and_each_has_its_own_result_round_after_round()
    {
        for (int round = 0; round < 5 * Entries; round++)
        {
            int count = 1 + (round % Entries);       // so that rounds begin at every place of the ring
            byte[][] frames = [.. Enumerable.Range(0, count).Select(i => Frame(round, i))];
            for (int i = 0; i < count; i++)
            {
                frames[i].CopyTo(_buffer, i * Slot);
                int cut = i % 2 == 0 ? frames[i].Length : 3;
                _parts[2 * i] = Part(i * Slot, cut);
                _parts[(2 * i) + 1] = Part((i * Slot) + cut, frames[i].Length - cut);
                _ring!.QueueWrite((IoPart*)Unsafe.AsPointer(ref _parts[2 * i]), i % 2 == 0 ? 1 : 2);
            }

            Assert.Equal(frames.Select(frame => frame.Length), Submit(count));
            Assert.Equal(frames, Enumerable.Range(0, count).Select(_ => Take()));
        }

        Assert.False(_ring!.IsBroken);
    }

    [Fact]
    public void Reads_beyond_what_is_there_say_so_and_wait_for_nothing()
    {
        for (int round = 0; round < 5 * Entries; round++)
        {
            int there = round % (Entries + 1);
            byte[][] frames = [.. Enumerable.Range(0, there).Select(i => Frame(round, i))];
            foreach (byte[] frame in frames)
            {
                _far.Send(frame);
            }

            for (int i = 0; i < Entries; i++)
            {
                _ring!.QueueRead(Part(i * Slot, Slot).Start, Slot);
            }

            int[] results = Submit(Entries);

            Assert.Equal([.. frames.Select(frame => frame.Length), .. Enumerable.Repeat(-Errno.Eagain, Entries - there)], results);
            Assert.Equal(frames, frames.Select((frame, i) => _buffer[(i * Slot)..((i * Slot) + frame.Length)]));
        }
    }

    [Fact]
    public void A_write_that_fails_leaves_the_results_of_the_others_where_they_belong()
    {
        for (int i = 0; i < 3; i++)
        {
            Frame(0, i).CopyTo(_buffer, i * Slot);
            _parts[2 * i] = i == 1 ? new IoPart(1, 20) : Part(i * Slot, Frame(0, i).Length);
            _ring!.QueueWrite((IoPart*)Unsafe.AsPointer(ref _parts[2 * i]), 1);
        }

        const int badAddress = 14;                   // EFAULT
        Assert.Equal([Frame(0, 0).Length, -badAddress, Frame(0, 2).Length], Submit(3));
        Assert.Equal([Frame(0, 0), Frame(0, 2)], [Take(), Take()]);
    }

    [Fact]
    public void A_file_that_cannot_be_read_without_waiting_says_so_and_nothing_is_read()
    {
        using FileDescriptor file = Libc.Open("/proc/self/status", Libc.NonBlocking | Libc.CloseOnExec, 0);
        using FrameRing ring = FrameRing.TryOpen(file.Number, Entries, out _)!;
        int[] results = new int[2];
        ring.QueueRead(Part(0, Slot).Start, Slot);
        ring.QueueRead(Part(Slot, Slot).Start, Slot);

        ring.Submit(results);

        Assert.Equal([-Errno.Eopnotsupp, -Errno.Eopnotsupp], results);
        Assert.False(ring.IsBroken);
    }

    private static Socket Make(UnixDomainSocketEndPoint name)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Bind(name);
        socket.Blocking = false;
        return socket;
    }

    private static byte[] Frame(int round, int number) => [.. Enumerable.Range(0, 10 + (3 * number)).Select(i => (byte)(round + (number * 7) + i))];

    private IoPart Part(int at, int length) => new((nint)Unsafe.AsPointer(ref _buffer[at < _buffer.Length ? at : 0]), length);

    private int[] Submit(int count)
    {
        int[] results = new int[count];
        _ring!.Submit(results);
        return results;
    }

    private byte[] Take()
    {
        byte[] frame = new byte[Slot];
        return frame[.._far.Receive(frame)];
    }
}
