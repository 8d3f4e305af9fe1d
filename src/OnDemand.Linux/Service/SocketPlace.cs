using OnDemand.Linux.Sockets;

namespace OnDemand.Linux.Service;

/// <summary>Where a socket was when it asked: the kernel's tables do not have it before it has a port.</summary>
/// <param name="Holder">The descriptor that it was named by; the default value if it was not named by one.</param>
/// <param name="Inode">Its inode, as in <c>/proc/PID/fd</c>; 0 if that is not known.</param>
internal readonly record struct SocketPlace(SocketHolder Holder, uint Inode);
