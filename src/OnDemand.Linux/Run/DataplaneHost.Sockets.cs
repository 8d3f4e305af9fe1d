using OnDemand.Captures.Recording;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Linux.Control;
using OnDemand.Linux.Programs;
using OnDemand.Linux.Service;

namespace OnDemand.Linux.Run;

/// <content>Sockets: whose flows are, what they ask for, and when they end.</content>
internal sealed partial class DataplaneHost
{
    private readonly EndedSockets _ended = new();

    /// <summary>Counts the sockets of commands; null for nobody. Before <see cref="Run"/>.</summary>
    public CommandSockets? Commands { get; set; }

    /// <inheritdoc/>
    void IEngineShell.Ask(in SocketQuestion question, Timestamp now) => _broker?.Ask(question);

    // The configuration's own requests have no number: nobody could read the answer; what they got shows in their flows.
    /// <inheritdoc/>
    void IEngineShell.Reply(in SetscReply reply)
    {
        if (reply.Token != 0)
        {
            _services?.Reply(reply, _now);
        }
    }

    /// <inheritdoc/>
    void ISocketControl.Handle(in SetscRequest request, Timestamp now)
    {
        if (_ended.Contains(request.Socket))
        {
            // It was closed between the look at it and here; nobody would ever tell the engine.
            _services?.Ended(request.Socket, now);
            return;
        }

        _drive.Settle();
        _observer?.OnRequest(request, now);
        _drive.Handle(request, now);
    }

    /// <inheritdoc/>
    bool ISocketControl.Release(ulong cookie, Timestamp now)
    {
        _drive.Settle();
        _observer?.OnReleased(cookie, now);
        return _drive.ReleaseRequest(cookie, now);
    }

    /// <summary>Asks again for what sockets got of an earlier run. Their addresses are restored, so they get the same.</summary>
    /// <param name="now">The time.</param>
    internal void Adopt(Timestamp now)
    {
        if (_services is null)
        {
            return;
        }

        _now = now;
        foreach (SocketBinding binding in _adopted.OrderBy(binding => binding.Cookie))
        {
            ((ISocketControl)this).Handle(_services.Adopt(binding), now);
            Drain(now);
        }
    }

    /// <summary>A socket has ended. Of the sockets of this host those matter that the engine knows, or is about to.</summary>
    /// <param name="cookie">The socket.</param>
    /// <param name="now">The time.</param>
    /// <returns>Whether the engine knew it.</returns>
    internal bool EndSocket(ulong cookie, Timestamp now)
    {
        Commands?.End(cookie);
        _ended.Add(cookie);                          // a request of it may still be under way, whether it has flows or not
        if (!_engine.KnowsSocket(cookie))
        {
            return false;
        }

        _observer?.OnSocketEnded(cookie, now);
        _drive.EndSocket(cookie, now);
        _services?.Ended(cookie, now);
        return true;
    }

    // What the kernel said of sockets, a few at a time.
    private void TakeNews(SocketBroker broker, Timestamp now)
    {
        for (int i = 0; i < NewsInTurn && broker.TryTake(out SocketNews news); i++)
        {
            switch (news.Kind)
            {
                case SocketNewsKind.Answer:
                    _observer?.OnSocket(news.Answer, now);
                    _drive.Answer(news.Answer, now);
                    break;
                case SocketNewsKind.Ended when EndSocket(news.Cookie, now):
                    break;
                case SocketNewsKind.Named:
                    _observer?.OnSocketNamed(news.Flow, news.Cookie, now);
                    _ = _drive.NameSocket(news.Flow, news.Cookie, now);
                    break;
                default:
                    Commands?.End(news.Cookie);      // one that was closed before the engine opened its flow
                    continue;
            }

            Drain(now);
        }
    }
}
