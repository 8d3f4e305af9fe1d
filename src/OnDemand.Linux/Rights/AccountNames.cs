using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using OnDemand.Linux.Interop;

namespace OnDemand.Linux.Rights;

/// <summary>The numbers of users and groups that are named (passwd(5), group(5), or whatever the system's name service asks).</summary>
internal static class AccountNames
{
    private const int FirstLength = 1024;
    private const int LastLength = 1 << 20;     // a group may have very many members

    private delegate int Lookup(string name, Span<byte> account, Span<byte> texts, nuint textsLength, out nint result);

    /// <summary>The number of a user.</summary>
    /// <param name="name">A name, or the number itself.</param>
    /// <returns>The number; null if there is no such user.</returns>
    public static uint? User(string name) => Find(name, Libc.FindUser);

    /// <summary>The number of a group.</summary>
    /// <param name="name">A name, or the number itself.</param>
    /// <returns>The number; null if there is no such group.</returns>
    public static uint? Group(string name) => Find(name, Libc.FindGroup);

    // A number needs no account; the last one is no number but "none" (chown(2)).
    private static uint? Find(string name, Lookup lookup)
    {
        if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out uint number))
        {
            return number == uint.MaxValue ? null : number;
        }

        Span<byte> account = stackalloc byte[Libc.AccountLength];
        for (int length = FirstLength; length <= LastLength; length *= 2)
        {
            byte[] texts = ArrayPool<byte>.Shared.Rent(length);
            int error = lookup(name, account, texts, (nuint)length, out nint result);
            ArrayPool<byte>.Shared.Return(texts);
            if (error != Errno.Erange)
            {
                return error == 0 && result != 0 ? MemoryMarshal.Read<uint>(account[Libc.AccountNumberOffset..]) : null;
            }
        }

        return null;
    }
}
