namespace OnDemand.Captures.Files;

/// <summary>How much memory a <see cref="CaptureReader"/> may take.</summary>
public sealed record CaptureReaderOptions
{
    /// <summary>The shortest buffer and piece that is allowed, in octets.</summary>
    public const int ShortestBuffer = 4096;

    /// <summary>The buffer that is taken at the start, in octets; at least <see cref="ShortestBuffer"/>. It grows only when it is full
    /// of octets that arrived and that belong to one record.</summary>
    public int BufferLength { get; init; } = 1 << 20;

    /// <summary>The longest packet record or interface block that is accepted, in octets with its header; a longer one counts as
    /// damage. At least <see cref="ShortestBuffer"/>.</summary>
    public int MaxRecordLength { get; init; } = 16 << 20;

    /// <summary>Other pcapng blocks longer than this are delivered in pieces of this length, so that any length passes; a multiple of
    /// four, at least <see cref="ShortestBuffer"/>.</summary>
    public int PieceLength { get; init; } = 1 << 20;

    /// <summary>The most interfaces a file may describe over all its sections, at least 1; one more counts as damage.</summary>
    public int MaxInterfaces { get; init; } = 1 << 16;

    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(BufferLength, ShortestBuffer);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxRecordLength, ShortestBuffer);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaxRecordLength, Array.MaxLength);
        ArgumentOutOfRangeException.ThrowIfLessThan(PieceLength, ShortestBuffer);
        ArgumentOutOfRangeException.ThrowIfNotEqual(PieceLength % 4, 0);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaxInterfaces, 1);
    }
}
