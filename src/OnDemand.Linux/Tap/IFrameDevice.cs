namespace OnDemand.Linux.Tap;

/// <summary>Where frames come from and go to. Each has a <see cref="VirtioNetHeader"/> before it. Neither way ever blocks.</summary>
internal interface IFrameDevice
{
    /// <summary>What poll(2) waits on.</summary>
    int Descriptor { get; }

    /// <summary>The hardware address that frames for the host must have as their destination; the kernel throws others away.</summary>
    MacAddress HardwareAddress { get; }

    /// <summary>Takes one frame.</summary>
    /// <param name="buffer">Room for the header and the frame.</param>
    /// <returns>Octets, the header's included; or the negative errno, <c>-EAGAIN</c> if there is none.</returns>
    int Read(Span<byte> buffer);

    /// <summary>Gives one frame to the kernel.</summary>
    /// <param name="frame">The header and the frame.</param>
    /// <returns>Octets; or the negative errno.</returns>
    int Write(ReadOnlySpan<byte> frame);

    /// <summary>Reads the hardware address again, which somebody has changed.</summary>
    void RefreshHardwareAddress();
}
