using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Recording;

// Theory of operation. An engine answers the same calls with the same results, so a recording of its inputs replays exactly, if only the
// calls are the same, and that includes those that take its outputs: they have a time, held frames go through the engine when they are
// taken, and a full queue changes what follows. So the order is kept here, once, for the live loop and for the replay:
//
//   step      one batch, move, answer, request or Advance; or all that an earlier run left
//   settle    its events; each output, and the events after it; replies to programs; questions to the network and the kernel
//
// Every step is settled, with its own time, before the next begins, and nothing is taken from an engine that had no step.

/// <summary>The one way into an engine that is recorded. Only for the engine's thread; it allocates nothing.</summary>
/// <param name="engine">The engine.</param>
/// <param name="shell">Takes what the engine gives.</param>
internal sealed class EngineDrive(DataplaneEngine engine, IEngineShell shell)
{
    private Timestamp _time;
    private bool _unsettled;

    /// <summary>Gives a fresh engine what an earlier run left.</summary>
    /// <typeparam name="T">What the restoring says.</typeparam>
    /// <param name="restore">Restores.</param>
    /// <param name="now">The time.</param>
    /// <returns>What it said.</returns>
    public T Restore<T>(Func<DataplaneEngine, T> restore, Timestamp now)
    {
        Begin(now);
        return restore(engine);
    }

    /// <summary>Hands in a batch of frames, see <see cref="DataplaneEngine.HandleBatch"/>.</summary>
    /// <param name="buffer">Where the frames lie.</param>
    /// <param name="slots">The frames; afterwards with their verdicts.</param>
    /// <param name="now">The time.</param>
    public void HandleBatch(Span<byte> buffer, Span<FrameSlot> slots, Timestamp now)
    {
        Begin(now);
        engine.HandleBatch(buffer, slots, now);
    }

    /// <summary>Moves the host, see <see cref="DataplaneEngine.Attach"/>.</summary>
    /// <param name="attachment">The number of the point of attachment.</param>
    /// <param name="prefixes">What it gives.</param>
    /// <param name="window">How long prefixes that are replaced gracefully stay; null for the configured length.</param>
    /// <param name="now">The time.</param>
    public void Attach(ulong attachment, ReadOnlySpan<PrefixAdvertisement> prefixes, Duration? window, Timestamp now)
    {
        Begin(now);
        engine.Attach(attachment, prefixes, window, now);
    }

    /// <summary>Detaches the host, see <see cref="DataplaneEngine.Detach"/>.</summary>
    /// <param name="now">The time.</param>
    public void Detach(Timestamp now)
    {
        Begin(now);
        engine.Detach(now);
    }

    /// <summary>Ends a prefix, see <see cref="DataplaneEngine.Withdraw"/>.</summary>
    /// <param name="prefix">The prefix.</param>
    /// <param name="window">How long it stays.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether it was there.</returns>
    public bool Withdraw(IpPrefix prefix, Duration window, Timestamp now)
    {
        Begin(now);
        return engine.Withdraw(prefix, window, now);
    }

    /// <summary>Gives lifetimes anew, see <see cref="DataplaneEngine.Advertise"/>.</summary>
    /// <param name="prefixes">The prefixes.</param>
    /// <param name="authenticated">Whether the two-hour rule is lifted.</param>
    /// <param name="now">The time.</param>
    public void Advertise(ReadOnlySpan<PrefixAdvertisement> prefixes, bool authenticated, Timestamp now)
    {
        Begin(now);
        engine.Advertise(prefixes, authenticated, now);
    }

    /// <summary>Answers a question, see <see cref="DataplaneEngine.Answer(in PrefixAnswer, Timestamp)"/>.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="now">The time.</param>
    public void Answer(in PrefixAnswer answer, Timestamp now)
    {
        Begin(now);
        engine.Answer(answer, now);
    }

    /// <summary>Hands in a program's request, see <see cref="DataplaneEngine.Handle"/>.</summary>
    /// <param name="request">The request.</param>
    /// <param name="now">The time.</param>
    public void Handle(in SetscRequest request, Timestamp now)
    {
        Begin(now);
        engine.Handle(request, now);
    }

    /// <summary>Forgets a program's request, see <see cref="DataplaneEngine.CloseSocket"/>.</summary>
    /// <param name="protocol">The socket's protocol.</param>
    /// <param name="internalAddress">Its internal address, or unspecified.</param>
    /// <param name="localPort">Its port.</param>
    /// <param name="now">The time.</param>
    public void CloseSocket(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now)
    {
        Begin(now);
        engine.CloseSocket(protocol, internalAddress, localPort, now);
    }

    /// <summary>Says whose a new flow is, see <see cref="DataplaneEngine.Answer(in SocketAnswer, Timestamp)"/>.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="now">The time.</param>
    public void Answer(in SocketAnswer answer, Timestamp now)
    {
        Begin(now);
        engine.Answer(answer, now);
    }

    /// <summary>Ends a socket, see <see cref="DataplaneEngine.EndSocket"/>.</summary>
    /// <param name="cookie">The socket's cookie.</param>
    /// <param name="now">The time.</param>
    public void EndSocket(ulong cookie, Timestamp now)
    {
        Begin(now);
        engine.EndSocket(cookie, now);
    }

    /// <summary>Forgets what a socket asked for, see <see cref="DataplaneEngine.ReleaseRequest"/>.</summary>
    /// <param name="cookie">The socket's cookie.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether it had asked for something.</returns>
    public bool ReleaseRequest(ulong cookie, Timestamp now)
    {
        Begin(now);
        return engine.ReleaseRequest(cookie, now);
    }

    /// <summary>Says whose a flow is that was there before, see <see cref="DataplaneEngine.NameSocket"/>.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="cookie">Its socket's cookie.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether the flow was there and had no socket.</returns>
    public bool NameSocket(in FlowIdentity flow, ulong cookie, Timestamp now)
    {
        Begin(now);
        return engine.NameSocket(flow, cookie);
    }

    /// <summary>Sets policy anew, see <see cref="DataplaneEngine.SetPolicy"/>.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="now">The time.</param>
    public void SetPolicy(ServicePolicy policy, Timestamp now)
    {
        Begin(now);
        engine.SetPolicy(policy);
    }

    /// <summary>Lets fall due what is due, see <see cref="DataplaneEngine.Advance"/>.</summary>
    /// <param name="now">The time.</param>
    public void Advance(Timestamp now)
    {
        Begin(now);
        engine.Advance(now);
    }

    /// <summary>Gives the shell everything that the last step led to; does nothing if there was no step.</summary>
    public void Settle()
    {
        if (!_unsettled)
        {
            return;
        }

        _unsettled = false;
        FollowEvents();
        while (shell.TakeOutput(_time))
        {
            FollowEvents();
        }

        FollowEvents();                              // of frames that were dropped after all
        while (engine.TryTakeReply(out SetscReply reply))
        {
            shell.Reply(reply);
        }

        while (engine.TryTakePrefixRequest(out PrefixRequest question))
        {
            shell.Ask(question, _time);
        }

        while (engine.TryTakeSocketQuestion(out SocketQuestion whose))
        {
            shell.Ask(whose, _time);
        }
    }

    private void Begin(Timestamp now)
    {
        Settle();
        _time = now;
        _unsettled = true;
    }

    private void FollowEvents()
    {
        while (engine.TryTakeEvent(out EngineEvent happened))
        {
            shell.Follow(happened);
        }
    }
}
