namespace OnDemand.Captures.Files;

/// <summary>One record of a capture file, viewed in the reader's buffer: valid until the reader's next ReadAsync.</summary>
public readonly ref struct CaptureRecord
{
    /// <summary>What the record is.</summary>
    public CaptureRecordKind Kind { get; init; }

    /// <summary>The format of the file it stands in.</summary>
    public CaptureFormat Format { get; init; }

    /// <summary>Whether the file, or this section of it, has the most significant octet first.</summary>
    public bool IsBigEndian { get; init; }

    /// <summary>The whole record, header or block as it stands in the file; or one piece of a large block.</summary>
    public ReadOnlySpan<byte> Octets { get; init; }

    /// <summary>Octets of a large block that follow in further <see cref="CaptureRecordKind.Other"/> records; 0 when it ends
    /// here.</summary>
    public long Remaining { get; init; }

    /// <summary>Where <see cref="Octets"/> begins, in octets from the start of the file.</summary>
    public long FileOffset { get; init; }

    /// <summary>Where the packet's octets begin in <see cref="Octets"/>. Packets only.</summary>
    public int DataOffset { get; init; }

    /// <summary>How many octets of the packet are in the file. Packets only.</summary>
    public int CapturedLength { get; init; }

    /// <summary>How many octets the packet had. Packets only; a file may say anything here.</summary>
    public uint OriginalLength { get; init; }

    /// <summary>The interface's index over all sections. Packets and interfaces only.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>The interface's LINKTYPE_ value. Packets, interfaces and pcap headers only.</summary>
    public ushort LinkType { get; init; }

    /// <summary>Whether the packet has a timestamp: a pcapng Simple Packet Block has none.</summary>
    public bool HasTimestamp { get; init; }

    /// <summary>Nanoseconds since 1970-01-01 00:00 UTC, rounded down; 0 unless <see cref="HasTimestamp"/>.</summary>
    public long Timestamp { get; init; }

    /// <summary>The captured octets of the packet; empty for anything else.</summary>
    public ReadOnlySpan<byte> Data => Octets.Slice(DataOffset, CapturedLength);

    internal ByteOrder Order => new(IsBigEndian);
}
