using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Tests.Run;

/// <summary>A TAP in memory: frames are put in by the test and taken out again.</summary>
internal sealed class MemoryTap : IFrameDevice
{
    private readonly Queue<byte[]> _toRead = new();
    private readonly byte[] _together = new byte[1 << 17];

    public static MacAddress Address { get; } = new(0x0011_2233_4455);

    /// <summary>Frames written, with their headers; not kept while <see cref="Keeps"/> is off.</summary>
    public List<byte[]> Written { get; } = [];

    public bool Keeps { get; set; } = true;

    public int WriteResult { get; set; }

    public int ReadResult { get; set; } = -Errno.Eagain;

    /// <summary>What each read of many frames gives instead of a frame; 0 for frames.</summary>
    public int RingResult { get; init; }

    public int Writes { get; private set; }

    /// <summary>How many frames are taken before nothing is taken any more.</summary>
    public int Room { get; set; } = int.MaxValue;

    /// <summary>Superpackets that were put together for writing are refused, those that were read are not.</summary>
    public bool RefusesMade { get; set; }

    public int Descriptor => -1;

    public TapOffloads Offloads { get; init; }

    public bool HasRing { get; init; }

    public MacAddress HardwareAddress { get; private set; } = Address;

    public void Put(byte[] frame, VirtioNetHeader header = default)
    {
        byte[] whole = new byte[VirtioNetHeader.Length + frame.Length];
        header.Write(whole);
        frame.CopyTo(whole, VirtioNetHeader.Length);
        _toRead.Enqueue(whole);
    }

    /// <summary>Puts something in that was put in before, without making anything.</summary>
    public void PutWhole(byte[] whole) => _toRead.Enqueue(whole);

    public int Read(Span<byte> buffer)
    {
        if (!_toRead.TryDequeue(out byte[]? whole))
        {
            return ReadResult;
        }

        whole.CopyTo(buffer);
        return whole.Length;
    }

    /// <summary>Puts something in before all that is there.</summary>
    public void PutFirst(IEnumerable<byte[]> first)
    {
        byte[][] then = [.. _toRead];
        _toRead.Clear();
        foreach (byte[] whole in first.Concat(then))
        {
            _toRead.Enqueue(whole);
        }
    }

    public void OpenRing()
    {
        // It is there, or not.
    }

    public void CloseRing()
    {
        // As above.
    }

    public void Read(Span<byte> buffer, int stride, Span<int> results)
    {
        for (int i = 0; i < results.Length; i++)
        {
            results[i] = RingResult < 0 ? RingResult : Read(buffer.Slice(i * stride, stride));
        }
    }

    public int Write(ReadOnlySpan<byte> frame)
    {
        Writes++;
        int result = Writes > Room ? -Errno.Enobufs : WriteResult;
        if (Keeps && result >= 0)
        {
            Written.Add(frame.ToArray());
        }

        return result < 0 ? result : frame.Length;
    }

    public unsafe void Write(ReadOnlySpan<IoPart> parts, Span<FrameWrite> frames)
    {
        foreach (ref FrameWrite frame in frames)
        {
            int length = 0;
            foreach (IoPart part in parts.Slice(frame.First, frame.Count))
            {
                new ReadOnlySpan<byte>((void*)part.Start, (int)part.Length).CopyTo(_together.AsSpan(length));
                length += (int)part.Length;
            }

            bool refused = RefusesMade && frame.Count > 1;
            Writes += refused ? 1 : 0;
            frame.Result = refused ? -Errno.Einval : Write(_together.AsSpan(0, length));
        }
    }

    public void RefreshHardwareAddress() => HardwareAddress = new MacAddress(0x00ff_ffff_ff00);
}
