using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <content>Users and groups, as the system's name service knows them.</content>
internal static partial class Libc
{
    /// <summary>Where pw_uid lies in struct passwd, and gr_gid in struct group: after two pointers.</summary>
    public const int AccountNumberOffset = 16;

    /// <summary>The octets of struct passwd of a 64-bit machine; struct group is shorter.</summary>
    public const int AccountLength = 48;

    /// <summary>getpwnam_r(3).</summary>
    /// <returns>0, or an errno; a name that is not there is no error and gives no result.</returns>
    [LibraryImport(Library, EntryPoint = "getpwnam_r", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int FindUser(string name, Span<byte> account, Span<byte> texts, nuint textsLength, out nint result);

    /// <summary>getgrnam_r(3).</summary>
    /// <returns>0, or an errno; a name that is not there is no error and gives no result.</returns>
    [LibraryImport(Library, EntryPoint = "getgrnam_r", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int FindGroup(string name, Span<byte> account, Span<byte> texts, nuint textsLength, out nint result);
}
