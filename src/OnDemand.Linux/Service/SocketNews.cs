using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Service;

/// <summary>What the engine is told of sockets.</summary>
internal enum SocketNewsKind : byte
{
    /// <summary>Whose a new flow is.</summary>
    Answer,

    /// <summary>A socket is no more.</summary>
    Ended,

    /// <summary>Whose a flow is that was there before.</summary>
    Named,
}

/// <summary>News of a socket for the engine's thread.</summary>
/// <param name="Kind">What.</param>
/// <param name="Answer">Whose a new flow is.</param>
/// <param name="Cookie">The socket that is no more, or whose flow it is.</param>
/// <param name="Flow">The flow that was there before.</param>
internal readonly record struct SocketNews(SocketNewsKind Kind, SocketAnswer Answer = default, ulong Cookie = 0, FlowIdentity Flow = default);
