using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;

namespace OnDemand.Captures.Recording;

/// <summary>What stands around an engine and takes what it gives: a live host, or the replay of its recording.</summary>
internal interface IEngineShell
{
    /// <summary>Takes the engine's next output, if there is one.</summary>
    /// <param name="now">The time of the step that led to it.</param>
    /// <returns>Whether there was one.</returns>
    bool TakeOutput(Timestamp now);

    /// <summary>Something happened in the engine.</summary>
    /// <param name="happened">What.</param>
    void Follow(in EngineEvent happened);

    /// <summary>The engine asks the network. The answer is a step of its own, also when it comes at once.</summary>
    /// <param name="question">The question.</param>
    /// <param name="now">The time of the step that led to it.</param>
    void Ask(in PrefixRequest question, Timestamp now);

    /// <summary>The engine asks whose a new flow is. The answer is a step of its own.</summary>
    /// <param name="question">The question.</param>
    /// <param name="now">The time of the step that led to it.</param>
    void Ask(in SocketQuestion question, Timestamp now);

    /// <summary>A program's request was answered.</summary>
    /// <param name="reply">The answer.</param>
    void Reply(in SetscReply reply);
}
