namespace OnDemand.Captures.Files;

/// <summary>The numbers of draft-ietf-opsawg-pcapng.</summary>
internal static class PcapNg
{
    // Specification constants.
    public const uint SectionHeader = 0x0A0D0D0A;
    public const uint InterfaceDescription = 1;
    public const uint ObsoletePacket = 2;
    public const uint SimplePacket = 3;
    public const uint EnhancedPacket = 6;
    public const uint ByteOrderMagic = 0x1A2B3C4D;
    public const ushort MajorVersion = 1;

    public const ushort CommentOption = 1;
    public const ushort DropCountOption = 4;
    public const ushort TimestampResolutionOption = 9;
    public const ushort TimestampOffsetOption = 14;

    /// <summary>Type, length, length again: no block is shorter.</summary>
    public const int ShortestBlock = 12;
    public const int ShortestSectionBlock = 28;
    public const int ShortestInterfaceBlock = 20;
    public const int ShortestPacketBlock = 32;
    public const int ShortestSimplePacketBlock = 16;

    /// <summary>Where the data stands in an Enhanced and in an obsolete Packet Block.</summary>
    public const int PacketDataOffset = 28;
    public const int SimplePacketDataOffset = 12;

    /// <summary>Where the two halves of the timestamp stand in an Enhanced and in an obsolete Packet Block.</summary>
    public const int TimestampOffset = 12;

    /// <summary>Where the section length stands in a Section Header Block; all ones for "not given".</summary>
    public const int SectionLengthOffset = 16;

    /// <summary>A length with the padding to the next multiple of four.</summary>
    public static int Padded(int length) => (length + 3) & ~3;
}
