using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Selection;

/// <summary>The scopes that RFC 6724 §3.1 compares, numbered as in multicast addresses (RFC 4291 §2.7).</summary>
internal static class AddressScope
{
    /// <summary>Interface to interface on one link.</summary>
    public const int LinkLocal = 0x2;

    /// <summary>The site of the deprecated site-local addresses (RFC 3879).</summary>
    public const int SiteLocal = 0x5;

    /// <summary>Everywhere; unique local addresses too (RFC 4193 §3.3).</summary>
    public const int Global = 0xe;

    /// <summary>The scope of an address.</summary>
    /// <param name="address">A unicast or multicast address.</param>
    /// <returns>0 to 15; greater reaches further.</returns>
    public static int Of(IpAddress address)
    {
        if (address.IsMulticast)
        {
            return (int)(address.High >> 48) & 0xf;
        }

        if (address.IsLinkLocal || address.IsLoopback || IsMappedLinkLocal(address))
        {
            return LinkLocal;
        }

        return address.High >> 54 == 0xfec0 >> 6 ? SiteLocal : Global;
    }

    // RFC 6724 §3.2: 169.254/16 and 127/8 are link-local, every other IPv4 address is global.
    private static bool IsMappedLinkLocal(IpAddress address) =>
        address.High == 0 && address.Low >> 32 == 0xffff && ((uint)address.Low >> 16 == 0xa9fe || (uint)address.Low >> 24 == 127);
}
