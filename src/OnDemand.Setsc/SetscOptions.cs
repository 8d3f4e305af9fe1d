namespace OnDemand.Setsc;

/// <summary>How an address is asked for.</summary>
public sealed record SetscOptions
{
    /// <summary>Ask the serving network for a new prefix even if one of this type is at hand (IPV6_REQUIRE_SRC_ON_NET, draft-17 §6.2).</summary>
    public bool OnNet { get; init; }

    /// <summary>Let the dataplane give the socket's packets the address on their way, without a bind; the socket is not touched.</summary>
    public bool Map { get; init; }

    /// <summary>How long to wait: more than zero; more than a minute counts as a minute. Ten seconds by default.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The path of the programs' socket; null for the one that the environment's ONDEMAND_PROGRAMS names, or else
    /// <c>/run/ondemand/od0.programs.sock</c>.
    /// </summary>
    public string? SocketPath { get; init; }
}
