using System.Diagnostics;
using System.Globalization;
using OnDemand.Linux.Sockets;
using Xunit;

namespace OnDemand.Linux.Tests.Policy;

/// <summary>Cgroups of a test's own, below the root of the hierarchy; removed with it. Skips the test where none can be made.</summary>
internal sealed class TestCgroups : IDisposable
{
    private readonly List<string> _made = [];

    public TestCgroups()
    {
        string? root = CgroupPaths.FindMount(File.ReadLines("/proc/self/mountinfo"));
        Assert.SkipWhen(root is null, "No cgroup hierarchy of version 2 is mounted here.");
        Root = root;
        Make($"od-test-{Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}-{Guid.NewGuid():N}");
        Top = _made[0];
    }

    /// <summary>Where the hierarchy is mounted.</summary>
    public string Root { get; }

    /// <summary>The path of the cgroup that holds all others of the test.</summary>
    public string Top { get; }

    public static void Own(string directory, uint user)
    {
        using Process chown = Process.Start("chown", [user.ToString(CultureInfo.InvariantCulture), directory]);
        chown.WaitForExit();
        Assert.Equal(0, chown.ExitCode);
    }

    /// <summary>Makes a cgroup and those above it.</summary>
    /// <returns>Its directory.</returns>
    public string MakeBelow(string path)
    {
        string at = Top;
        foreach (string name in path.Split('/'))
        {
            at = $"{at}/{name}";
            Make(at[1..]);
        }

        return Root + at;
    }

    public void Dispose()
    {
        foreach (string path in Enumerable.Reverse(_made))
        {
            // The kernel lets go of a process that has ended a moment later.
            Assert.True(SpinWait.SpinUntil(() => TryRemove(Root + path), TimeSpan.FromSeconds(30)), $"{path} cannot be removed.");
        }
    }

    private static bool TryRemove(string directory)
    {
        try
        {
            Directory.Delete(directory);
            return true;
        }
        catch (DirectoryNotFoundException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private void Make(string path)
    {
        try
        {
            if (!Directory.Exists($"{Root}/{path}"))
            {
                Directory.CreateDirectory($"{Root}/{path}");
                _made.Add($"/{path}");
            }
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            Assert.Skip($"Making a cgroup needs root: {exception.Message}");
        }
    }
}
