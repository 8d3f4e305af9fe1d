using OnDemand.Linux.Service;

namespace OnDemand.Linux.State;

/// <summary>A socket's binding as it was saved.</summary>
/// <param name="Boot">Which run of the system it was: sockets are counted anew with each.</param>
/// <param name="Binding">The binding.</param>
internal sealed record SavedBinding(string Boot, SocketBinding Binding)
{
    /// <summary>This run of the system.</summary>
    public static string ThisBoot { get; } = ReadBoot();

    private static string ReadBoot()
    {
        const string path = "/proc/sys/kernel/random/boot_id";
        return File.Exists(path) ? File.ReadAllText(path).Trim() : "unknown";
    }
}
