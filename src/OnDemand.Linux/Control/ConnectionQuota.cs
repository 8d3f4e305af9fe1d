namespace OnDemand.Linux.Control;

/// <summary>How many connections a peer may have, so that nobody keeps others out.</summary>
/// <param name="TryEnter">A connection of this peer begins; false if it has as many as it may have, and this one has not begun.</param>
/// <param name="Leave">A connection that had begun has ended.</param>
/// <param name="Refusal">What one too many is told before it is closed.</param>
internal sealed record ConnectionQuota(Func<PeerCredentials, bool> TryEnter, Action<PeerCredentials> Leave, byte[] Refusal);
