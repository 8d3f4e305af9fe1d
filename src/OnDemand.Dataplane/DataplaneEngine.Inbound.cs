using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>Frames of the network.</content>
public sealed partial class DataplaneEngine
{
    private Verdict Inbound(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        if (!prepared.Name.IsTyped)
        {
            return Verdict.Sent(layout.Shape == FrameShape.NotIpv6 ? ForwardReason.NotIpv6 : ForwardReason.NotOurs);
        }

        int to = prepared.Name.Number;
        if (_prefixes[_addresses.Typed(to).Prefix].State == PrefixState.Ended)
        {
            return Verdict.Dropped(DropReason.AddressEnded);
        }

        if (layout.Shape == FrameShape.NeighborDiscovery)
        {
            return Verdict.Sent(ForwardReason.NeighborDiscovery);
        }

        if (layout.Shape != FrameShape.Icmpv6Error && IsLinkScope(prepared.Source))
        {
            return Verdict.Sent(ForwardReason.LinkScope);
        }

        if (!_attached)
        {
            return Verdict.Dropped(DropReason.Detached);
        }

        return layout.Has(FrameMarks.Fragment)
            ? Fragment(frame, ref prepared, info, outbound: false, now)
            : InboundWhole(frame, ref prepared, info, now);
    }

    // A packet that is whole, or the first fragment of one.
    private Verdict InboundWhole(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        FrameShape shape = prepared.Layout.Shape;
        if (shape == FrameShape.Icmpv6Error)
        {
            return InboundError(frame, ref prepared, info, now);
        }

        if (shape is not (FrameShape.Transport or FrameShape.OpaqueTransport))
        {
            return Untranslatable(shape);
        }

        // With segments left it is not for the host yet, whatever its transport.
        return prepared.Layout.Has(FrameMarks.SegmentsLeft)
            ? Untranslatable(FrameShape.Transport) : InboundFlow(frame, ref prepared, info, now);
    }

    private Verdict InboundFlow(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        int to = prepared.Name.Number;
        ref TypedAddress address = ref _addresses.Typed(to);
        int id = _flows.Find(prepared.Key, prepared.Hash);
        if (id < 0 && address.NativeFlows > 0)
        {
            var native = new FlowKey(
                prepared.Source, layout.Protocol, FlowKey.NativeHost | to, layout.DestinationPort, layout.SourcePort);
            id = _flows.Find(native);
        }

        uint tick = Ticks.At(now, _origin);
        byte flags = layout.Has(FrameMarks.TcpHeader) ? frame[layout.UpperOffset + 13] : (byte)0;
        if (id >= 0)
        {
            ref FlowEntry entry = ref _flows.Entry(id);
            if (IsIdle(entry, tick) || (entry.State is FlowState.Closed or FlowState.Reset && IsSyn(flags)))
            {
                RemoveFlow(id, now);
                if (address.Prefix < 0)
                {
                    return Verdict.Dropped(DropReason.AddressEnded);   // a renewed address, and that was its last flow
                }
            }
            else
            {
                return entry.Address == to || entry.OldAddress == to
                    ? Deliver(frame, ref prepared, info, id, ref entry, flags, tick, now)
                    : Verdict.Dropped(DropReason.WrongAddress, id);
            }
        }

        return OpenInbound(frame, ref prepared, info, flags, tick, now);
    }

    private Verdict Deliver(
        Span<byte> frame, ref Prepared prepared, in FrameInfo info, int id, ref FlowEntry entry, byte flags, uint tick, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        ref TypedAddress address = ref _addresses.Typed(prepared.Name.Number);
        uint length = (uint)(layout.PacketEnd - layout.NetworkOffset);
        entry.Packets++;
        entry.Bytes += length;
        address.PacketsIn++;
        address.BytesIn += length;
        if ((flags & TcpTracker.Rst) == 0 && entry.IdleShift != LateAnswers)
        {
            entry.LastSeen = tick;   // RFC 7857 §7.1: a RST from outside does not refresh
        }

        if (layout.Has(FrameMarks.TcpHeader))
        {
            FlowState before = entry.State;
            TcpTracker.Inbound(ref entry, frame.Slice(layout.UpperOffset, 20), (int)(layout.PacketEnd - layout.UpperOffset));
            if (entry.State != before)
            {
                entry.LastSeen = tick;   // the four minutes after a RST begin with it (RFC 7857 §2.2)
                TcpChanged(id, ref entry, now);
            }
        }

        if ((entry.Marks & FlowMarks.Native) != 0)
        {
            return Verdict.Sent(ForwardReason.Native, id);
        }

        AddressRewrite.Destination(
            frame, layout, address.Internal, InternetChecksum.Negate(address.Difference), info.PartialChecksum);
        return Verdict.Sent(ForwardReason.Rewritten, id);
    }

    // Only a Fixed address is reachable; other types where policy opens a port (RFC 8653 §3.2), or where the middle of a flow may be taken up.
    private Verdict OpenInbound(Span<byte> frame, ref Prepared prepared, in FrameInfo info, byte flags, uint tick, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        int to = prepared.Name.Number;
        ref TypedAddress address = ref _addresses.Typed(to);
        bool tcp = layout.Protocol == IpProtocol.Tcp;
        bool middle = tcp && !IsSyn(flags);
        if (middle && (!_options.PickUpMidFlow || (flags & TcpTracker.Rst) != 0))
        {
            return Verdict.Dropped(DropReason.NoFlow);
        }

        if (!middle && !_policy.AllowsInbound(address.Type, InboundFacts(frame, prepared, address), out _))
        {
            return Verdict.Dropped(DropReason.Unsolicited);
        }

        if (layout.Shape == FrameShape.OpaqueTransport && address.Difference != 0)
        {
            return Untranslatable(FrameShape.OpaqueTransport);
        }

        if (_flows.IsFull)
        {
            return Verdict.Dropped(DropReason.FlowTableFull);
        }

        DecisionOrigin origin = middle ? DecisionOrigin.PickedUp : DecisionOrigin.Inbound;
        var choice = new SourceChoice
        {
            Address = to,
            Binding = -1,
            Decision = new Decision(origin, address.Type, SelectionRule.None, -1, DecisionRemarks.None),
        };
        FlowKey key = prepared.Key;
        if (!middle && !TryFindListener(frame, prepared, info, now, ref choice, out key, out Verdict waiting))
        {
            return waiting;
        }

        bool native = choice.Decision.Origin == DecisionOrigin.Native;
        FlowMarks marks = FlowMarks.Inbound | HairpinMark(prepared.Source) | (native ? FlowMarks.Native : FlowMarks.None);
        int id = OpenFlow(key, native ? _flows.Hash(key) : prepared.Hash, choice, marks, flags, tcp, now);
        if (!tcp)
        {
            AskReceiver(id, _flows.Entry(id), now);
        }

        return Deliver(frame, ref prepared, info, id, ref _flows.Entry(id), flags, tick, now);
    }

    private static FlowFacts InboundFacts(ReadOnlySpan<byte> frame, in Prepared prepared, in TypedAddress address) => new(
        prepared.Layout.Protocol, address.Internal, prepared.Layout.DestinationPort, prepared.Source, prepared.Layout.SourcePort,
        TrafficClassOf(frame, prepared.Layout.NetworkOffset));
}
