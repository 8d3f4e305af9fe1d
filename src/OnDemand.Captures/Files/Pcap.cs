namespace OnDemand.Captures.Files;

/// <summary>The numbers of the classic capture file (draft-ietf-opsawg-pcap) and of its modified variant.</summary>
internal static class Pcap
{
    public const uint MicrosecondMagic = 0xA1B2C3D4;
    public const uint NanosecondMagic = 0xA1B23C4D;
    public const uint ModifiedMagic = 0xA1B2CD34;
    public const ushort MajorVersion = 2;
    public const ushort MinorVersion = 4;

    public const int FileHeaderLength = 24;
    public const int RecordHeaderLength = 16;
    public const int ModifiedRecordHeaderLength = 24;

    /// <summary>What tcpdump takes when it is not told otherwise; libpcap cuts packets longer than the header says.</summary>
    public const uint DefaultSnapLength = 262_144;

    /// <summary>The field that holds the link type keeps its six top bits for the frame check sequence.</summary>
    public const uint LinkTypeMask = 0x03FF_FFFF;

    public static int GetRecordHeaderLength(CaptureFormat format) =>
        format == CaptureFormat.PcapModified ? ModifiedRecordHeaderLength : RecordHeaderLength;

    public static TimestampResolution GetResolution(CaptureFormat format) =>
        format == CaptureFormat.PcapNanoseconds ? TimestampResolution.Nanoseconds : TimestampResolution.Microseconds;

    public static uint GetMagic(CaptureFormat format) => format switch
    {
        CaptureFormat.Pcap => MicrosecondMagic,
        CaptureFormat.PcapNanoseconds => NanosecondMagic,
        CaptureFormat.PcapModified => ModifiedMagic,
        _ => throw new ArgumentOutOfRangeException(nameof(format), format, "A pcapng file has no pcap magic number."),
    };

    public static bool TryGetFormat(uint magic, out CaptureFormat format)
    {
        format = magic switch
        {
            NanosecondMagic => CaptureFormat.PcapNanoseconds,
            ModifiedMagic => CaptureFormat.PcapModified,
            _ => CaptureFormat.Pcap,
        };
        return magic is MicrosecondMagic or NanosecondMagic or ModifiedMagic;
    }
}
