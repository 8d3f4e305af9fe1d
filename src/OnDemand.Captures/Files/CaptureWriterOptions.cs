namespace OnDemand.Captures.Files;

/// <summary>How a <see cref="CaptureWriter"/> writes.</summary>
public sealed record CaptureWriterOptions
{
    /// <summary>The shortest batch that is allowed, in octets.</summary>
    public const int ShortestBatch = 4096;

    /// <summary>The format of the output; null for that of the input. <see cref="CaptureFormat.PcapModified"/> cannot be made from
    /// another format.</summary>
    public CaptureFormat? Format { get; init; }

    /// <summary>The room taken for each batch, in octets; at least <see cref="ShortestBatch"/>. A batch grows when more is appended
    /// before it is flushed.</summary>
    public int BatchLength { get; init; } = 1 << 20;

    /// <summary>From how many octets on <see cref="CaptureWriter.ShouldFlush"/> asks for a flush; between 1 and
    /// <see cref="BatchLength"/>.</summary>
    public int FlushThreshold { get; init; } = 256 << 10;

    /// <summary>Whether blocks may be added, changed in length or left out. The section lengths of the input do not hold then, and
    /// "not given" is written in their place.</summary>
    public bool ChangesLengths { get; init; }

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(BatchLength, ShortestBatch);
        ArgumentOutOfRangeException.ThrowIfLessThan(FlushThreshold, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(FlushThreshold, BatchLength);
    }
}
