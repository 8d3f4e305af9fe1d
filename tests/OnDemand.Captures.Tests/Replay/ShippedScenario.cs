using Xunit;

namespace OnDemand.Captures.Tests.Replay;

/// <summary>A scenario that is shipped with the capture it is for.</summary>
/// <param name="Name">Its path from the repository's root.</param>
internal sealed record ShippedScenario(string Name)
{
    /// <summary>The scenario whose whole output is kept, for each capture.</summary>
    private static readonly HashSet<string> Main = new(StringComparer.Ordinal)
    {
        "dns/nonpersistent", "four-types/move", "fragmented-udp/graceful", "icmp-errors/fixed", "interactive/session-lasting", "message-flow/draft17",
        "offload/session-lasting", "server/fixed", "short-flows/mixed", "two-hosts/by-address", "web-download/graceful",
    };

    public static IReadOnlyList<ShippedScenario> All { get; } =
    [
        .. Directory.GetFiles(Folder, "*.yaml", SearchOption.AllDirectories)
            .Select(path => new ShippedScenario(System.IO.Path.GetRelativePath(Repository.Root, path).Replace('\\', '/')))
            .OrderBy(shipped => shipped.Name, StringComparer.Ordinal),
    ];

    public static TheoryData<string> Names => [.. All.Select(shipped => shipped.Name)];

    public static string Folder => System.IO.Path.Combine(Repository.Root, "captures");

    /// <summary>The captures, each once.</summary>
    public static IReadOnlyList<string> Captures { get; } = [.. All.Select(shipped => shipped.InputPath).Distinct()];

    public string Path => System.IO.Path.Combine(Repository.Root, Name);

    public string InputPath => Directory.GetFiles(System.IO.Path.GetDirectoryName(Path)!, "input.pcap*").Single();

    public string Input => System.IO.Path.GetRelativePath(Repository.Root, InputPath).Replace('\\', '/');

    public bool IsMain => Main.Contains(System.IO.Path.ChangeExtension(System.IO.Path.GetRelativePath(Folder, Path), null).Replace('\\', '/'));

    public string ExpectedText => System.IO.Path.ChangeExtension(Path, ".expected.txt");

    public string ExpectedCapture => System.IO.Path.ChangeExtension(Path, ".expected" + System.IO.Path.GetExtension(InputPath));
}
