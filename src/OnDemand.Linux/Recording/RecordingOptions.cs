using OnDemand.Captures.Scenarios;

namespace OnDemand.Linux.Recording;

/// <summary>How a run is recorded.</summary>
internal sealed record RecordingOptions
{
    /// <summary>The longest file unless the user says otherwise, in octets.</summary>
    public const long DefaultLimit = 256L << 20;

    /// <summary>The shortest limit that makes sense, in octets.</summary>
    public const long SmallestLimit = 64L << 10;

    /// <summary>The file.</summary>
    public required string File { get; init; }

    /// <summary>The longest that the file may become, in octets.</summary>
    public long Limit { get; init; } = DefaultLimit;

    /// <summary>Octets of memory between the engine and the file.</summary>
    public int RingLength { get; init; } = 64 << 20;

    /// <summary>Reads a limit such as <c>256MiB</c>.</summary>
    /// <param name="text">The text.</param>
    /// <param name="limit">The limit in octets.</param>
    /// <returns>Whether it is one.</returns>
    public static bool TryParseLimit(string text, out long limit) => ScenarioText.TrySize(text, out limit) && limit >= SmallestLimit;
}
