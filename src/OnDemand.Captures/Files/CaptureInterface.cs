namespace OnDemand.Captures.Files;

/// <summary>An interface on which packets of a capture file were seen: a pcapng Interface Description Block, or what the header of a
/// pcap file says of its only one.</summary>
public sealed class CaptureInterface
{
    // The two resolutions nearly every file has need no 128-bit arithmetic, as long as nothing can overflow; 0 safe ticks mark the
    // others.
    private readonly ulong _unit;
    private readonly ulong _safeTicks;

    /// <summary>Describes an interface.</summary>
    /// <param name="index">The index over all sections of the file, from 0.</param>
    /// <param name="linkType">The LINKTYPE_ value.</param>
    /// <param name="snapLength">The largest captured length in octets; 0 for unlimited.</param>
    /// <param name="resolution">The length of a timestamp tick.</param>
    /// <param name="offsetSeconds">Seconds to be added to every timestamp.</param>
    public CaptureInterface(int index, ushort linkType, uint snapLength, TimestampResolution resolution, long offsetSeconds)
    {
        Index = index;
        LinkType = linkType;
        SnapLength = snapLength;
        Resolution = resolution;
        OffsetSeconds = offsetSeconds;
        _unit = resolution == TimestampResolution.Microseconds ? 1_000UL : 1UL;
        bool simple = offsetSeconds == 0 && resolution.Code is 6 or 9;
        _safeTicks = simple ? long.MaxValue / _unit : 0;
    }

    /// <summary>The index over all sections of the file, from 0.</summary>
    public int Index { get; }

    /// <summary>The LINKTYPE_ value; see <see cref="Link.LinkType"/>.</summary>
    public ushort LinkType { get; }

    /// <summary>The largest captured length in octets; 0 for unlimited.</summary>
    public uint SnapLength { get; }

    /// <summary>The length of a timestamp tick (if_tsresol).</summary>
    public TimestampResolution Resolution { get; }

    /// <summary>Seconds to be added to every timestamp (if_tsoffset).</summary>
    public long OffsetSeconds { get; }

    /// <summary>The time of a tick count, in nanoseconds since 1970, rounded down.</summary>
    /// <param name="ticks">The tick count as it stands in the file.</param>
    /// <returns>The time.</returns>
    public long ToNanoseconds(ulong ticks) =>
        ticks < _safeTicks ? (long)(ticks * _unit) : Resolution.ToNanoseconds(ticks, OffsetSeconds);

    /// <summary>The tick count of a time; see <see cref="TimestampResolution.FromNanoseconds"/>.</summary>
    /// <param name="nanoseconds">Nanoseconds since 1970.</param>
    /// <returns>The tick count as it is to stand in the file.</returns>
    public ulong FromNanoseconds(long nanoseconds) =>
        _safeTicks != 0 && nanoseconds >= 0 ? (ulong)nanoseconds / _unit : Resolution.FromNanoseconds(nanoseconds, OffsetSeconds);

    /// <summary>Reads an Interface Description Block whose lengths were checked.</summary>
    /// <param name="block">The whole block, at least <see cref="PcapNg.ShortestInterfaceBlock"/> octets.</param>
    /// <param name="order">The section's byte order.</param>
    /// <param name="index">The index to give to the interface.</param>
    /// <returns>The interface.</returns>
    internal static CaptureInterface Read(ReadOnlySpan<byte> block, ByteOrder order, int index)
    {
        TimestampResolution resolution = TimestampResolution.Microseconds;
        long offsetSeconds = 0;
        ReadOnlySpan<byte> options = block[16..^4];
        while (options.Length >= 4)
        {
            ushort code = order.ReadUInt16(options);
            int length = order.ReadUInt16(options[2..]);
            if (code == 0)
            {
                break;
            }

            // An option that says it is longer than the block is read as far as it goes, and ends the list.
            ReadOnlySpan<byte> value = options.Slice(4, Math.Min(length, options.Length - 4));
            if (code == PcapNg.TimestampResolutionOption && !value.IsEmpty)
            {
                resolution = new TimestampResolution(value[0]);
            }
            else if (code == PcapNg.TimestampOffsetOption && value.Length == 8)
            {
                offsetSeconds = order.ReadInt64(value);
            }

            options = options[Math.Min(options.Length, 4 + PcapNg.Padded(length))..];
        }

        return new CaptureInterface(index, order.ReadUInt16(block[8..]), order.ReadUInt32(block[12..]), resolution, offsetSeconds);
    }
}
