using System.Runtime.InteropServices;

namespace OnDemand.Linux.Interop;

/// <summary>Sockets. An address is handed over as its octets: each family knows its own form.</summary>
internal static partial class Libc
{
    /// <summary>socket(2).</summary>
    [LibraryImport(Library, EntryPoint = "socket", SetLastError = true)]
    public static partial FileDescriptor Socket(int domain, int type, int protocol);

    /// <summary>bind(2).</summary>
    [LibraryImport(Library, EntryPoint = "bind", SetLastError = true)]
    public static partial int Bind(FileDescriptor socket, ReadOnlySpan<byte> address, uint addressLength);

    /// <summary>accept4(2), of a peer whose address nobody wants.</summary>
    [LibraryImport(Library, EntryPoint = "accept4", SetLastError = true)]
    public static partial FileDescriptor Accept(SafeHandle socket, nint address, nint addressLength, int flags);

    /// <summary>getsockname(2).</summary>
    [LibraryImport(Library, EntryPoint = "getsockname", SetLastError = true)]
    public static partial int GetSocketName(FileDescriptor socket, Span<byte> address, ref uint addressLength);

    /// <summary>getsockopt(2).</summary>
    [LibraryImport(Library, EntryPoint = "getsockopt", SetLastError = true)]
    public static partial int GetSocketOption(SafeHandle socket, int level, int option, Span<byte> value, ref uint valueLength);

    /// <summary>setsockopt(2).</summary>
    [LibraryImport(Library, EntryPoint = "setsockopt", SetLastError = true)]
    public static partial int SetSocketOption(FileDescriptor socket, int level, int option, ReadOnlySpan<byte> value, uint valueLength);

    /// <summary>sendto(2).</summary>
    [LibraryImport(Library, EntryPoint = "sendto", SetLastError = true)]
    public static partial nint SendTo(
        FileDescriptor socket, ReadOnlySpan<byte> message, nuint length, int flags, ReadOnlySpan<byte> address, uint addressLength);

    /// <summary>recvfrom(2).</summary>
    [LibraryImport(Library, EntryPoint = "recvfrom", SetLastError = true)]
    public static partial nint ReceiveFrom(
        FileDescriptor socket, Span<byte> message, nuint length, int flags, Span<byte> address, ref uint addressLength);

    /// <summary>if_nametoindex(3).</summary>
    [LibraryImport(Library, EntryPoint = "if_nametoindex", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint InterfaceIndex(string name);
}
