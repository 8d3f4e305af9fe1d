using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;
using OnDemand.Captures.Reports;
using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>What happens between packets, and what the engine gives out.</content>
internal sealed partial class ReplaySession
{
    private int _moves;

    /// <summary>Lets everything happen that is due by a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void RunUntil(Timestamp time, bool onlyAnswers = false)
    {
        while (true)
        {
            if (onlyAnswers)
            {
                _schedule.KeepAnswers();
            }

            Timestamp scenario = _schedule.Next;
            Timestamp engine = _engine.NextDeadline;
            Timestamp next = scenario < engine ? scenario : engine;
            if (next > time || next == Timestamp.Never)
            {
                break;
            }

            _now = next > _now ? next : _now;
            _explained.Clear();
            if (scenario <= _now && scenario <= engine)
            {
                Perform(_schedule.Take());
            }
            else
            {
                _engine.Advance(_now);
            }

            Drain();
        }

        if (_heldWithPlace.Count + _heldWithout.Count + _pending.Count > 0)
        {
            ForgetHeld();
            ExpireFragments();
        }
    }

    private void Perform(in ScheduledAction action)
    {
        if (action.Network is { } happens)
        {
            _ledger.Moves.Begin(happens, _now);
            Perform(happens);
        }
        else if (action.Answer is { } answer)
        {
            _engine.Answer(answer, _now);
        }
        else if (action.Socket is { } socket)
        {
            IpAddress inside = socket.Internal ?? IpAddress.Unspecified;
            if (action.Closes)
            {
                _engine.CloseSocket(socket.Protocol, inside, socket.LocalPort, _now);
                return;
            }

            _engine.Handle(
                new SetscRequest
                {
                    Protocol = socket.Protocol,
                    Internal = inside,
                    LocalPort = socket.LocalPort,
                    Type = socket.Type,
                    Prefix = socket.Prefix,
                    OnNet = socket.OnNet,
                    Preferences = socket.Preferences,
                },
                _now);
        }
    }

    private void Perform(NetworkEvent happens)
    {
        switch (happens)
        {
            case AttachEvent attach:
                _engine.Attach((ulong)_moves++, [.. attach.Prefixes], attach.Window, _now);
                break;
            case WithdrawEvent withdraw:
                _ = _engine.Withdraw(withdraw.Prefix, withdraw.Window ?? Duration.Zero, _now);
                break;
            case AdvertiseEvent advertise:
                _engine.Advertise([.. advertise.Prefixes], advertise.Authenticated, _now);
                break;
            default:
                _engine.Detach(_now);
                break;
        }
    }

    // Everything that the engine has to say: questions are put to the scenario, outputs are written.
    private void Drain()
    {
        DrainEvents();
        while (_engine.TryTakePrefixRequest(out PrefixRequest question))
        {
            _schedule.Ask(question, _now);
            while (_schedule.Next <= _now)
            {
                Perform(_schedule.Take());   // an answer without delay is there before anything else happens
                DrainEvents();
            }
        }

        while (_engine.TryTakeOutput(_output, _now, out OutputFrame info, out int length))
        {
            DrainEvents();
            if (info.Kind == OutputKind.Released)
            {
                Release(info, _output.AsSpan(0, length));
            }
            else
            {
                Inject(info, _output.AsSpan(0, length));
            }
        }

        DrainEvents();
        while (_engine.TryTakeReply(out _))
        {
            // The programs of a capture cannot read their answers; what they got shows in their flows.
        }
    }

    private void DrainEvents()
    {
        while (_engine.TryTakeEvent(out EngineEvent happened))
        {
            _ledger.Enter(happened);
            _schedule.Follow(happened);
            if (happened.Kind == EngineEventKind.FlowOpened)
            {
                _unsent.Remove(happened.Identity);
            }

            if (_options.Explain && Explanation.Of(happened) is { } words)
            {
                _explained.Add(words);
            }
        }
    }
}
