namespace OnDemand.Dataplane.Tests.Support;

/// <summary>Material that lies beside the repository and need not be there.</summary>
internal static class SharedMaterial
{
    /// <summary>A folder of it; null if it is not there.</summary>
    public static string? Folder(string name)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "OnDemand.Dataplane.sln")))
            {
                string path = Path.Combine(folder.FullName, "..", "shared", name);
                return Directory.Exists(path) ? path : null;
            }
        }

        return null;
    }
}
