using OnDemand.Dataplane;

namespace OnDemand.Linux.Run;

/// <summary>
/// Lets the queues of one TAP use one engine, one at a time. What a queue does with the kernel, which is nearly all that a packet costs,
/// goes on beside the others; what it does with the engine, some ten nanoseconds for each packet, does not.
/// </summary>
internal interface IEngineTurns
{
    /// <summary>Waits until no other thread has the engine.</summary>
    /// <param name="queue">Through which outputs go in this turn.</param>
    /// <returns>The time, never earlier than that of the turn before.</returns>
    Timestamp Begin(FramePump queue);

    /// <summary>Carries out what the engine has to say.</summary>
    /// <param name="now">The turn's time.</param>
    void Settle(Timestamp now);

    /// <summary>Lets the next have the engine.</summary>
    void End();
}
