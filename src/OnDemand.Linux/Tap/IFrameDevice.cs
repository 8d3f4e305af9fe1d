using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Tap;

/// <summary>Where frames come from and go to. Each has a <see cref="VirtioNetHeader"/> before it. Neither way ever blocks.</summary>
internal interface IFrameDevice
{
    /// <summary>What poll(2) waits on.</summary>
    int Descriptor { get; }

    /// <summary>The hardware address that frames for the host must have as their destination; the kernel throws others away.</summary>
    MacAddress HardwareAddress { get; }

    /// <summary>What the kernel leaves to us, and takes from us, undone.</summary>
    TapOffloads Offloads { get; }

    /// <summary>Whether many frames can be read or written with one system call.</summary>
    bool HasRing { get; }

    /// <summary>Tries to have many frames read and written with one system call from now on, by the calling thread alone.</summary>
    void OpenRing();

    /// <summary>Each frame takes a system call of its own again, of any thread. Only by the thread that opened the ring.</summary>
    void CloseRing();

    /// <summary>Takes one frame.</summary>
    /// <param name="buffer">Room for the header and the frame.</param>
    /// <returns>Octets, the header's included; or the negative errno, <c>-EAGAIN</c> if there is none.</returns>
    int Read(Span<byte> buffer);

    /// <summary>Takes frames until there are none, or no room. Only with <see cref="HasRing"/>.</summary>
    /// <param name="buffer">Room that does not move: for each frame as much, one behind the other.</param>
    /// <param name="stride">Room for each frame.</param>
    /// <param name="results">For each frame: octets, or the negative errno; after a failure nothing.</param>
    void Read(Span<byte> buffer, int stride, Span<int> results);

    /// <summary>Gives one frame to the kernel.</summary>
    /// <param name="frame">The header and the frame.</param>
    /// <returns>Octets; or the negative errno.</returns>
    int Write(ReadOnlySpan<byte> frame);

    /// <summary>Gives frames to the kernel, in order.</summary>
    /// <param name="parts">The parts of all frames, which do not move; the table does not either.</param>
    /// <param name="frames">The frames; their results are filled in.</param>
    void Write(ReadOnlySpan<IoPart> parts, Span<FrameWrite> frames);

    /// <summary>Reads the hardware address again, which somebody has changed.</summary>
    void RefreshHardwareAddress();
}
