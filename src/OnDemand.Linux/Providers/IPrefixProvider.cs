using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;

namespace OnDemand.Linux.Providers;

/// <summary>
/// Speaks to the network for the engine: it is asked for prefixes (RFC 8653 §3.1) and says what the network grants, refuses, takes back,
/// renews or offers unasked. Whatever way it has to the network is its own affair; here are only its two ends on the engine's thread.
/// </summary>
/// <remarks>
/// No call blocks and none throws because of the network. All are made on the engine's thread, but for <see cref="Start"/>, which comes
/// before. What was taken is done and settled before the next is taken, so that <see cref="Follow"/> tells what came of it.
/// </remarks>
internal interface IPrefixProvider : IAsyncDisposable
{
    /// <summary>
    /// When <see cref="TryTake"/> is to be called at the latest; a time that is past if something waits, <see cref="Timestamp.Never"/> if
    /// nothing will come by itself. Asked in every turn of the loop.
    /// </summary>
    Timestamp Next { get; }

    /// <summary>Begins.</summary>
    /// <param name="wake">Wakes the engine's thread when <see cref="Next"/> has become earlier; to be called from any thread.</param>
    void Start(Action wake);

    /// <summary>Takes a question of the engine. It answers once, later, or not at all; answers to closed questions do no harm.</summary>
    /// <param name="question">The question.</param>
    /// <param name="deadline">When the engine stops waiting and takes the network for silent.</param>
    /// <param name="now">The time.</param>
    void Ask(in PrefixRequest question, Timestamp deadline, Timestamp now);

    /// <summary>Tells what happened in the engine.</summary>
    /// <param name="happened">What.</param>
    /// <param name="attachment">The point of attachment that the host is at; null for none.</param>
    void Follow(in EngineEvent happened, string? attachment);

    /// <summary>Does what is due, and takes the next that the network says.</summary>
    /// <param name="now">The time.</param>
    /// <param name="news">It.</param>
    /// <returns>Whether there was anything for the engine; if not, <see cref="Next"/> may still have changed.</returns>
    bool TryTake(Timestamp now, out ProviderNews news);
}
