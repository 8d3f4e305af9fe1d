using System.Globalization;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Mobility;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Policy;

// Theory of operation. `ondemand exec --type T -- CMD` says what it wants with the name of a directory: the command runs in the cgroup
//
//     …/ondemand-<tap>/<type>[+on-net]/<process>
//
// which its children inherit, and which the kernel says of each of their sockets. No message is needed, and it outlives the dataplane.
//
// Whoever may make cgroups somewhere can make directories of these names; so a directory says no more than its owner may say. Those that are
// root's speak for every socket. Those of another user, in a subtree that was delegated to that user, speak for that user's sockets alone:
// with them a user gets what setsc() would give, and no other user's sockets (a set-uid program started there is one) are changed. All three
// directories count, for who owns one of them can fill it. The kernel lets nobody move processes into a cgroup of another user.
// In either case the rights to a type are those of the socket's own user and program, see SocketJudge.

/// <summary>A cgroup that a command was started in to have its sockets' type.</summary>
/// <param name="Type">The type.</param>
/// <param name="OnNet">Whether it is asked for with ON_NET.</param>
/// <param name="Owner">The user whose sockets it speaks for; null for every user's.</param>
/// <param name="Process">The process that made it, which its name says; 0 if it does not.</param>
internal readonly record struct ExecCgroup(AddressType Type, bool OnNet, uint? Owner, int Process)
{
    private const string Prefix = "ondemand-";
    private const string OnNetSuffix = "+on-net";
    private const int Levels = 3;

    /// <summary>The name of the directory that holds all of a dataplane.</summary>
    /// <param name="tap">The dataplane's TAP.</param>
    /// <returns>The name.</returns>
    public static string DirectoryOf(string tap) => Prefix + tap;

    /// <summary>The name of the directory of a type.</summary>
    /// <param name="type">The type.</param>
    /// <param name="onNet">Whether with ON_NET.</param>
    /// <returns>The name.</returns>
    public static string DirectoryOf(AddressType type, bool onNet) => AddressTypes.ToName(type) + (onNet ? OnNetSuffix : string.Empty);

    /// <summary>What a cgroup's path says; of several of these directories above each other the innermost counts.</summary>
    /// <param name="root">Where the hierarchy is mounted.</param>
    /// <param name="path">The cgroup's path below that.</param>
    /// <param name="tap">The dataplane's TAP.</param>
    /// <returns>What it says; null if it says nothing, or says it for nobody.</returns>
    public static ExecCgroup? Read(string root, string path, string tap)
    {
        string[] names = path.Split('/');
        int top = Array.LastIndexOf(names, DirectoryOf(tap));
        if (top < 0 || top + Levels > names.Length || !TryReadType(names[top + 1], out AddressType type, out bool onNet))
        {
            return null;
        }

        uint? owner = null;
        for (int level = 0; level < Levels; level++)
        {
            if (OwnerOf(root + string.Join('/', names[..(top + level + 1)])) is not { } user || (owner is { } other && user != 0 && user != other))
            {
                return null;
            }

            owner = user == 0 ? owner : user;
        }

        return new ExecCgroup(type, onNet, owner, ProcessOf(names[top + 2]) ?? 0);
    }

    /// <summary>Whether it speaks for a user's sockets.</summary>
    /// <param name="user">The user.</param>
    /// <returns>Whether it does.</returns>
    public bool SpeaksFor(uint user) => Owner is not { } owner || owner == user;

    /// <summary>The process that a command's directory is named after.</summary>
    /// <param name="name">The directory's name.</param>
    /// <returns>The process; null if it is no such name.</returns>
    public static int? ProcessOf(string name) =>
        int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int process) && process > 0 ? process : null;

    /// <summary>Whether a directory has the name of a type.</summary>
    /// <param name="name">The directory's name.</param>
    /// <returns>Whether it has.</returns>
    public static bool IsOfType(string name) => TryReadType(name, out _, out _);

    private static bool TryReadType(string name, out AddressType type, out bool onNet)
    {
        onNet = name.EndsWith(OnNetSuffix, StringComparison.Ordinal);
        string word = onNet ? name[..^OnNetSuffix.Length] : name;

        // Only as it is written by us: a type has several names on input.
        return AddressTypes.TryParse(word, out type) && AddressTypes.ToName(type) == word;
    }

    private static uint? OwnerOf(string directory)
    {
        Span<byte> status = stackalloc byte[Libc.StatusLength];
        return Libc.GetStatus(Libc.WorkingDirectory, directory, Libc.DoNotFollow, Libc.StatusUser, status) == 0
            ? MemoryMarshal.Read<uint>(status[Libc.StatusUserOffset..]) : null;
    }
}
