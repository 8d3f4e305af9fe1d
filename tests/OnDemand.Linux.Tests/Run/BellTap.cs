using OnDemand.Linux.Interop;
using OnDemand.Linux.Run;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Tests.Run;

/// <summary>A TAP in memory for a thread that waits for its frames: it can be polled, and used from any thread.</summary>
internal sealed class BellTap : IFrameDevice, IDisposable
{
    private readonly MemoryTap _tap = new();
    private readonly WakeUp _bell = new();
    private readonly Lock _lock = new();

    /// <summary>What reading throws; null for nothing.</summary>
    public Exception? Fails { get; set; }

    public int ReadResult
    {
        set => _tap.ReadResult = value;
    }

    public int Descriptor => _bell.Descriptor;

    public MacAddress HardwareAddress => _tap.HardwareAddress;

    public TapOffloads Offloads => TapOffloads.None;

    public bool HasRing => false;

    public void OpenRing() => _tap.OpenRing();

    public void CloseRing() => _tap.CloseRing();

    public void RefreshHardwareAddress()
    {
        // It stays.
    }

    public void Put(byte[] frame, bool silently = false)
    {
        lock (_lock)
        {
            _tap.Put(frame);
        }

        if (!silently)
        {
            _bell.Ring();
        }
    }

    public void Ring() => _bell.Ring();

    /// <summary>The frames written, once there are as many.</summary>
    public byte[][] Await(int count)
    {
        byte[][] written = [];
        bool there = SpinWait.SpinUntil(
            () =>
            {
                lock (_lock)
                {
                    written = [.. _tap.Written.Select(whole => whole[VirtioNetHeader.Length..])];
                }

                return written.Length >= count;
            },
            TimeSpan.FromSeconds(30));
        return there ? written : throw new TimeoutException($"{written.Length} frames of {count} were written.");
    }

    public int Read(Span<byte> buffer)
    {
        _bell.Answer();                              // before the look: what is put in later rings again
        lock (_lock)
        {
            return Fails is null ? _tap.Read(buffer) : throw Fails;
        }
    }

    public void Read(Span<byte> buffer, int stride, Span<int> results) => results.Fill(-Errno.Eopnotsupp);

    public int Write(ReadOnlySpan<byte> frame)
    {
        lock (_lock)
        {
            return _tap.Write(frame);
        }
    }

    public void Write(ReadOnlySpan<IoPart> parts, Span<FrameWrite> frames)
    {
        lock (_lock)
        {
            _tap.Write(parts, frames);
        }
    }

    public void Dispose() => _bell.Dispose();
}
