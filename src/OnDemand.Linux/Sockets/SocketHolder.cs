namespace OnDemand.Linux.Sockets;

/// <summary>Where a socket is: a descriptor of a process. Another process may have that number by now, and the process another socket there.</summary>
/// <param name="ProcessId">The process.</param>
/// <param name="Descriptor">Its descriptor.</param>
internal readonly record struct SocketHolder(int ProcessId, int Descriptor);
