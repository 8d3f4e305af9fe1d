namespace OnDemand.Captures.Recording;

/// <summary>The constants of recordings. A recording is one pcapng section in the machine-independent little-endian order.</summary>
internal static class RecordingFormat
{
    /// <summary>The interface between the host's stack and the dataplane.</summary>
    public const int HostSide = 0;

    /// <summary>The interface between the dataplane and the network.</summary>
    public const int NetworkSide = 1;

    /// <summary>The interface of control records: everything that is no frame.</summary>
    public const int Control = 2;

    /// <summary>Interfaces of a recording.</summary>
    public const int Interfaces = 3;

    /// <summary>LINKTYPE_USER0: control records.</summary>
    public const ushort ControlLinkType = 147;

    /// <summary>The description of the control interface, by which a recording is known; the number grows when a reader must know.</summary>
    public const string Description = "OnDemand.Dataplane recording 1";

    /// <summary>Ethernet addresses at the beginning of a frame, in octets.</summary>
    public const int LinkAddresses = 12;

    /// <summary>The first word of every comment that the recorder makes.</summary>
    public const string CommentPrefix = "ondemand: ";

    /// <summary>Frames of one batch at most.</summary>
    public const int LargestBatch = 32;

    /// <summary>Octets at the beginning of a file in which a recording shows itself.</summary>
    public const int HeadLength = 4096;

    /// <summary>Whether a file that begins so is a recording.</summary>
    /// <param name="head">Its first octets, up to <see cref="HeadLength"/>.</param>
    /// <returns>Whether it is.</returns>
    public static bool IsRecording(ReadOnlySpan<byte> head) =>
        head.StartsWith("\n\r\r\n"u8) && head.IndexOf("OnDemand.Dataplane recording "u8) >= 0;
}

/// <summary>What became of a frame that the engine gave out, when the shell had it.</summary>
internal enum RecordedFate : byte
{
    /// <summary>It was written.</summary>
    Written,

    /// <summary>It was not written, because the kernel would have routed it straight back.</summary>
    Loop,

    /// <summary>It was not written, because nobody but this link is meant.</summary>
    LinkScope,

    /// <summary>The kernel refused it.</summary>
    Refused,
}
