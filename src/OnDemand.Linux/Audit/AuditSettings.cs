namespace OnDemand.Linux.Audit;

/// <summary>The map <c>audit</c> of a host's configuration.</summary>
/// <param name="File">The file, as an absolute path.</param>
/// <param name="Size">How long it may become, in octets, before the next one is begun.</param>
/// <param name="Keep">How many earlier ones are kept: <c>file.1</c> is the latest.</param>
internal sealed record AuditSettings(string File, long Size, int Keep)
{
    /// <summary>How long it may become unless the configuration says otherwise.</summary>
    public const long DefaultSize = 8 << 20;

    /// <summary>How many are kept unless the configuration says otherwise.</summary>
    public const int DefaultKeep = 4;

    /// <summary>The least size that makes sense: a few lines.</summary>
    public const long LeastSize = 4096;

    /// <summary>The most that are kept.</summary>
    public const int MostKept = 99;
}
