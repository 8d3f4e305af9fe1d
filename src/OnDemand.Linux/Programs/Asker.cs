using OnDemand.Linux.Control;

namespace OnDemand.Linux.Programs;

/// <summary>Who asks, and on behalf of whom.</summary>
/// <param name="Process">The process, as the kernel knows it.</param>
/// <param name="IsForAll">Whether it may ask for every user's sockets, without limits: root, and whoever may use the operator's
/// socket.</param>
internal sealed record Asker(PeerProcess Process, bool IsForAll)
{
    /// <summary>Whose bindings it sees; null for all.</summary>
    public uint? Only => IsForAll ? null : Process.User;
}
