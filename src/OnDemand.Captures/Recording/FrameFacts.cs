using System.Globalization;
using System.Text;

namespace OnDemand.Captures.Recording;

/// <summary>What the kernel said of a frame beside its octets.</summary>
/// <param name="PartialChecksum">Whether the checksum field holds the bare pseudo-header sum.</param>
/// <param name="SegmentationType">VIRTIO_NET_HDR_GSO_*; 0 for a frame that is no superpacket.</param>
/// <param name="SegmentSize">Octets of payload in each segment.</param>
/// <param name="Tag">The shell's own number for the frame.</param>
internal readonly record struct FrameFacts(bool PartialChecksum, byte SegmentationType, ushort SegmentSize, long Tag)
{
    private const string PlacePart = "in ";
    private const string PartialPart = "partial checksum";
    private const string SegmentsPart = "segments of ";
    private const string TypePart = " as gso ";
    private const string TagPart = "tag 0x";

    /// <summary>Writes the beginning of an input's comment.</summary>
    /// <param name="text">Where to.</param>
    /// <param name="place">The frame's place in its batch.</param>
    public void Write(StringBuilder text, int place)
    {
        text.Append(CultureInfo.InvariantCulture, $"{RecordingFormat.CommentPrefix}{PlacePart}{place}");
        if (PartialChecksum)
        {
            text.Append("; ").Append(PartialPart);
        }

        if (SegmentationType != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {SegmentsPart}{SegmentSize}{TypePart}{SegmentationType}");
        }

        if (Tag != 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"; {TagPart}{Tag:x16}");
        }
    }

    /// <summary>Reads an input's comment.</summary>
    /// <param name="comment">The comment.</param>
    /// <param name="place">The frame's place in its batch.</param>
    /// <param name="facts">What the kernel said.</param>
    /// <returns>Whether it is the comment of an input.</returns>
    public static bool TryRead(string comment, out int place, out FrameFacts facts)
    {
        facts = default;
        place = 0;
        string[] parts = comment.Split("; ");
        const string head = RecordingFormat.CommentPrefix + PlacePart;
        if (!parts[0].StartsWith(head, StringComparison.Ordinal)
            || !int.TryParse(parts[0].AsSpan(head.Length), NumberStyles.None, CultureInfo.InvariantCulture, out place))
        {
            return false;
        }

        foreach (string part in parts.AsSpan(1))
        {
            if (part == PartialPart)
            {
                facts = facts with { PartialChecksum = true };
            }
            else if (part.StartsWith(SegmentsPart, StringComparison.Ordinal))
            {
                string[] numbers = part[SegmentsPart.Length..].Split(TypePart);
                if (numbers.Length != 2
                    || !ushort.TryParse(numbers[0], NumberStyles.None, CultureInfo.InvariantCulture, out ushort size)
                    || !byte.TryParse(numbers[1], NumberStyles.None, CultureInfo.InvariantCulture, out byte type))
                {
                    return false;
                }

                facts = facts with { SegmentSize = size, SegmentationType = type };
            }
            else if (part.StartsWith(TagPart, StringComparison.Ordinal))
            {
                if (!long.TryParse(part.AsSpan(TagPart.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out long tag))
                {
                    return false;
                }

                facts = facts with { Tag = tag };
            }
        }

        return true;
    }
}
