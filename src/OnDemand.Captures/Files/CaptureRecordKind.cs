namespace OnDemand.Captures.Files;

/// <summary>What a <see cref="CaptureRecord"/> is.</summary>
public enum CaptureRecordKind
{
    /// <summary>Anything that is carried through unread: name resolution, statistics, secrets, custom and unknown blocks, and the
    /// later pieces of a block too large to be delivered whole.</summary>
    Other,

    /// <summary>The header of a pcap file, or a pcapng Section Header Block; a pcapng file may hold several.</summary>
    Header,

    /// <summary>A pcapng Interface Description Block.</summary>
    Interface,

    /// <summary>A pcap record, or a pcapng Enhanced, Simple or (obsolete) Packet Block.</summary>
    Packet,
}
