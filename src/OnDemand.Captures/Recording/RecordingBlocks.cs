using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using OnDemand.Captures.Files;

namespace OnDemand.Captures.Recording;

/// <summary>Which way a frame crosses an interface, seen from the dataplane's host (epb_flags).</summary>
internal enum FrameDirection : byte
{
    /// <summary>It does not say.</summary>
    None,

    /// <summary>Towards the host.</summary>
    Inbound,

    /// <summary>Towards the network.</summary>
    Outbound,
}

/// <summary>Appends the pcapng blocks of a recording to a buffer: names and directions, which a copied capture brings along itself.</summary>
/// <param name="output">The buffer.</param>
internal sealed class RecordingBlocks(ArrayBufferWriter<byte> output)
{
    private const ushort NameOption = 2;             // if_name, shb_userappl has 4
    private const ushort DescriptionOption = 3;      // if_description
    private const ushort ApplicationOption = 4;      // shb_userappl
    private const ushort FlagsOption = 2;            // epb_flags
    private const byte NanosecondTicks = 9;

    /// <summary>Appends the Section Header Block.</summary>
    /// <param name="application">The program that writes it.</param>
    public void Section(string application)
    {
        int length = PcapNg.ShortestSectionBlock + TextLength(application) + 4;
        Span<byte> block = Begin(PcapNg.SectionHeader, length);
        BinaryPrimitives.WriteUInt32LittleEndian(block[8..], PcapNg.ByteOrderMagic);
        BinaryPrimitives.WriteUInt16LittleEndian(block[12..], PcapNg.MajorVersion);
        BinaryPrimitives.WriteUInt64LittleEndian(block[PcapNg.SectionLengthOffset..], ulong.MaxValue);
        _ = Text(block[24..], ApplicationOption, application);
        output.Advance(length);
    }

    /// <summary>Appends an Interface Description Block with nanoseconds.</summary>
    /// <param name="linkType">The LINKTYPE_ value.</param>
    /// <param name="name">The interface's name.</param>
    /// <param name="description">What it is.</param>
    public void Interface(ushort linkType, string name, string description)
    {
        int length = PcapNg.ShortestInterfaceBlock + TextLength(name) + TextLength(description) + 8 + 4;
        Span<byte> block = Begin(PcapNg.InterfaceDescription, length);
        BinaryPrimitives.WriteUInt16LittleEndian(block[8..], linkType);
        Span<byte> rest = Text(block[16..], NameOption, name);
        rest = Text(rest, DescriptionOption, description);
        BinaryPrimitives.WriteUInt16LittleEndian(rest, PcapNg.TimestampResolutionOption);
        BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], 1);
        rest[4] = NanosecondTicks;
        output.Advance(length);
    }

    /// <summary>Appends an Enhanced Packet Block.</summary>
    /// <param name="interfaceIndex">The interface.</param>
    /// <param name="direction">The direction.</param>
    /// <param name="time">Nanoseconds since 1970.</param>
    /// <param name="data">The packet.</param>
    /// <param name="linkAddresses">The twelve octets that its first ones are replaced by; empty to leave them.</param>
    /// <param name="comment">A comment of at most 65,535 octets; empty for none.</param>
    public void Packet(
        int interfaceIndex, FrameDirection direction, long time, ReadOnlySpan<byte> data, ReadOnlySpan<byte> linkAddresses, string comment)
    {
        bool hasFlags = direction != FrameDirection.None;
        int options = (comment.Length > 0 ? TextLength(comment) : 0) + (hasFlags ? 8 : 0);
        int length = PcapNg.ShortestPacketBlock + PcapNg.Padded(data.Length) + options + (options > 0 ? 4 : 0);
        Span<byte> block = Begin(PcapNg.EnhancedPacket, length);
        BinaryPrimitives.WriteUInt32LittleEndian(block[8..], (uint)interfaceIndex);
        BinaryPrimitives.WriteUInt32LittleEndian(block[PcapNg.TimestampOffset..], (uint)((ulong)time >> 32));
        BinaryPrimitives.WriteUInt32LittleEndian(block[16..], (uint)time);
        BinaryPrimitives.WriteUInt32LittleEndian(block[20..], (uint)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(block[24..], (uint)data.Length);
        Span<byte> packet = block.Slice(PcapNg.PacketDataOffset, data.Length);
        data.CopyTo(packet);
        linkAddresses[..Math.Min(linkAddresses.Length, packet.Length)].CopyTo(packet);
        Span<byte> rest = block[(PcapNg.PacketDataOffset + PcapNg.Padded(data.Length))..];
        if (comment.Length > 0)
        {
            rest = Text(rest, PcapNg.CommentOption, comment);
        }

        if (hasFlags)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(rest, FlagsOption);
            BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], sizeof(uint));
            BinaryPrimitives.WriteUInt32LittleEndian(rest[4..], (uint)direction);
        }

        output.Advance(length);
    }

    /// <summary>Reads direction and comment out of an Enhanced Packet Block.</summary>
    /// <param name="record">The block.</param>
    /// <param name="direction">Its direction.</param>
    /// <param name="comment">Its first comment; empty if it has none.</param>
    public static void ReadOptions(in CaptureRecord record, out FrameDirection direction, out string comment)
    {
        direction = FrameDirection.None;
        comment = string.Empty;
        ReadOnlySpan<byte> rest = record.Octets[(record.DataOffset + PcapNg.Padded(record.CapturedLength))..^4];
        while (rest.Length >= 4)
        {
            ushort code = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            int length = BinaryPrimitives.ReadUInt16LittleEndian(rest[2..]);
            if (code == 0 || length > rest.Length - 4)
            {
                break;
            }

            ReadOnlySpan<byte> value = rest.Slice(4, length);
            if (code == FlagsOption && length == sizeof(uint))
            {
                uint flags = BinaryPrimitives.ReadUInt32LittleEndian(value) & 3;
                direction = flags == 3 ? FrameDirection.None : (FrameDirection)flags;
            }
            else if (code == PcapNg.CommentOption && comment.Length == 0)
            {
                comment = Encoding.UTF8.GetString(value);
            }

            rest = rest[Math.Min(rest.Length, 4 + PcapNg.Padded(length))..];
        }
    }

    /// <summary>Reads the description of an Interface Description Block in little-endian order.</summary>
    /// <param name="block">The block.</param>
    /// <param name="name">The interface's name; empty if it has none.</param>
    /// <returns>The description; empty if it has none.</returns>
    public static string ReadDescription(ReadOnlySpan<byte> block, out string name)
    {
        name = string.Empty;
        string description = string.Empty;
        ReadOnlySpan<byte> rest = block[16..^4];
        while (rest.Length >= 4)
        {
            ushort code = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            int length = BinaryPrimitives.ReadUInt16LittleEndian(rest[2..]);
            if (code == 0 || length > rest.Length - 4)
            {
                break;
            }

            if (code is NameOption or DescriptionOption)
            {
                string text = Encoding.UTF8.GetString(rest.Slice(4, length));
                name = code == NameOption ? text : name;
                description = code == DescriptionOption ? text : description;
            }

            rest = rest[Math.Min(rest.Length, 4 + PcapNg.Padded(length))..];
        }

        return description;
    }

    private static int TextLength(string text) => 4 + PcapNg.Padded(Encoding.UTF8.GetByteCount(text));

    private static Span<byte> Text(Span<byte> destination, ushort code, string text)
    {
        int length = Encoding.UTF8.GetBytes(text, destination[4..]);
        BinaryPrimitives.WriteUInt16LittleEndian(destination, code);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[2..], (ushort)length);
        return destination[(4 + PcapNg.Padded(length))..];
    }

    private Span<byte> Begin(uint type, int length)
    {
        Span<byte> block = output.GetSpan(length)[..length];
        block.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(block, type);
        BinaryPrimitives.WriteUInt32LittleEndian(block[4..], (uint)length);
        BinaryPrimitives.WriteUInt32LittleEndian(block[^4..], (uint)length);
        return block;
    }
}
