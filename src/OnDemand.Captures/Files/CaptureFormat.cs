namespace OnDemand.Captures.Files;

/// <summary>The capture file formats that are read and written; every one of them in both byte orders.</summary>
public enum CaptureFormat
{
    /// <summary>The classic pcap file with microseconds (magic 0xa1b2c3d4).</summary>
    Pcap,

    /// <summary>The pcap file with nanoseconds (magic 0xa1b23c4d).</summary>
    PcapNanoseconds,

    /// <summary>Kuznetzov's "modified" pcap file (magic 0xa1b2cd34): microseconds and 24-octet record headers.</summary>
    PcapModified,

    /// <summary>The block structured file of draft-ietf-opsawg-pcapng.</summary>
    PcapNg,
}
