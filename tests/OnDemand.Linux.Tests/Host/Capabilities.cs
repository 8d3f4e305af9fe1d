using System.Runtime.InteropServices;
using Xunit;

namespace OnDemand.Linux.Tests.Host;

/// <summary>The calling thread's capabilities, see capabilities(7). They belong to the thread: the process keeps its own.</summary>
internal static partial class Capabilities
{
    private const uint Version3 = 0x2008_0522;
    private const int NetworkAdministration = 12;

    /// <summary>Gives up CAP_NET_ADMIN for this thread.</summary>
    public static void DropNetworkAdministration()
    {
        uint[] header = [Version3, 0];
        uint[] sets = new uint[6];    // effective, permitted, inheritable of capabilities 0 to 31, then of 32 to 63
        Assert.Equal(0, Get(header, sets));
        for (int set = 0; set < 3; set++)
        {
            sets[set] &= ~(1u << NetworkAdministration);
        }

        Assert.Equal(0, Set(header, sets));
    }

    [LibraryImport("libc", EntryPoint = "capget", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Get([In, Out] uint[] header, [In, Out] uint[] sets);

    [LibraryImport("libc", EntryPoint = "capset", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Set([In, Out] uint[] header, uint[] sets);
}
