using System.Text;

namespace OnDemand.Linux.Tap;

/// <summary>struct ifreq of netdevice(7): sixteen octets of name, then a union.</summary>
internal static class InterfaceRequest
{
    /// <summary>Octets of the structure on a 64-bit machine.</summary>
    public const int Length = 40;

    /// <summary>Where the union begins.</summary>
    public const int Union = 16;

    /// <summary>The longest name of an interface, in octets (IFNAMSIZ less the terminating zero).</summary>
    public const int LongestName = 15;

    /// <summary>Whether the kernel takes a word as the name of an interface (dev_valid_name).</summary>
    /// <param name="name">The word.</param>
    /// <returns>Whether it does.</returns>
    public static bool IsValidName(string name) =>
        name.Length > 0 && Encoding.UTF8.GetByteCount(name) <= LongestName && name is not ("." or "..")
        && !name.Any(character => character is '/' or ':' or '%' || char.IsWhiteSpace(character) || char.IsControl(character));

    /// <summary>Writes the name into an empty request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="name">A valid name.</param>
    public static void Name(Span<byte> request, string name)
    {
        request.Clear();
        _ = Encoding.UTF8.GetBytes(name, request[..LongestName]);
    }
}
