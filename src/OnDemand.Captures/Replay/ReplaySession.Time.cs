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
    private readonly Dictionary<long, HeldPacket> _held = [];
    private readonly Queue<long> _heldOrder = new();

    /// <summary>Lets everything happen that is due by a time.</summary>
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

        GiveUpPlaces();
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
            if (_schedule.Next <= _now)
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
            if (_options.Explain && Explanation.Of(happened) is { } words)
            {
                _explained.Add(words);
            }
        }
    }

    private void KeepForLater(in CaptureRecord record, long tag, Verdict verdict, bool outbound, ReadOnlySpan<byte> asRemote = default)
    {
        object? place = verdict.Hold == HoldReason.FirstFragment ? _network.Reserve(record) : null;
        _held[tag] = new HeldPacket(new StoredRecord(record), place, _now, outbound, asRemote.ToArray());
        _heldOrder.Enqueue(tag);
    }

    // A frame that had to wait goes on now: in its own place if only its first fragment was late, else when the network had answered.
    private void Release(in OutputFrame info, ReadOnlySpan<byte> frame)
    {
        if (!_held.Remove(info.Tag, out HeldPacket? held))
        {
            return;
        }

        Counts.Release();
        if (_ledger.Find(info.Flow) is { } flow)
        {
            flow.Count(held.Outbound, frame.Length - info.NetworkOffset, _now, dropped: false);
            if (held.Place is null && !flow.Events.Any(known => known.What == FlowEventKind.Held))
            {
                flow.Note(held.Since, FlowEventKind.Held, ScenarioText.Format(_now.Since(held.Since)));
            }
        }

        CaptureRecord record = held.Record.View();
        if (!held.Outbound)
        {
            Verify(record.Data, frame, info.NetworkOffset);
            WriteAt(held.Place, record, held.AsRemote, null);
            _host?.Write(record, frame, null, null);
        }
        else if (info.Direction == OutputDirection.Host)
        {
            _ = held.Place is not null && _network.Fill(held.Place, default, null);
            _host?.Write(record, frame, _now.Nanoseconds, null);
        }
        else if (_outside is null)
        {
            string waited = $"waited {ScenarioText.Format(_now.Since(held.Since))}";
            WriteAt(held.Place, record, frame, _options.Explain ? $"ondemand: {waited}; {string.Join("; ", _explained)}" : null);
        }
    }

    private void Inject(in OutputFrame info, ReadOnlySpan<byte> packet)
    {
        Counts.Replies++;
        if (_host is null || _templates.Interface < 0)
        {
            return;
        }

        string? comment = _options.Explain ? $"ondemand: made by the dataplane, {Explanation.Name(info.Kind)} because of {Explanation.Name(info.About)}" : null;
        _host.Inject(_templates.Interface, _now.Nanoseconds, _templates.Frame(packet, toHost: true), comment);
    }

    // What was dropped while it waited leaves no output behind; its place is given up when it can no longer come.
    private void GiveUpPlaces()
    {
        Duration longest = new((2 * _fragmentTimeout.Nanoseconds) + Timestamp.NanosecondsPerSecond);
        while (_heldOrder.TryPeek(out long tag) && (!_held.TryGetValue(tag, out HeldPacket? held) || Expired(held, longest)))
        {
            _heldOrder.Dequeue();
            if (_held.Remove(tag, out HeldPacket? gone) && gone.Place is not null)
            {
                _ = _network.Fill(gone.Place, default, null);
            }
        }

        ExpireFragments();
    }

    private bool Expired(HeldPacket held, Duration longest) =>
        held.Place is not null ? _now.Since(held.Since) > longest : _held.Count > MostHeld;

    private sealed record HeldPacket(StoredRecord Record, object? Place, Timestamp Since, bool Outbound, byte[] AsRemote);
}
