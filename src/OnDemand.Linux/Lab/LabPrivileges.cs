using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Lab;

/// <summary>
/// What a lab needs to be allowed: root, or a user namespace in which the user is root. A namespace lives as long as a process in it, the
/// holder; each command goes into it first.
/// </summary>
internal static class LabPrivileges
{
    /// <summary>Whether this process may build labs.</summary>
    public static bool IsRoot => Libc.GetEffectiveUserId() == 0;

    /// <summary>The process that holds the user namespace we are in; null if we are not in one of ours.</summary>
    public static LabProcess? Holder => null;

    /// <summary>Checks that a lab can be built here.</summary>
    /// <exception cref="HostException">It cannot.</exception>
    public static void Check()
    {
        if (!IsRoot)
        {
            throw new HostException("A lab needs root, or a kernel that allows user namespaces; use sudo.");
        }

        foreach (string program in new[] { "ip", "ethtool" })
        {
            if (!CommandRunner.Has(program))
            {
                throw CommandRunner.Missing(program);
            }
        }
    }
}
