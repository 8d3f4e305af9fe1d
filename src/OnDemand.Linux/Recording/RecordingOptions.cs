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

    /// <summary>Reads the options of the command line.</summary>
    /// <param name="file">The file; null for no recording.</param>
    /// <param name="limit">The limit, such as <c>256MiB</c>; null for the usual one.</param>
    /// <returns>The options; null for no recording.</returns>
    /// <exception cref="ScenarioException">The limit is none, or there is nothing to limit.</exception>
    public static RecordingOptions? Read(string? file, string? limit)
    {
        if (limit is null)
        {
            return file is null ? null : new RecordingOptions { File = file };
        }

        if (!ScenarioText.TrySize(limit, out long octets) || octets < SmallestLimit)
        {
            throw new ScenarioException($"Found --record-limit '{limit}', expected a size of at least {ScenarioText.Size(SmallestLimit)} such as 256MiB.");
        }

        return file is null
            ? throw new ScenarioException("--record-limit limits a recording; name its file with --record.")
            : new RecordingOptions { File = file, Limit = octets };
    }
}
