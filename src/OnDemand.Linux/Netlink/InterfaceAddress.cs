using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Netlink;

/// <summary>An IPv6 address of an interface.</summary>
/// <param name="LinkIndex">The interface.</param>
/// <param name="Address">The address.</param>
/// <param name="PrefixLength">Bits of its prefix, 0 to 128.</param>
internal readonly record struct InterfaceAddress(int LinkIndex, IpAddress Address, byte PrefixLength)
{
    /// <summary>IFA_F_NODAD: no duplicate address detection, usable at once.</summary>
    public const uint NoDuplicateDetectionFlag = 0x02;

    /// <summary>Its flags, IFA_F_* of linux/if_addr.h.</summary>
    public uint Flags { get; init; }

    /// <summary>Who made it (IFA_PROTO); 0 if nobody said, and always 0 before Linux 5.18.</summary>
    public byte Protocol { get; init; }
}
