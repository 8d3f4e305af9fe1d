using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Tests.Run;

/// <summary>A TAP in memory: frames are put in by the test and taken out again.</summary>
internal sealed class MemoryTap : IFrameDevice
{
    private readonly Queue<byte[]> _toRead = new();

    public static MacAddress Address { get; } = new(0x0011_2233_4455);

    /// <summary>Frames written, with their headers; not kept while <see cref="Keeps"/> is off.</summary>
    public List<byte[]> Written { get; } = [];

    public bool Keeps { get; set; } = true;

    public int WriteResult { get; set; }

    public int ReadResult { get; set; } = -Errno.Eagain;

    public int Writes { get; private set; }

    public int Descriptor => -1;

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

    public int Write(ReadOnlySpan<byte> frame)
    {
        Writes++;
        if (Keeps && WriteResult >= 0)
        {
            Written.Add(frame.ToArray());
        }

        return WriteResult < 0 ? WriteResult : frame.Length;
    }

    public void RefreshHardwareAddress() => HardwareAddress = new MacAddress(0x00ff_ffff_ff00);
}
