using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Unicode;

namespace OnDemand.Captures.Files;

/// <summary>Writes a pcapng file.</summary>
internal sealed class PcapNgSink(OutputBatch batch, bool changesLengths) : CaptureSink(batch)
{
    private const int DropCountOptionLength = 12;
    private const ushort UnknownDropCount = ushort.MaxValue;   // the obsolete Packet Block's way to say "not counted"

    private readonly List<CaptureInterface> _interfaces = [];
    private ByteOrder _order;
    private int _sectionBase;      // index of the section's first interface
    private bool _insideBlock;     // a large block is under way

    public override CaptureFormat Format => CaptureFormat.PcapNg;

    public override bool IsInsideBlock => _insideBlock;

    public override void Begin(ushort linkType, ByteOrder order)
    {
        _order = order;
        WriteSectionHeader();
        WriteInterface(linkType, snapLength: 0, TimestampResolution.Nanoseconds);
    }

    public override int AddInterface(ushort linkType, TimestampResolution resolution)
    {
        RefuseInsideBlock();
        WriteInterface(linkType, snapLength: 0, resolution);
        return _interfaces.Count - 1;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override int Append(in CaptureRecord record, long? newTimestamp, ReadOnlySpan<char> comment)
    {
        if (record.Format != CaptureFormat.PcapNg)
        {
            return AppendConverted(record, newTimestamp, comment);
        }

        if (record.Kind != CaptureRecordKind.Packet)
        {
            AppendStructure(record);
            return NoPacket;
        }

        bool hasNoTime = !record.HasTimestamp && newTimestamp is null;
        if (!comment.IsEmpty && !hasNoTime)
        {
            return AppendCommented(record, newTimestamp, comment);
        }

        int at = AppendRaw(record);
        if (newTimestamp is long timestamp && record.HasTimestamp)
        {
            ulong ticks = _interfaces[record.InterfaceIndex].FromNanoseconds(timestamp);
            WriteTicks(Batch.Written[(at - record.DataOffset + PcapNg.TimestampOffset)..], ticks);
        }

        return at;
    }

    public override int AppendPacket(
        int interfaceIndex,
        long timestamp,
        uint originalLength,
        ReadOnlySpan<byte> data,
        ReadOnlySpan<char> comment)
    {
        RefuseInsideBlock();
        ArgumentOutOfRangeException.ThrowIfLessThan(interfaceIndex, _sectionBase);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(interfaceIndex, _interfaces.Count);
        ulong ticks = _interfaces[interfaceIndex].FromNanoseconds(timestamp);
        return WriteEnhancedPacket(interfaceIndex, ticks, originalLength, data, comment, dropCount: 0, options: default);
    }

    public override void Complete()
    {
    }

    private void AppendStructure(in CaptureRecord record)
    {
        AppendRaw(record);
        _insideBlock = record.Remaining > 0;
        switch (record.Kind)
        {
            case CaptureRecordKind.Header:
                _order = record.Order;
                _sectionBase = _interfaces.Count;
                if (changesLengths)
                {
                    int start = Batch.Length - record.Octets.Length;
                    _order.WriteUInt64(Batch.Written[(start + PcapNg.SectionLengthOffset)..], ulong.MaxValue);
                }

                break;
            case CaptureRecordKind.Interface:
                _interfaces.Add(CaptureInterface.Read(record.Octets, record.Order, _interfaces.Count));
                break;
            default:
                break;
        }
    }

    // A comment goes before the options there are, which stay as they are; an older block becomes an Enhanced Packet Block.
    private int AppendCommented(in CaptureRecord record, long? newTimestamp, ReadOnlySpan<char> comment)
    {
        CaptureInterface source = _interfaces[record.InterfaceIndex];
        ulong ticks = newTimestamp is long timestamp
            ? source.FromNanoseconds(timestamp)
            : ((ulong)_order.ReadUInt32(record.Octets[PcapNg.TimestampOffset..]) << 32) | _order.ReadUInt32(record.Octets[16..]);
        ReadOnlySpan<byte> options = record.Octets[(record.DataOffset + PcapNg.Padded(record.CapturedLength))..^4];
        ushort dropCount = 0;
        switch (_order.ReadUInt32(record.Octets))
        {
            case PcapNg.ObsoletePacket:
                dropCount = _order.ReadUInt16(record.Octets[10..]);
                break;
            case PcapNg.SimplePacket:
                options = default;   // it has none; what follows the data is padding
                break;
            default:
                break;
        }

        return WriteEnhancedPacket(record.InterfaceIndex, ticks, record.OriginalLength, record.Data, comment, dropCount, options);
    }

    private int AppendConverted(in CaptureRecord record, long? newTimestamp, ReadOnlySpan<char> comment)
    {
        if (record.Kind == CaptureRecordKind.Packet)
        {
            ulong ticks = _interfaces[0].FromNanoseconds(newTimestamp ?? record.Timestamp);
            return WriteEnhancedPacket(0, ticks, record.OriginalLength, record.Data, comment, dropCount: 0, options: default);
        }

        _order = record.Order;
        WriteSectionHeader();
        uint snapLength = _order.ReadUInt32(record.Octets[16..]);
        WriteInterface(record.LinkType, snapLength, Pcap.GetResolution(record.Format));
        return NoPacket;
    }

    private void WriteSectionHeader()
    {
        Span<byte> block = BeginBlock(PcapNg.SectionHeader, PcapNg.ShortestSectionBlock);
        _order.WriteUInt32(block[8..], PcapNg.ByteOrderMagic);
        _order.WriteUInt16(block[12..], PcapNg.MajorVersion);
        _order.WriteUInt64(block[PcapNg.SectionLengthOffset..], ulong.MaxValue);
        _sectionBase = _interfaces.Count;
    }

    private void WriteInterface(ushort linkType, uint snapLength, TimestampResolution resolution)
    {
        const int OptionsLength = 8 + 4;
        Span<byte> block = BeginBlock(PcapNg.InterfaceDescription, PcapNg.ShortestInterfaceBlock + OptionsLength);
        _order.WriteUInt16(block[8..], linkType);
        _order.WriteUInt32(block[12..], snapLength);
        _order.WriteUInt16(block[16..], PcapNg.TimestampResolutionOption);
        _order.WriteUInt16(block[18..], 1);
        block[20] = resolution.Code;
        _interfaces.Add(new CaptureInterface(_interfaces.Count, linkType, snapLength, resolution, offsetSeconds: 0));
    }

    private int WriteEnhancedPacket(
        int interfaceIndex,
        ulong ticks,
        uint originalLength,
        ReadOnlySpan<byte> data,
        ReadOnlySpan<char> comment,
        ushort dropCount,
        ReadOnlySpan<byte> options)
    {
        comment = CutComment(comment, out int commentLength);
        bool hasDropCount = dropCount is not (0 or UnknownDropCount);
        int added = (commentLength > 0 ? 4 + PcapNg.Padded(commentLength) : 0) + (hasDropCount ? DropCountOptionLength : 0);
        int endLength = added > 0 && options.IsEmpty ? 4 : 0;
        int padded = PcapNg.Padded(data.Length);
        int total = checked(PcapNg.ShortestPacketBlock + padded + added + options.Length + endLength);

        Span<byte> block = BeginBlock(PcapNg.EnhancedPacket, total);
        _order.WriteUInt32(block[8..], (uint)(interfaceIndex - _sectionBase));
        WriteTicks(block[PcapNg.TimestampOffset..], ticks);
        _order.WriteUInt32(block[20..], (uint)data.Length);
        _order.WriteUInt32(block[24..], originalLength);
        data.CopyTo(block[PcapNg.PacketDataOffset..]);

        Span<byte> rest = block[(PcapNg.PacketDataOffset + padded)..];
        if (commentLength > 0)
        {
            _order.WriteUInt16(rest, PcapNg.CommentOption);
            _order.WriteUInt16(rest[2..], (ushort)commentLength);
            Utf8.FromUtf16(comment, rest.Slice(4, commentLength), out _, out _);
            rest = rest[(4 + PcapNg.Padded(commentLength))..];
        }

        if (hasDropCount)
        {
            _order.WriteUInt16(rest, PcapNg.DropCountOption);
            _order.WriteUInt16(rest[2..], sizeof(ulong));
            _order.WriteUInt64(rest[4..], dropCount);
            rest = rest[DropCountOptionLength..];
        }

        options.CopyTo(rest);   // where there are none, the four octets of zero are the end of the options
        return Batch.Length - total + PcapNg.PacketDataOffset;
    }

    private Span<byte> BeginBlock(uint type, int length)
    {
        Span<byte> block = Batch.Append(length);
        block.Clear();
        _order.WriteUInt32(block, type);
        _order.WriteUInt32(block[4..], (uint)length);
        _order.WriteUInt32(block[^4..], (uint)length);
        return block;
    }

    private void WriteTicks(Span<byte> destination, ulong ticks)
    {
        _order.WriteUInt32(destination, (uint)(ticks >> 32));
        _order.WriteUInt32(destination[4..], (uint)ticks);
    }

    private void RefuseInsideBlock()
    {
        if (_insideBlock)
        {
            throw new InvalidOperationException("A packet cannot be added while the pieces of a large block are being appended.");
        }
    }

    // An option's value is at most 65,535 octets; a longer comment ends with the last whole character that fits.
    private static ReadOnlySpan<char> CutComment(ReadOnlySpan<char> comment, out int length)
    {
        length = Encoding.UTF8.GetByteCount(comment);
        if (length <= ushort.MaxValue)
        {
            return comment;
        }

        length = 0;
        int taken = 0;
        while (Rune.DecodeFromUtf16(comment[taken..], out Rune rune, out int consumed) != OperationStatus.NeedMoreData
            && length + rune.Utf8SequenceLength <= ushort.MaxValue)
        {
            length += rune.Utf8SequenceLength;
            taken += consumed;
        }

        return comment[..taken];
    }
}
