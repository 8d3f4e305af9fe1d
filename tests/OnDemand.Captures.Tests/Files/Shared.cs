namespace OnDemand.Captures.Tests.Files;

/// <summary>Material that lies beside the repository and is not part of it.</summary>
internal static class Shared
{
    public static string? Captures => Find("captures-public");

    public static string? Oracles => Find("oracles");

    private static string? Find(string name)
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "OnDemand.Dataplane.sln")))
            {
                string path = Path.Combine(at.FullName, "..", "shared", name);
                return Directory.Exists(path) ? path : null;
            }
        }

        return null;
    }
}
