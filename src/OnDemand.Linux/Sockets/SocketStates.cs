namespace OnDemand.Linux.Sockets;

/// <summary>A set of states: bit n is <see cref="SocketState"/> n.</summary>
[Flags]
internal enum SocketStates : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>All in which a program can have a socket: not half-open, not <see cref="SocketState.TimeWait"/>. Whether one has it
    /// <see cref="SocketRecord.HasProgram"/> tells.</summary>
    OfPrograms = All & ~((1u << (int)SocketState.SynReceived) | (1u << (int)SocketState.TimeWait) | (1u << (int)SocketState.NewSynReceived)),

    /// <summary>All.</summary>
    All = 0x1ffe,
}
