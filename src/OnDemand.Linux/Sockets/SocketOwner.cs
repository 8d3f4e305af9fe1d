namespace OnDemand.Linux.Sockets;

/// <summary>A process that has a socket.</summary>
/// <param name="ProcessId">The process.</param>
/// <param name="Program">The path of what it runs, see <see cref="ProcessSockets.ProgramOf"/>.</param>
internal readonly record struct SocketOwner(int ProcessId, string? Program);
