using System.Globalization;
using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Policy;

/// <summary>
/// What the host's database of users and groups says (nsswitch.conf(5)): files, and whatever else is configured. May take its time, so not for
/// the packet path.
/// </summary>
internal static class UserNames
{
    private const int FirstLength = 1024;
    private const int LargestLength = 1 << 20;       // a group may have many members
    private const int FirstGroups = 64;
    private const int MostGroups = 65_536;           // NGROUPS_MAX

    /// <summary>A user's number.</summary>
    /// <param name="name">The name, or the number itself in decimal digits, which need not be in the database.</param>
    /// <returns>The number; null if the database knows no such name.</returns>
    /// <exception cref="LinuxException">The database cannot be read.</exception>
    public static uint? UserOf(string name) => TryNumber(name, out uint number) ? number : FindUser($"getpwnam_r {name}", name, 0)?.Number;

    /// <summary>A group's number.</summary>
    /// <param name="name">The name, or the number itself in decimal digits, which need not be in the database.</param>
    /// <returns>The number; null if the database knows no such name.</returns>
    /// <exception cref="LinuxException">The database cannot be read.</exception>
    public static uint? GroupOf(string name) => TryNumber(name, out uint number) ? number : FindGroup($"getgrnam_r {name}", name);

    /// <summary>The groups that a user is in: the primary and the supplementary ones. A process may have left some of them, or joined others.
    /// </summary>
    /// <param name="user">The user's number.</param>
    /// <returns>The groups; none if the database does not know the user.</returns>
    /// <exception cref="LinuxException">The database cannot be read.</exception>
    public static IReadOnlyList<uint> GroupsOf(uint user)
    {
        if (Find(user) is not { } entry)
        {
            return [];
        }

        for (int room = FirstGroups; ; room *= 2)
        {
            uint[] groups = new uint[room];
            int count = room;
            if (Libc.GetGroups(entry.Name, entry.Group, groups, ref count) >= 0 || room >= MostGroups)
            {
                return groups[..Math.Clamp(count, 0, room)];
            }
        }
    }

    /// <summary>A user's name.</summary>
    /// <param name="user">The user's number.</param>
    /// <returns>The name; null if the database does not know the user.</returns>
    /// <exception cref="LinuxException">The database cannot be read.</exception>
    public static string? NameOf(uint user) => Find(user)?.Name;

    private static bool TryNumber(string name, out uint number) =>
        uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number != uint.MaxValue;

    private static User? Find(uint user) => FindUser(string.Create(CultureInfo.InvariantCulture, $"getpwuid_r {user}"), null, user);

    // By name, or by number if there is none.
    private static unsafe User? FindUser(string call, string? name, uint number)
    {
        User? user = null;
        Ask(call, buffer =>
        {
            UserEntry entry = default;
            nint found;
            fixed (byte* octets = buffer)
            {
                int error = name is null
                    ? Libc.FindUserById(number, &entry, octets, (nuint)buffer.Length, out found)
                    : Libc.FindUser(name, &entry, octets, (nuint)buffer.Length, out found);
                user = found == 0 ? null : new User(entry.User, entry.Group, Marshal.PtrToStringUTF8((nint)entry.Name) ?? string.Empty);
                return error;
            }
        });
        return user;
    }

    private static unsafe uint? FindGroup(string call, string name)
    {
        uint? group = null;
        Ask(call, buffer =>
        {
            GroupEntry entry = default;
            fixed (byte* octets = buffer)
            {
                int error = Libc.FindGroup(name, &entry, octets, (nuint)buffer.Length, out nint found);
                group = found == 0 ? null : entry.Group;
                return error;
            }
        });
        return group;
    }

    // That there is no such entry is an error with some of the libraries behind the database, a different one with each.
    private static void Ask(string call, Func<byte[], int> ask)
    {
        byte[] buffer = new byte[FirstLength];
        while (true)
        {
            int error = ask(buffer);
            switch (error)
            {
                case Errno.Eintr:
                    break;
                case Errno.Erange when buffer.Length < LargestLength:
                    buffer = new byte[2 * buffer.Length];
                    break;
                case Errno.Erange or Errno.Eio or Errno.Enomem or Errno.Emfile or Errno.Enfile:
                    throw new LinuxException(call, error);
                default:
                    return;
            }
        }
    }

    private readonly record struct User(uint Number, uint Group, string Name);
}
