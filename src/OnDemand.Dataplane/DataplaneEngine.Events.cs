using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>Events: what happened, for whoever wants to know.</content>
public sealed partial class DataplaneEngine
{
    private readonly Ring<EngineEvent>? _events;

    /// <summary>Takes the next event.</summary>
    /// <param name="happened">What happened.</param>
    /// <returns>Whether there was one.</returns>
    public bool TryTakeEvent(out EngineEvent happened)
    {
        happened = default;
        return _events is not null && _events.TryTake(out happened);
    }

    private void Report(in EngineEvent happened)
    {
        if (_events is not null && !_events.TryAdd(happened))
        {
            Counters.EventsLost++;
        }
    }

    private void ReportFlow(EngineEventKind kind, int id, IpAddress address, IpAddress previous, Timestamp now)
    {
        if (_events is null)
        {
            return;
        }

        ref FlowEntry entry = ref _flows.Entry(id);
        Report(new EngineEvent
        {
            Kind = kind,
            Time = now,
            Flow = id,
            Identity = IdentityOf(entry),
            Socket = _sockets?.CookieOf(id) ?? 0,
            Address = address,
            Previous = previous,
            Type = _addresses.Typed(entry.Address).Type,
            Decision = _flows.Cold(id).Decision,
        });
    }

    private FlowIdentity IdentityOf(in FlowEntry entry)
    {
        int host = entry.Host;
        IpAddress inside = (host & FlowKey.NativeHost) != 0
            ? _addresses.Typed(host & ~FlowKey.NativeHost).External : _addresses.Internal(host).Address;
        return new FlowIdentity(entry.Protocol, inside, entry.LocalPort, entry.Remote, entry.RemotePort);
    }

    private void ReportRefusal(in Prepared prepared, Decision decision, DropReason reason, Timestamp now) => Report(new EngineEvent
    {
        Kind = EngineEventKind.FlowRefused,
        Time = now,
        Flow = -1,
        Identity = new FlowIdentity(
            prepared.Layout.Protocol, prepared.Source, prepared.Layout.SourcePort, prepared.Key.Remote, prepared.Layout.DestinationPort),
        Type = decision.Type,
        Decision = decision,
        Drop = reason,
    });

    private void ReportPrefix(EngineEventKind kind, int id, Timestamp now)
    {
        ref PrefixEntry entry = ref _prefixes[id];
        Report(new EngineEvent
        {
            Kind = kind,
            Time = now,
            Flow = -1,
            Prefix = entry.Prefix,
            Type = entry.Type,
            PreferredUntil = entry.PreferredUntil,
            Until = kind == EngineEventKind.WindowOpened ? entry.ClosesAt : entry.ValidUntil,
        });
    }

    private void ReportAddress(EngineEventKind kind, int id, Timestamp now)
    {
        ref TypedAddress address = ref _addresses.Typed(id);
        Report(new EngineEvent
        {
            Kind = kind,
            Time = now,
            Flow = -1,
            Identity = new FlowIdentity(0, address.Internal, 0, default, 0),
            Address = address.External,
            Prefix = _prefixes[address.Prefix].Prefix,
            Type = address.Type,
        });
    }

    private void ReportAnswer(EngineEventKind kind, in Question question, in PrefixAdvertisement prefix, Timestamp now) => Report(new EngineEvent
    {
        Kind = kind,
        Time = now,
        Flow = -1,
        Prefix = prefix.Prefix,
        Type = question.Type,
        Number = (ulong)question.Id,
    });
}
