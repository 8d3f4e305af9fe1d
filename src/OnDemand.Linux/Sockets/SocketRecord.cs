using OnDemand.Dataplane.Wire;

namespace OnDemand.Linux.Sockets;

/// <summary>What the kernel says of a socket.</summary>
internal readonly record struct SocketRecord
{
    /// <summary>The protocol.</summary>
    public SocketProtocol Protocol { get; init; }

    /// <summary>The state.</summary>
    public SocketState State { get; init; }

    /// <summary>Its own address; <c>::</c> while it is not bound to one. An IPv4 address is mapped into <c>::ffff:0:0/96</c>.</summary>
    public IpAddress Local { get; init; }

    /// <summary>Its port.</summary>
    public ushort LocalPort { get; init; }

    /// <summary>The peer's address; <c>::</c> if it is not connected.</summary>
    public IpAddress Remote { get; init; }

    /// <summary>The peer's port; 0 if it is not connected.</summary>
    public ushort RemotePort { get; init; }

    /// <summary>The interface it is bound to, 0 if none.</summary>
    public int InterfaceIndex { get; init; }

    /// <summary>The kernel's own number of the socket (SO_COOKIE): never used again while the system runs, and the same as long as the socket
    /// lives.</summary>
    public ulong Cookie { get; init; }

    /// <summary>The user whose program made it. 0 where no program has it (<see cref="HasProgram"/>), which says nothing.</summary>
    public uint Uid { get; init; }

    /// <summary>Its inode, as in <c>/proc/PID/fd</c>; 0 if no program has it (any more).</summary>
    public uint Inode { get; init; }

    /// <summary>The cgroup (v2) that it was made in, see <see cref="CgroupPaths"/>; 0 if the kernel does not say.</summary>
    public ulong CgroupId { get; init; }

    /// <summary>SO_MARK; 0 also if the asker has no CAP_NET_ADMIN.</summary>
    public uint Mark { get; init; }

    /// <summary>Whether it is for IPv6 alone (IPV6_V6ONLY). The kernel only says so of sockets that wait or are not connected.</summary>
    public bool IsIpv6Only { get; init; }

    /// <summary>What has been shut down: 1 is receiving, 2 is sending.</summary>
    public byte Shutdown { get; init; }

    /// <summary>Whether a program has it: it is neither half-open nor left over from a program that has closed it.</summary>
    public bool HasProgram => Inode != 0;
}
