namespace OnDemand.Linux.Sockets;

/// <summary>How far <see cref="SocketOwners"/> goes in a search.</summary>
internal sealed record SocketOwnerLimits
{
    /// <summary>Processes of the socket's user that are looked into.</summary>
    public int Processes { get; init; } = 4096;

    /// <summary>Descriptors that are looked at, over all processes.</summary>
    public int Descriptors { get; init; } = 65_536;

    /// <summary>The time a search may take.</summary>
    public TimeSpan Time { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>How many answers are kept, those least recently used being forgotten; at least 1.</summary>
    public int Kept { get; init; } = 1024;
}
