namespace OnDemand.Linux.Sockets;

/// <summary>A set of states: bit n is <see cref="SocketState"/> n.</summary>
[Flags]
internal enum SocketStates : uint
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>All but what has no socket of a program behind it: <see cref="SocketState.SynReceived"/>,
    /// <see cref="SocketState.TimeWait"/>.</summary>
    OfPrograms = All & ~((1u << (int)SocketState.SynReceived) | (1u << (int)SocketState.TimeWait) | (1u << (int)SocketState.NewSynReceived)),

    /// <summary>All.</summary>
    All = 0x1ffe,
}
