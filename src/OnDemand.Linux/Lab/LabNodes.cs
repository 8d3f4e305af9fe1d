namespace OnDemand.Linux.Lab;

/// <summary>The five nodes of a lab and the network namespaces they live in.</summary>
internal static class LabNodes
{
    /// <summary>The mobile host.</summary>
    public const string Host = "host";

    /// <summary>The first access router.</summary>
    public const string FirstRouter = "ar1";

    /// <summary>The second access router.</summary>
    public const string SecondRouter = "ar2";

    /// <summary>The anchor, which routes Fixed and Session-Lasting prefixes to wherever the host is.</summary>
    public const string Anchor = "anchor";

    /// <summary>The correspondent.</summary>
    public const string Peer = "peer";

    // od-<lab>-anchor stays far below the 255 octets of a file name; short names keep 'ip netns' readable.
    private const int LongestName = 24;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [Host, FirstRouter, SecondRouter, Anchor, Peer];

    /// <summary>The access routers.</summary>
    public static IReadOnlyList<string> Routers { get; } = [FirstRouter, SecondRouter];

    /// <summary>The other access router.</summary>
    /// <param name="router">One of them.</param>
    /// <returns>The other one.</returns>
    public static string OtherRouter(string router) => router == FirstRouter ? SecondRouter : FirstRouter;

    /// <summary>The network namespace of a node.</summary>
    /// <param name="lab">The lab's name.</param>
    /// <param name="node">The node.</param>
    /// <returns>For example <c>od-lab-host</c>.</returns>
    public static string Namespace(string lab, string node) => $"od-{lab}-{node}";

    /// <summary>Why a word cannot be a lab's name, which becomes part of the names of namespaces and directories.</summary>
    /// <param name="lab">The word.</param>
    /// <returns>One sentence; null if it can.</returns>
    public static string? WhyNoName(string lab)
    {
        bool fits = lab.Length is > 0 and <= LongestName && lab[0] != '-'
            && lab.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter == '-');
        return fits ? null : $"'{lab}' cannot be a lab's name; take up to {LongestName} of a-z, 0-9 and '-'.";
    }

    /// <summary>Why a word cannot be a node's name.</summary>
    /// <param name="node">The word.</param>
    /// <returns>One sentence; null if it can.</returns>
    public static string? WhyNoNode(string node) =>
        All.Contains(node) ? null : $"There is no node '{node}' in a lab; the nodes are {string.Join(", ", All)}.";

    /// <summary>Checks a lab's name.</summary>
    /// <param name="lab">The name.</param>
    /// <exception cref="HostException">It is not one.</exception>
    public static void CheckName(string lab)
    {
        if (WhyNoName(lab) is { } why)
        {
            throw new HostException(why);
        }
    }
}
