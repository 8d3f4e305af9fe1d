using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using OnDemand.Captures.Files;

namespace OnDemand.Captures.Recording;

/// <summary>Compares a recording with the one that its replay makes, block by block, and keeps the first difference.</summary>
internal sealed class RecordingComparison
{
    private readonly ArrayBufferWriter<byte> _expected = new();
    private readonly ArrayBufferWriter<byte> _made = new();
    private long _offset;            // of the next block to compare, in the recording

    /// <summary>Blocks that were compared.</summary>
    public long Compared { get; private set; }

    /// <summary>The first difference in words; null while there is none.</summary>
    public string? Difference { get; private set; }

    /// <summary>Takes the next block of the recording.</summary>
    /// <param name="block">The block.</param>
    public void Expect(ReadOnlySpan<byte> block)
    {
        if (Difference is null)
        {
            _expected.Write(block);
        }
    }

    /// <summary>Takes the next blocks that the replay made.</summary>
    /// <param name="blocks">Whole blocks.</param>
    public void Make(ReadOnlySpan<byte> blocks)
    {
        if (Difference is null)
        {
            _made.Write(blocks);
        }
    }

    /// <summary>Compares a step, of which both sides are there.</summary>
    public void Compare()
    {
        ReadOnlySpan<byte> expected = _expected.WrittenSpan;
        ReadOnlySpan<byte> made = _made.WrittenSpan;
        while (Difference is null && !(expected.IsEmpty && made.IsEmpty))
        {
            ReadOnlySpan<byte> old = First(expected);
            ReadOnlySpan<byte> now = First(made);
            Compared++;
            if (!old.SequenceEqual(now))
            {
                Difference = Describe(old, now);
            }

            _offset += old.Length;
            expected = expected[old.Length..];
            made = made[now.Length..];
        }

        _expected.ResetWrittenCount();
        _made.ResetWrittenCount();
    }

    private static ReadOnlySpan<byte> First(ReadOnlySpan<byte> blocks) =>
        blocks.Length < PcapNg.ShortestBlock ? blocks : blocks[..(int)Math.Min((uint)blocks.Length, BinaryPrimitives.ReadUInt32LittleEndian(blocks[4..]))];

    private string Describe(ReadOnlySpan<byte> old, ReadOnlySpan<byte> now)
    {
        string place = string.Create(CultureInfo.InvariantCulture, $"record {Compared} at octet {_offset}");
        if (old.IsEmpty || now.IsEmpty)
        {
            return $"{place}: expected {NameOf(old)}, found {NameOf(now)}";
        }

        int at = old.CommonPrefixLength(now);
        string oldName = NameOf(old);
        string nowName = NameOf(now);
        bool bothPackets = IsPacket(old) && IsPacket(now);
        if (bothPackets && oldName == nowName && at >= PcapNg.PacketDataOffset && at < old.Length && at < now.Length
            && at < PcapNg.PacketDataOffset + BinaryPrimitives.ReadUInt32LittleEndian(old[20..]))
        {
            return string.Create(
                CultureInfo.InvariantCulture,
                $"{place}: octet {at - PcapNg.PacketDataOffset} of the frame was expected to be 0x{old[at]:x2} and is 0x{now[at]:x2} ({oldName})");
        }

        string where = string.Create(CultureInfo.InvariantCulture, $", from octet {_offset + at} of the file on");
        return oldName == nowName ? $"{place}: {oldName} is another{where}" : $"{place}: expected {oldName}, found {nowName}{where}";
    }

    private static bool IsPacket(ReadOnlySpan<byte> block) =>
        block.Length >= PcapNg.ShortestPacketBlock && BinaryPrimitives.ReadUInt32LittleEndian(block) == PcapNg.EnhancedPacket;

    private static string NameOf(ReadOnlySpan<byte> block)
    {
        if (block.IsEmpty)
        {
            return "nothing more";
        }

        if (!IsPacket(block))
        {
            return string.Create(CultureInfo.InvariantCulture, $"a block of type {BinaryPrimitives.ReadUInt32LittleEndian(block)}");
        }

        uint length = BinaryPrimitives.ReadUInt32LittleEndian(block[20..]);
        if (length > block.Length - PcapNg.ShortestPacketBlock)
        {
            return "a damaged packet";
        }

        var record = new CaptureRecord { Octets = block, DataOffset = PcapNg.PacketDataOffset, CapturedLength = (int)length };
        RecordingBlocks.ReadOptions(record, out _, out string comment);
        return comment.Length == 0 ? "a packet without comment"
            : $"'{(comment.StartsWith(RecordingFormat.CommentPrefix, StringComparison.Ordinal) ? comment[RecordingFormat.CommentPrefix.Length..] : comment)}'";
    }
}
