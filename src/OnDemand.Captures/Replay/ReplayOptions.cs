namespace OnDemand.Captures.Replay;

/// <summary>What a replay reads and writes. Paths are as the user gave them; <c>-</c> is standard input or output.</summary>
public sealed record ReplayOptions
{
    /// <summary>The name for standard input and output.</summary>
    public const string StandardStream = "-";

    /// <summary>The capture to read.</summary>
    public required string Input { get; init; }

    /// <summary>The scenario file; empty for a recording, which brings its own.</summary>
    public required string Scenario { get; init; }

    /// <summary>Where the capture goes as the network would have seen it.</summary>
    public required string Output { get; init; }

    /// <summary>Where the capture goes as the host would have seen it; null for nowhere.</summary>
    public string? HostOutput { get; init; }

    /// <summary>Whether the capture was taken outside, with typed addresses; else inside, with internal ones.</summary>
    public bool TakenOutside { get; init; }

    /// <summary>Where the list of translations goes, as JSON; null for nowhere.</summary>
    public string? Translations { get; init; }

    /// <summary>Where the report goes, as JSON; null for nowhere.</summary>
    public string? Report { get; init; }

    /// <summary>Where the timeline goes, as HTML; null for nowhere.</summary>
    public string? Timeline { get; init; }

    /// <summary>Whether each flow's decision is explained in full.</summary>
    public bool Explain { get; init; }

    /// <summary>Whether the report goes to standard output as JSON instead of a table.</summary>
    public bool Json { get; init; }

    /// <summary>Whether nothing goes to standard output.</summary>
    public bool Quiet { get; init; }

    /// <summary>The most flows that the report tells of one by one; all are counted. 0 to <see cref="ReplayRun.MostReportedFlows"/>.</summary>
    public int MostFlows { get; init; } = ReplayRun.MostReportedFlows;

    /// <summary>Whether anything is written that tells of single flows; if not, they are only counted.</summary>
    internal bool TellsOfFlows => Explain || Json || !Quiet || Report is not null || Timeline is not null;
}
