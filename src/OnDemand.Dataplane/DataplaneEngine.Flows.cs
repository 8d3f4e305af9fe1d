using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>The life of flows and what they hold: addresses, prefixes, bindings.</content>
public sealed partial class DataplaneEngine
{
    private const byte OtherDatagrams = 10;   // FlowState.Datagram plus this is past the last state
    private const byte LateAnswers = 4;       // FlowState.Closed plus this is past it too

    // How long answers to what an ended socket sent may be under way: as long as fragments are by default, longer than most paths take.
    private static readonly Duration LateAnswersTimeout = Duration.FromSeconds(5);

    private void SetIdleTimes()
    {
        uint opening = Ticks.Of(_options.TcpOpeningTimeout);
        uint established = Ticks.Of(_options.TcpEstablishedTimeout);
        uint closing = Ticks.Of(_options.TcpClosingTimeout);
        _idle[(int)FlowState.Datagram] = Ticks.Of(_options.UdpTimeout);
        _idle[(int)FlowState.Datagram + OtherDatagrams] = Ticks.Of(_options.OtherTimeout);
        _idle[(int)FlowState.Echo] = Ticks.Of(_options.IcmpTimeout);
        _idle[(int)FlowState.OpeningOut] = opening;
        _idle[(int)FlowState.OpeningIn] = opening;
        _idle[(int)FlowState.Established] = established;
        _idle[(int)FlowState.HostFin] = established;
        _idle[(int)FlowState.RemoteFin] = established;
        _idle[(int)FlowState.Closed] = closing;
        _idle[(int)FlowState.Closed + LateAnswers] = Ticks.Of(LateAnswersTimeout);
        _idle[(int)FlowState.Reset] = closing;
        _idle[(int)FlowState.Stranded] = closing;
        _shortestIdle = Math.Min(_idle[(int)FlowState.Datagram], established);
    }

    private int OpenFlow(in FlowKey key, uint hash, in SourceChoice choice, FlowMarks marks, byte flags, bool tcp, Timestamp now)
    {
        int id = _flows.Add(key, hash);
        ref FlowEntry entry = ref _flows.Entry(id);
        byte protocol = FlowKey.ProtocolOf(key.Tail);
        entry.Address = choice.Address;
        entry.Binding = choice.Binding;
        entry.Marks = marks;
        entry.LastSeen = Ticks.At(now, _origin);
        entry.State = protocol == IpProtocol.Icmpv6 ? FlowState.Echo : FlowState.Datagram;
        entry.IdleShift = protocol is IpProtocol.Udp or IpProtocol.UdpLite or IpProtocol.Icmpv6 or IpProtocol.Tcp ? (byte)0 : OtherDatagrams;
        if (tcp)
        {
            entry.State = TcpTracker.Begin(flags, inbound: (marks & FlowMarks.Inbound) != 0);
        }

        _flows.Cold(id).Decision = choice.Decision;
        if (choice.Cookie != 0)
        {
            _ = _sockets!.TryLink(id, choice.Cookie);
        }

        if (choice.Binding >= 0)
        {
            _bindings[choice.Binding].Flows++;
        }

        ref TypedAddress address = ref _addresses.Typed(choice.Address);
        address.Users++;
        address.NativeFlows += (marks & FlowMarks.Native) != 0 ? 1 : 0;
        _prefixes[address.Prefix].Users++;
        Counters.Types[(int)address.Type].Flows++;
        Counters.Types[(int)address.Type].FlowsOpened++;
        ScheduleExpiry(id, entry);
        ReportFlow(EngineEventKind.FlowOpened, id, address.External, default, now);
        return id;
    }

    private void ScheduleExpiry(int id, in FlowEntry entry)
    {
        _wheel.Schedule(id, entry.LastSeen + _idle[((int)entry.State + entry.IdleShift) & 15]);
        _nextDeadline = _nextDeadline.Nanoseconds <= _wheelDue.Nanoseconds ? _nextDeadline : _wheelDue;
    }

    // The connection went into another state: its idle time is another, and it may have closed or come back to life.
    private void TcpChanged(int id, ref FlowEntry entry, Timestamp now)
    {
        bool released = (entry.Marks & FlowMarks.Released) != 0;
        if (released && entry.State != FlowState.Reset && _sockets?.IsGone(id) == true)
        {
            entry.State = FlowState.Closed;      // whatever still comes: nobody goes on with it
        }

        _wheel.Unschedule(id);
        ScheduleExpiry(id, entry);
        if (entry.State == FlowState.Established && (entry.Marks & FlowMarks.Inbound) != 0)
        {
            AskReceiver(id, entry, now);
        }

        bool closed = entry.State is FlowState.Closed or FlowState.Reset;
        if (closed && !released)
        {
            ReleaseUse(ref entry, now);
            ReportFlow(EngineEventKind.FlowClosed, id, _addresses.Typed(entry.Address).External, default, now);
        }
        else if (!closed && released)
        {
            entry.Marks &= ~FlowMarks.Released;
            ref TypedAddress address = ref _addresses.Typed(entry.Address);
            _prefixes[address.Prefix].Users++;
            Counters.Types[(int)address.Type].Flows++;
            ReportFlow(EngineEventKind.FlowReopened, id, address.External, default, now);
        }
    }

    // The flow no longer counts as a user of its prefix.
    private void ReleaseUse(ref FlowEntry entry, Timestamp now)
    {
        entry.Marks |= FlowMarks.Released;
        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        Counters.Types[(int)address.Type].Flows--;
        LeavePrefix(address.Prefix, now);
    }

    private void LeavePrefix(int prefix, Timestamp now)
    {
        ref PrefixEntry entry = ref _prefixes[prefix];
        if (--entry.Users == 0)
        {
            entry.UnusedSince = now;
            if (entry.Type == AddressType.SessionLasting)
            {
                SetDeadline();
            }
        }
    }

    private void RemoveFlow(int id, Timestamp now)
    {
        ref FlowEntry entry = ref _flows.Entry(id);
        ReportFlow(EngineEventKind.FlowRemoved, id, _addresses.Typed(entry.Address).External, default, now);
        _wheel.Unschedule(id);
        if ((entry.Marks & FlowMarks.Released) == 0)
        {
            ReleaseUse(ref entry, now);
        }

        int address = entry.Address;
        int old = entry.OldAddress;
        int binding = entry.Binding;
        _addresses.Typed(address).NativeFlows -= (entry.Marks & FlowMarks.Native) != 0 ? 1 : 0;
        _sockets?.Unlink(id, gone: false);
        _flows.Remove(id);
        LeaveAddress(address);
        if (old >= 0)
        {
            LeaveAddress(old);
        }

        if (binding >= 0 && --_bindings[binding].Flows == 0)
        {
            AbandonBinding(binding, now);
        }
    }

    // One user less; an address that nobody can take any more is freed with its last user.
    private void LeaveAddress(int id)
    {
        ref TypedAddress address = ref _addresses.Typed(id);
        address.Users--;
        FreeAddressIfDone(id);
    }

    private void FreeAddressIfDone(int id)
    {
        ref TypedAddress address = ref _addresses.Typed(id);
        int prefix = address.Prefix;
        bool ended = _prefixes[prefix].State == PrefixState.Ended;
        if (address.Users > 0 || !(ended || address.Retired))
        {
            return;
        }

        ref TypeCounters counters = ref Counters.Types[(int)address.Type];
        counters.Packets += (long)(address.PacketsOut + address.PacketsIn);
        counters.Octets += (long)(address.BytesOut + address.BytesIn);
        _addresses.FreeTyped(id);
        ref PrefixEntry entry = ref _prefixes[prefix];
        entry.Addresses--;
        if (ended && entry.Addresses == 0)
        {
            _prefixes.Free(prefix);
        }
    }

    private void AbandonBinding(int id, Timestamp now)
    {
        if (id < 0 || _bindings[id].Flows > 0 || _bindings[id].Request >= 0)
        {
            return;
        }

        int address = _bindings[id].Address;
        CountRequestBinding((ushort)_bindings[id].Key, -1);
        _bindings.Remove(id);
        LeaveAddress(address);
    }

    // A live TCP flow has lost its address: its peer could not follow to another, so it ends here, and its program is told.
    private void Strand(int id, ref FlowEntry entry, Timestamp now)
    {
        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        Counters.Types[(int)address.Type].Stranded++;
        entry.State = FlowState.Stranded;
        entry.LastSeen = Ticks.At(now, _origin);
        _wheel.Unschedule(id);
        ScheduleExpiry(id, entry);
        ReportFlow(EngineEventKind.FlowStranded, id, address.External, default, now);
        if ((entry.Marks & FlowMarks.Released) == 0)
        {
            ReleaseUse(ref entry, now);
        }
    }

    // Same socket, same internal address; the next packet leaves with the new source.
    private void GoOver(int id, ref FlowEntry entry, in SourceChoice choice, bool keepOld, Timestamp now)
    {
        int before = entry.Address;
        IpAddress previous = _addresses.Typed(before).External;
        ref TypedAddress address = ref _addresses.Typed(choice.Address);
        if (choice.Address == before)
        {
            return;
        }

        address.Users++;
        _prefixes[address.Prefix].Users++;
        Counters.Types[(int)address.Type].Flows++;
        Counters.Types[(int)address.Type].WentOver++;
        ref TypedAddress left = ref _addresses.Typed(before);
        Counters.Types[(int)left.Type].Flows--;
        LeavePrefix(left.Prefix, now);
        int older = entry.OldAddress;
        entry.Address = choice.Address;
        entry.OldAddress = keepOld ? before : -1;
        if (entry.Binding < 0)
        {
            entry.Binding = choice.Binding;
            _bindings[choice.Binding].Flows++;
        }

        Decision decision = choice.Decision;
        _flows.Cold(id).Decision = decision with { Remarks = decision.Remarks | DecisionRemarks.WentOver };
        ReportFlow(EngineEventKind.FlowWentOver, id, address.External, previous, now);
        if (!keepOld)
        {
            LeaveAddress(before);
        }

        if (older >= 0)
        {
            LeaveAddress(older);
        }
    }

    private static byte TrafficClassOf(ReadOnlySpan<byte> frame, int networkOffset) =>
        (byte)((frame[networkOffset] << 4) | (frame[networkOffset + 1] >> 4));

    private static FlowFacts FactsOf(ReadOnlySpan<byte> frame, in Prepared prepared) => new(
        prepared.Layout.Protocol, prepared.Source, prepared.Layout.SourcePort, prepared.Key.Remote, prepared.Layout.DestinationPort,
        TrafficClassOf(frame, prepared.Layout.NetworkOffset));
}
