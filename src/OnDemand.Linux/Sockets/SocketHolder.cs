namespace OnDemand.Linux.Sockets;

/// <summary>Where a socket is: a descriptor of a process. Another process may have that number by now, and the process another socket there.</summary>
/// <param name="ProcessId">The process.</param>
/// <param name="Descriptor">Its descriptor.</param>
internal readonly record struct SocketHolder(int ProcessId, int Descriptor)
{
    /// <summary>The same process's descriptor some numbers further.</summary>
    /// <param name="numbers">How many.</param>
    /// <returns>It.</returns>
    public SocketHolder Ahead(int numbers) => this with { Descriptor = Descriptor + numbers };
}
