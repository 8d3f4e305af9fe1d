using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Control;

/// <summary>Requests of sockets. Only for the engine's thread.</summary>
internal interface ISocketControl
{
    /// <summary>Hands in a request, see <see cref="Dataplane.DataplaneEngine.Handle"/>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="now">The time.</param>
    void Handle(in SetscRequest request, Dataplane.Timestamp now);

    /// <summary>Forgets what a socket asked for, see <see cref="Dataplane.DataplaneEngine.ReleaseRequest"/>.</summary>
    /// <param name="cookie">The socket.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether it had asked for something.</returns>
    bool Release(ulong cookie, Dataplane.Timestamp now);
}
