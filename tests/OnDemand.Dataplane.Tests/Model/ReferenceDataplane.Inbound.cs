using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

// From the network to the host, in the order of the contract; and ICMPv6 errors both ways (RFC 5508, RFC 7915 §5.3).
internal sealed partial class ReferenceDataplane
{
    private ModelVerdict Inbound(byte[] frame, FrameInfo info, Timestamp now)
    {
        var packet = new NaivePacket(frame, info.NetworkOffset);
        if (packet.Shape == NaiveShape.NotIpv6)
        {
            return ModelVerdict.Sent(ForwardReason.NotIpv6, frame);
        }

        if (Known(packet.Destination) is not ModelAddress typed)
        {
            return ModelVerdict.Sent(ForwardReason.NotOurs, frame);
        }

        if (!typed.IsUsable)
        {
            bool remembered = _flows.Values.Any(flow => flow.Address == typed);
            return ModelVerdict.Dropped(DropReason.AddressEnded) with
            {
                Or = !remembered ? ModelVerdict.Sent(ForwardReason.NotOurs, frame) : _attached ? null
                    : ModelVerdict.Dropped(DropReason.Detached),
            };
        }

        if (packet.Shape == NaiveShape.NeighborDiscovery)
        {
            return ModelVerdict.Sent(ForwardReason.NeighborDiscovery, frame);
        }

        if (IsOutOfReach(packet.Source) && packet.Shape != NaiveShape.Error)
        {
            return ModelVerdict.Sent(ForwardReason.LinkScope, frame);
        }

        if (!_attached)
        {
            return ModelVerdict.Dropped(DropReason.Detached);
        }

        if (Fragmented(frame, info, packet, inbound: true, now) is ModelVerdict fragment)
        {
            return fragment;
        }

        _used = typed;
        ModelVerdict verdict = Unsafe(packet) is DropReason reason ? Untranslatable(frame, reason)
            : packet.Shape == NaiveShape.Error
            ? InboundError(frame, info, packet, typed, now)
            : packet.HasSegmentsLeft ? Untranslatable(frame, DropReason.SegmentsLeft)
            : InboundFlow(frame, info, packet, typed, now);
        Note(packet, inbound: true, verdict);
        return verdict;
    }

    private ModelVerdict InboundFlow(byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress typed, Timestamp now)
    {
        ModelFlowKey key = InboundKey(packet, typed.Internal);
        ModelFlow? flow = _flows.GetValueOrDefault(key)
            ?? _flows.GetValueOrDefault(key with { Internal = packet.Destination, Native = typed });
        bool tcp = packet.Protocol == IpProtocol.Tcp;
        if (flow is { State: FlowState.Closed or FlowState.Reset } && tcp && IsOpening(packet))
        {
            Remove(flow);
            flow = null;
        }

        if (flow is null)
        {
            if (tcp && !IsOpening(packet))
            {
                if (!MayPickUp(packet))
                {
                    return ModelVerdict.Dropped(DropReason.NoFlow);
                }
            }
            else if (!_policy.AllowsInbound(typed.Type, Facts(key, packet), out _))
            {
                return ModelVerdict.Dropped(DropReason.Unsolicited);
            }

            if (packet.Shape == NaiveShape.Opaque && !IsNeutral(typed))
            {
                return Untranslatable(frame, DropReason.OpaqueTransport);   // only what may come in at all passes untouched
            }

            if (_flows.Count >= _options.MaximumFlows)
            {
                return ModelVerdict.Dropped(DropReason.FlowTableFull);
            }

            flow = new ModelFlow { Key = key, Address = typed, State = FirstState(packet, inbound: true), LastSeen = now };
            _flows.Add(key, flow);
        }
        else if (!IsAddressOf(flow, typed))
        {
            return ModelVerdict.Dropped(DropReason.WrongAddress);
        }

        Track(flow, packet, inbound: true, now);
        return flow.IsNative
            ? ModelVerdict.Sent(ForwardReason.Native, frame)
            : ModelVerdict.Sent(ForwardReason.Rewritten, NaiveRewrite.Destination(frame, info, typed.Internal));
    }

    private ModelVerdict InboundError(byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress typed, Timestamp now)
    {
        if (BadError(frame, info, packet, out NaivePacket quoted) is DropReason bad)
        {
            return ModelVerdict.Dropped(bad);
        }

        if (quoted.Source != packet.Destination)
        {
            return ModelVerdict.Dropped(DropReason.BadQuote);
        }

        ModelFlowKey key = OutboundKey(quoted) with { Internal = typed.Internal };
        ModelFlow? flow = _flows.GetValueOrDefault(key) ?? _flows.GetValueOrDefault(key with
        {
            Internal = packet.Destination,
            Native = typed
        });
        if (flow is null)
        {
            if (!_options.PickUpMidFlow)
            {
                return ModelVerdict.Dropped(DropReason.ErrorWithoutFlow);
            }

            if (_flows.Count >= _options.MaximumFlows)
            {
                return ModelVerdict.Dropped(DropReason.FlowTableFull) with { Or = ModelVerdict.Dropped(DropReason.ErrorWithoutFlow) };
            }

            flow = new ModelFlow { Key = key, Address = typed, State = PickedUpState(quoted), LastSeen = now };
            _flows.Add(key, flow);
        }
        else if (!IsAddressOf(flow, typed))
        {
            return ModelVerdict.Dropped(DropReason.WrongAddress);
        }

        return flow.IsNative
            ? ModelVerdict.Sent(ForwardReason.Native, frame)
            : ModelVerdict.Sent(ForwardReason.Rewritten, NaiveRewrite.Error(frame, info, outbound: false, typed.Internal));
    }

    private ModelVerdict OutboundError(
        byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress? native, byte[]? shown, Timestamp now)
    {
        if (BadError(frame, info, packet, out NaivePacket quoted) is DropReason bad)
        {
            return ModelVerdict.Dropped(bad);
        }

        if (quoted.Destination != packet.Source)
        {
            return ErrorOfThisRouter(frame, info, packet, quoted) ?? ModelVerdict.Dropped(DropReason.BadQuote);
        }

        ModelFlowKey key = InboundKey(quoted, packet.Source) with { Native = native };
        ModelFlow? flow = _flows.GetValueOrDefault(key);
        if (flow is not null)
        {
            return !flow.Address.IsUsable ? ModelVerdict.Dropped(DropReason.AddressEnded)
                : !_attached ? ModelVerdict.Dropped(DropReason.Detached)
                : native is not null ? ModelVerdict.Sent(ForwardReason.Native, frame)
                : Rewritten(flow.Address, frame, info, packet, shown, now);
        }

        if (!_options.PickUpMidFlow || !_attached || native is not null)
        {
            return ModelVerdict.Dropped(DropReason.ErrorWithoutFlow) with
            {
                Or = _attached ? null
                : ModelVerdict.Dropped(DropReason.Detached)
            };
        }

        if (_flows.Count >= _options.MaximumFlows)
        {
            return ModelVerdict.Dropped(DropReason.FlowTableFull) with { Or = ModelVerdict.Dropped(DropReason.ErrorWithoutFlow) };
        }

        if (Source(Decide(Facts(key, quoted)), key, frame, info, now, out ModelBinding? binding) is ModelVerdict without)
        {
            return without.Kind == VerdictKind.Drop ? without with { Or = ModelVerdict.Dropped(DropReason.ErrorWithoutFlow) } : without;
        }

        flow = new ModelFlow { Key = key, Address = binding!.Address, Binding = binding, State = PickedUpState(quoted), LastSeen = now };
        binding.Flows++;
        _flows.Add(key, flow);
        return Rewritten(flow.Address, frame, info, packet, shown, now);
    }

    // The host is a router too: of a packet that the remote sent to a typed address it speaks to the remote, from its internal address.
    private ModelVerdict? ErrorOfThisRouter(byte[] frame, FrameInfo info, NaivePacket packet, NaivePacket quoted)
    {
        if (Known(quoted.Destination) is not { External: { } external } address || address.Internal != packet.Source
            || packet.Destination != quoted.Source || quoted.Shape != NaiveShape.Transport
            || !_flows.TryGetValue(InboundKey(quoted, address.Internal), out ModelFlow? flow)
            || (flow.Address != address && flow.OldAddress != address))
        {
            return null;
        }

        return !address.IsUsable ? ModelVerdict.Dropped(DropReason.AddressEnded)
            : !_attached ? ModelVerdict.Dropped(DropReason.Detached)
            : ModelVerdict.Sent(ForwardReason.Rewritten, NaiveRewrite.Source(frame, info, external));
    }

    private static DropReason? BadError(byte[] frame, FrameInfo info, NaivePacket packet, out NaivePacket quoted)
    {
        int begin = Math.Min(packet.Quoted, frame.Length);
        int end = Math.Min(Math.Max(packet.End, packet.Quoted), frame.Length);
        quoted = new NaivePacket(frame[begin..end], 0, quote: true);
        if (!packet.IsCut && !packet.IsFragment && !info.PartialChecksum && !packet.HasRightChecksum)
        {
            return DropReason.BadIcmpChecksum;
        }

        return quoted.Shape is NaiveShape.Transport or NaiveShape.Opaque ? null : DropReason.BadQuote;
    }

    private static bool IsAddressOf(ModelFlow flow, ModelAddress typed) =>
        flow.Address == typed || (flow.OldAddress == typed && typed.IsUsable);

    private static ModelFlowKey InboundKey(NaivePacket packet, IpAddress internalAddress)
    {
        bool message = packet.Protocol == IpProtocol.Icmpv6 && !packet.IsEchoRequest && !packet.IsEchoReply;
        return new ModelFlowKey(
            packet.Protocol, packet.Source, packet.SourcePort, message ? packet.IcmpType : packet.DestinationPort, internalAddress);
    }
}
