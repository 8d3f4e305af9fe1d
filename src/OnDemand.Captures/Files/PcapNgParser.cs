using System.Runtime.CompilerServices;

namespace OnDemand.Captures.Files;

/// <summary>Cuts a pcapng file into its blocks.</summary>
/// <remarks>
/// A block is judged whole before it is delivered, except one that is neither packet nor interface and longer than
/// <see cref="CaptureReaderOptions.PieceLength"/>: its pieces leave as they come, and its second length is compared when the last does.
/// </remarks>
internal sealed class PcapNgParser(CaptureReaderOptions options) : CaptureParser(options)
{
    private ByteOrder _order;
    private int _sectionBase;          // index of the section's first interface

    // A large block under way: nothing else is parsed until _remaining is 0.
    private long _remaining;
    private uint _largeLength;
    private long _largeOffset;

    public override CaptureFormat Format => CaptureFormat.PcapNg;

    public override int Measure(ReadOnlySpan<byte> window)
    {
        if (_remaining > 0)
        {
            return (int)Math.Min(_remaining, Options.PieceLength);
        }

        if (window.Length < PcapNg.ShortestBlock || !TryGetOrder(window, out ByteOrder order))
        {
            return PcapNg.ShortestBlock;
        }

        // What is wrong already needs no more octets.
        uint total = order.ReadUInt32(window[4..]);
        bool buffered = IsBuffered(order.ReadUInt32(window));
        return !IsLength(total) || (buffered && total > Options.MaxRecordLength) ? PcapNg.ShortestBlock
            : buffered ? (int)total
            : (int)Math.Min(total, Options.PieceLength);
    }

    public override bool IsAtPacket(ReadOnlySpan<byte> window) =>
        _remaining == 0 && window.Length >= PcapNg.ShortestBlock
        && _order.ReadUInt32(window) is PcapNg.EnhancedPacket or PcapNg.SimplePacket or PcapNg.ObsoletePacket;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override int Parse(ReadOnlySpan<byte> window, long offset, out CaptureRecord record)
    {
        record = default;
        if (_remaining > 0)
        {
            return ParsePiece(window, offset, out record);
        }

        if (window.Length < PcapNg.ShortestBlock)
        {
            return 0;
        }

        if (!TryGetOrder(window, out ByteOrder order))
        {
            return Stop(Damages.ByteOrderMagic(offset));
        }

        uint type = order.ReadUInt32(window);
        uint total = order.ReadUInt32(window[4..]);
        if (!IsLength(total))
        {
            return Stop(Damages.BlockLength(offset, total));
        }

        if (IsBuffered(type))
        {
            if (total > Options.MaxRecordLength)
            {
                return Stop(Damages.BlockTooLong(offset, total, Options.MaxRecordLength));
            }
        }
        else if (total > Options.PieceLength)
        {
            return BeginLargeBlock(window, offset, order, total, out record);
        }

        if (window.Length < total)
        {
            return 0;
        }

        ReadOnlySpan<byte> block = window[..(int)total];
        uint repeated = order.ReadUInt32(block[^4..]);
        if (repeated != total)
        {
            return Stop(Damages.LengthsDisagree(offset, total, repeated));
        }

        return type switch
        {
            PcapNg.EnhancedPacket or PcapNg.ObsoletePacket => ParsePacket(block, offset, type, out record),
            PcapNg.SimplePacket => ParseSimplePacket(block, offset, out record),
            PcapNg.InterfaceDescription => ParseInterface(block, offset, out record),
            PcapNg.SectionHeader => ParseSection(block, offset, order, out record),
            _ => Deliver(block, offset, CaptureRecordKind.Other, out record),
        };
    }

    public override CaptureDamage? JudgeEnd(ReadOnlySpan<byte> window, long offset)
    {
        if (_remaining > 0)
        {
            return Damages.BlockPastTheEnd(_largeOffset, _largeLength, offset + window.Length - _largeOffset);
        }

        if (window.IsEmpty)
        {
            return null;
        }

        if (window.Length < PcapNg.ShortestBlock)
        {
            return Damages.BlockHeaderCutShort(offset, window.Length);
        }

        _ = TryGetOrder(window, out ByteOrder order);
        return Damages.BlockPastTheEnd(offset, order.ReadUInt32(window[4..]), window.Length);
    }

    // Packets are rewritten and interfaces are read, so these are always delivered whole.
    private static bool IsBuffered(uint type) =>
        type is PcapNg.EnhancedPacket or PcapNg.SimplePacket or PcapNg.ObsoletePacket or PcapNg.InterfaceDescription;

    private static bool IsLength(uint total) => total >= PcapNg.ShortestBlock && total % 4 == 0;

    // A section header brings its own byte order; its type reads the same in both.
    private bool TryGetOrder(ReadOnlySpan<byte> window, out ByteOrder order)
    {
        order = _order;
        if (order.ReadUInt32(window) != PcapNg.SectionHeader)
        {
            return true;
        }

        order = new ByteOrder(window[8] == PcapNg.ByteOrderMagic >> 24);
        return order.ReadUInt32(window[8..]) == PcapNg.ByteOrderMagic;
    }

    private int BeginLargeBlock(ReadOnlySpan<byte> window, long offset, ByteOrder order, uint total, out CaptureRecord record)
    {
        record = default;
        if (window.Length < Options.PieceLength)
        {
            return 0;
        }

        ReadOnlySpan<byte> piece = window[..Options.PieceLength];
        int taken = order.ReadUInt32(window) == PcapNg.SectionHeader
            ? ParseSection(piece, offset, order, out record)
            : Deliver(piece, offset, CaptureRecordKind.Other, out record);
        if (taken > 0)
        {
            _largeLength = total;
            _largeOffset = offset;
            _remaining = total - taken;
            record = record with { Remaining = _remaining };
        }

        return taken;
    }

    private int ParsePiece(ReadOnlySpan<byte> window, long offset, out CaptureRecord record)
    {
        record = default;
        int length = (int)Math.Min(_remaining, Options.PieceLength);
        if (window.Length < length)
        {
            return 0;
        }

        ReadOnlySpan<byte> piece = window[..length];
        if (length == _remaining)
        {
            // Every length here is a multiple of four, so the last piece holds the second length whole.
            uint repeated = _order.ReadUInt32(piece[^4..]);
            if (repeated != _largeLength)
            {
                return Stop(Damages.LengthsDisagree(_largeOffset, _largeLength, repeated));
            }
        }

        _remaining -= length;
        Deliver(piece, offset, CaptureRecordKind.Other, out record);
        record = record with { Remaining = _remaining };
        return length;
    }

    private int ParseSection(ReadOnlySpan<byte> block, long offset, ByteOrder order, out CaptureRecord record)
    {
        record = default;
        if (block.Length < PcapNg.ShortestSectionBlock)
        {
            return Stop(Damages.BlockTooShort(offset, "section header", PcapNg.ShortestSectionBlock, block.Length));
        }

        ushort major = order.ReadUInt16(block[12..]);
        if (major != PcapNg.MajorVersion)
        {
            return Stop(Damages.Version(offset, "section", major, order.ReadUInt16(block[14..]), PcapNg.MajorVersion));
        }

        _order = order;
        _sectionBase = InterfaceCount;
        return Deliver(block, offset, CaptureRecordKind.Header, out record);
    }

    private int ParseInterface(ReadOnlySpan<byte> block, long offset, out CaptureRecord record)
    {
        record = default;
        if (block.Length < PcapNg.ShortestInterfaceBlock)
        {
            return Stop(Damages.BlockTooShort(offset, "interface block", PcapNg.ShortestInterfaceBlock, block.Length));
        }

        if (InterfaceCount == Options.MaxInterfaces)
        {
            return Stop(Damages.TooManyInterfaces(offset, Options.MaxInterfaces));
        }

        CaptureInterface description = CaptureInterface.Read(block, _order, InterfaceCount);
        AddInterface(description);
        Deliver(block, offset, CaptureRecordKind.Interface, out record);
        record = record with { InterfaceIndex = description.Index, LinkType = description.LinkType };
        return block.Length;
    }

    private int ParsePacket(ReadOnlySpan<byte> block, long offset, uint type, out CaptureRecord record)
    {
        record = default;
        if (block.Length < PcapNg.ShortestPacketBlock)
        {
            return Stop(Damages.BlockTooShort(offset, "packet block", PcapNg.ShortestPacketBlock, block.Length));
        }

        uint number = type == PcapNg.EnhancedPacket ? _order.ReadUInt32(block[8..]) : _order.ReadUInt16(block[8..]);
        if (number >= InterfaceCount - _sectionBase)
        {
            return Stop(Damages.UnknownInterface(offset, number, InterfaceCount - _sectionBase));
        }

        uint captured = _order.ReadUInt32(block[20..]);
        uint room = (uint)(block.Length - PcapNg.ShortestPacketBlock);
        if (captured > room)
        {
            return Stop(Damages.CapturedPastTheBlock(offset, captured, room));
        }

        CaptureInterface source = GetInterface(_sectionBase + (int)number);
        ulong ticks = ((ulong)_order.ReadUInt32(block[PcapNg.TimestampOffset..]) << 32) | _order.ReadUInt32(block[16..]);
        record = new CaptureRecord
        {
            Kind = CaptureRecordKind.Packet,
            Format = CaptureFormat.PcapNg,
            IsBigEndian = _order.IsBigEndian,
            Octets = block,
            FileOffset = offset,
            DataOffset = PcapNg.PacketDataOffset,
            CapturedLength = (int)captured,
            OriginalLength = _order.ReadUInt32(block[24..]),
            InterfaceIndex = source.Index,
            LinkType = source.LinkType,
            HasTimestamp = true,
            Timestamp = source.ToNanoseconds(ticks),
        };
        return block.Length;
    }

    private int ParseSimplePacket(ReadOnlySpan<byte> block, long offset, out CaptureRecord record)
    {
        record = default;
        if (block.Length < PcapNg.ShortestSimplePacketBlock)
        {
            return Stop(Damages.BlockTooShort(offset, "packet block", PcapNg.ShortestSimplePacketBlock, block.Length));
        }

        if (InterfaceCount == _sectionBase)
        {
            // A Simple Packet Block is always of the section's first interface.
            return Stop(Damages.UnknownInterface(offset, number: 0, described: 0));
        }

        // The block does not say how much was captured: all, unless the interface's snap length is shorter.
        CaptureInterface source = GetInterface(_sectionBase);
        uint original = _order.ReadUInt32(block[8..]);
        uint captured = source.SnapLength == 0 ? original : Math.Min(original, source.SnapLength);
        uint room = (uint)(block.Length - PcapNg.ShortestSimplePacketBlock);
        if (captured > room)
        {
            return Stop(Damages.CapturedPastTheBlock(offset, captured, room));
        }

        record = new CaptureRecord
        {
            Kind = CaptureRecordKind.Packet,
            Format = CaptureFormat.PcapNg,
            IsBigEndian = _order.IsBigEndian,
            Octets = block,
            FileOffset = offset,
            DataOffset = PcapNg.SimplePacketDataOffset,
            CapturedLength = (int)captured,
            OriginalLength = original,
            InterfaceIndex = source.Index,
            LinkType = source.LinkType,
        };
        return block.Length;
    }

    private int Deliver(ReadOnlySpan<byte> octets, long offset, CaptureRecordKind kind, out CaptureRecord record)
    {
        record = new CaptureRecord
        {
            Kind = kind,
            Format = CaptureFormat.PcapNg,
            IsBigEndian = _order.IsBigEndian,
            Octets = octets,
            FileOffset = offset,
        };
        return octets.Length;
    }
}
