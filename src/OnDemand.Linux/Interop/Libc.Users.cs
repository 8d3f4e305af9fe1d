using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Users and groups.</content>
internal static partial class Libc
{
    /// <summary>getpwnam_r(3).</summary>
    /// <param name="name">The user's name.</param>
    /// <param name="entry">Gets the entry.</param>
    /// <param name="buffer">Gets what the entry points to.</param>
    /// <param name="length">Its octets.</param>
    /// <param name="found">0 if there is no such user.</param>
    /// <returns>0, or an error; that there is no such user may be one.</returns>
    [LibraryImport(Library, EntryPoint = "getpwnam_r", StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial int FindUser(string name, UserEntry* entry, byte* buffer, nuint length, out nint found);

    /// <summary>getpwuid_r(3), as <see cref="FindUser"/> by number.</summary>
    [LibraryImport(Library, EntryPoint = "getpwuid_r")]
    public static unsafe partial int FindUserById(uint user, UserEntry* entry, byte* buffer, nuint length, out nint found);

    /// <summary>getgrnam_r(3), as <see cref="FindUser"/> for groups.</summary>
    [LibraryImport(Library, EntryPoint = "getgrnam_r", StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial int FindGroup(string name, GroupEntry* entry, byte* buffer, nuint length, out nint found);

    /// <summary>getgrouplist(3).</summary>
    /// <param name="name">The user's name, as the database has it.</param>
    /// <param name="primary">The user's primary group, which is among those that are given.</param>
    /// <param name="groups">Gets the groups.</param>
    /// <param name="count">How many there is room for; then how many there are.</param>
    /// <returns>-1 if there was not enough room.</returns>
    [LibraryImport(Library, EntryPoint = "getgrouplist", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int GetGroups(string name, uint primary, Span<uint> groups, ref int count);
}

/// <summary>struct passwd, see getpwnam(3).</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct UserEntry
{
    public byte* Name;
    public byte* Password;
    public uint User;
    public uint Group;
    public byte* Comment;
    public byte* Home;
    public byte* Shell;
}

/// <summary>struct group, see getgrnam(3).</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct GroupEntry
{
    public byte* Name;
    public byte* Password;
    public uint Group;
    public byte** Members;
}
