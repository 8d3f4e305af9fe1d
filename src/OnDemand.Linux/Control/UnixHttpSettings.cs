using Microsoft.AspNetCore.Builder;

namespace OnDemand.Linux.Control;

/// <summary>How a server on a Unix socket is to be.</summary>
internal sealed record UnixHttpSettings
{
    /// <summary>Where it listens; a socket that a dead process left there is replaced.</summary>
    public required string Path { get; init; }

    /// <summary>Whether everybody may connect, or only its owner.</summary>
    public bool IsForAll { get; init; }

    /// <summary>How many connections there may be; more are closed.</summary>
    public required int MostConnections { get; init; }

    /// <summary>How long the body of a request may be, in octets.</summary>
    public required int LongestBody { get; init; }

    /// <summary>How many of them a peer may have; null for no limit of its own.</summary>
    public ConnectionQuota? Quota { get; init; }

    /// <summary>Adds the resources.</summary>
    public required Action<WebApplication> Map { get; init; }
}
