using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

// From the host to the network, in the order of the contract.
internal sealed partial class ReferenceDataplane
{
    private const byte Prohibited = 1;             // RFC 4443 §3.1: communication administratively prohibited
    private const byte SourcePolicy = 5;        // source address failed ingress/egress policy

    // The address that the frame at hand was given; what follows a first fragment is what it became.
    private ModelAddress? _used;

    private ModelVerdict Outbound(byte[] frame, FrameInfo info, byte[]? shown, Timestamp now)
    {
        _used = null;
        var packet = new NaivePacket(frame, info.NetworkOffset);
        if (packet.Shape == NaiveShape.NotIpv6)
        {
            return ModelVerdict.Sent(ForwardReason.NotIpv6, frame);
        }

        ModelAddress? native = null;
        if (!IsInternal(packet.Source))
        {
            native = Known(packet.Source);
            if (native is null)
            {
                return ModelVerdict.Sent(ForwardReason.NotOurs, frame);
            }

            if (!native.IsUsable && !_flows.Values.Any(flow => flow.Address == native))
            {
                ModelVerdict remembered = OutboundOfOurs(frame, info, packet, native, shown, now);
                return remembered with { Or = ModelVerdict.Sent(ForwardReason.NotOurs, frame) with { Or = remembered.Or } };
            }
        }
        else if (!_internals.Contains(packet.Source))
        {
            if (_internals.Count >= _options.MaximumInternalAddresses)
            {
                return ModelVerdict.Dropped(DropReason.AddressTableFull);
            }

            _internals.Add(packet.Source);
        }

        return OutboundOfOurs(frame, info, packet, native, shown, now);
    }

    private ModelVerdict OutboundOfOurs(byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress? native, byte[]? shown,
        Timestamp now)
    {
        _used = native;
        if (IsOutOfReach(packet.Destination))
        {
            return ModelVerdict.Sent(ForwardReason.LinkScope, frame);
        }

        if (packet.Shape == NaiveShape.NeighborDiscovery)
        {
            return ModelVerdict.Sent(ForwardReason.NeighborDiscovery, frame);
        }

        if (IsInternal(packet.Destination))
        {
            return ModelVerdict.Sent(ForwardReason.Internal, frame);
        }

        return Fragmented(frame, info, packet, inbound: false, now) ?? Whole(frame, info, packet, native, shown, now);
    }

    private ModelVerdict Whole(byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress? native, byte[]? shown, Timestamp now)
    {
        ModelVerdict verdict = Unsafe(packet) is DropReason reason ? OutboundUnsafe(frame, info, native, reason)
            : packet.Shape == NaiveShape.Error ? OutboundError(frame, info, packet, native, shown, now)
            : native is not null ? Native(frame, info, packet, native, now)
            : OutboundFlow(frame, info, packet, shown, now);
        Note(packet, inbound: false, verdict);
        return verdict;
    }

    // Nothing is written into a native socket's packets, so there is nothing unsafe about those of a usable address.
    private ModelVerdict OutboundUnsafe(byte[] frame, FrameInfo info, ModelAddress? native, DropReason reason) =>
        native is null ? Untranslatable(frame, reason)
        : !native.IsUsable ? Answer(frame, info, SourcePolicy, DropReason.AddressEnded)
        : !_attached ? ModelVerdict.Dropped(DropReason.Detached)
        : ModelVerdict.Sent(ForwardReason.Native, frame);

    private ModelVerdict OutboundFlow(byte[] frame, FrameInfo info, NaivePacket packet, byte[]? shown, Timestamp now)
    {
        ModelFlowKey key = OutboundKey(packet);
        ModelFlow? flow = _flows.GetValueOrDefault(key);
        bool opens = packet.Protocol == IpProtocol.Tcp && IsOpening(packet);
        bool unanswered = flow is { IsTcp: true, State: FlowState.OpeningOut, Address.IsUsable: false };
        if (flow is not null && ((opens && !flow.IsLive) || unanswered))
        {
            Remove(flow);
            flow = null;
        }

        if (flow is null)
        {
            if (!_attached)
            {
                return ModelVerdict.Dropped(DropReason.Detached);
            }

            if (packet.Protocol == IpProtocol.Tcp && !IsOpening(packet) && !MayPickUp(packet))
            {
                return ModelVerdict.Dropped(DropReason.NoFlow);
            }

            return Open(frame, info, packet, key, shown, now);
        }

        if (flow.State == FlowState.Stranded)
        {
            flow.LastSeen = now;
            return ResetHost(flow, packet, info);
        }

        if (!flow.Address.IsUsable)
        {
            if (flow.IsTcp)
            {
                return Strand(flow, packet, info, now);
            }

            if (!_attached)
            {
                return ModelVerdict.Dropped(DropReason.Detached);
            }

            if (GoOver(flow, frame, info, packet, shown, now) is ModelVerdict ended)
            {
                return ended;
            }
        }
        else if (_options.GracefulDatagramsAtOnce && !flow.IsTcp && flow.Address.Prefix.State == PrefixState.Closing)
        {
            GoOverAtOnce(flow, info, packet, shown, now);
        }

        return _attached ? Leave(flow, frame, info, packet, shown, now) : ModelVerdict.Dropped(DropReason.Detached);
    }

    private ModelVerdict Open(byte[] frame, FrameInfo info, NaivePacket packet, ModelFlowKey key, byte[]? shown, Timestamp now)
    {
        if (_flows.Count >= _options.MaximumFlows)
        {
            return Answer(frame, info, Prohibited, DropReason.FlowTableFull);
        }

        ModelDecision decision = Decide(Facts(key, packet));
        if (Source(decision, key, frame, info, now, out ModelBinding? binding) is ModelVerdict without)
        {
            return without;
        }

        if (packet.Shape == NaiveShape.Opaque && !IsNeutral(binding!.Address, shown, info))
        {
            Forget(binding);
            return Untranslatable(frame, DropReason.OpaqueTransport);
        }

        var flow = new ModelFlow
        {
            Key = key,
            Address = binding!.Address,
            Binding = binding,
            State = FirstState(packet, inbound: false),
            LastSeen = now,
        };
        binding.Flows++;
        _flows.Add(key, flow);
        return Leave(flow, frame, info, packet, shown, now);
    }

    /// <summary>A binding with an address for new flows, or what becomes of the frame without one.</summary>
    private ModelVerdict? Source(
        ModelDecision decision, ModelFlowKey flow, byte[] frame, FrameInfo info, Timestamp now, out ModelBinding? binding)
    {
        var key = new ModelBindingKey(flow.Protocol, flow.Internal, flow.LocalPort, decision);
        if (_bindings.TryGetValue(key, out binding) && binding.Address.Prefix.IsForNewSockets)
        {
            return null;
        }

        if (binding is null && _bindings.Count >= _options.MaximumBindings)
        {
            return _attached ? Answer(frame, info, Prohibited, DropReason.BindingTableFull) : ModelVerdict.Dropped(DropReason.Detached);
        }

        ModelAddress? address = ChooseFor(decision, flow, now);
        if (address is null)
        {
            if (!_attached)
            {
                return ModelVerdict.Dropped(DropReason.Detached);
            }

            DropReason reason = Ask(decision, flow.Internal, out ModelQuestion? question, now);
            return reason switch
            {
                DropReason.None => Hold(frame, info, inbound: false, question, DatagramOf(frame, info, inbound: false)),
                DropReason.Refused => Answer(frame, info, Prohibited, DropReason.Refused),
                _ => ModelVerdict.Dropped(reason),
            };
        }

        if (binding is null)
        {
            binding = new ModelBinding { Key = key, Address = address };
            _bindings.Add(key, binding);
        }

        binding.Address = address;
        return null;
    }

    // A socket that asked for a prefix of its own has that one or none, though others are there.
    private ModelAddress? ChooseFor(ModelDecision decision, ModelFlowKey flow, Timestamp now)
    {
        if (decision is not { Request: ulong token, Outcome.OnNet: true } || _options.OnNet != OnNetReading.RequestNew)
        {
            return Choose(decision.Outcome, flow.Internal, flow.Remote, now);
        }

        ModelPrefix? own = _grantedTo.GetValueOrDefault(token);
        return own is { IsForNewSockets: true } && own.Attachment == _attachment ? AddressOf(own, flow.Internal, now) : null;
    }

    private ModelVerdict Leave(ModelFlow flow, byte[] frame, FrameInfo info, NaivePacket packet, byte[]? shown, Timestamp now)
    {
        if (packet.Shape == NaiveShape.Opaque && !IsNeutral(flow.Address, shown, info))
        {
            return Untranslatable(frame, DropReason.OpaqueTransport);
        }

        Track(flow, packet, inbound: false, now);
        return Rewritten(flow.Address, frame, info, packet, shown, now);
    }

    private ModelVerdict Rewritten(ModelAddress address, byte[] frame, FrameInfo info, NaivePacket packet, byte[]? shown, Timestamp now)
    {
        _used = address;
        address.OctetsOut += packet.Shape == NaiveShape.Error ? 0 : (ulong)packet.PacketLength;   // errors are about a flow, not of it
        if (shown is not null && IpAddress.Read(shown.AsSpan(info.NetworkOffset + 8)) is IpAddress source && source != packet.Source)
        {
            Adopt(address, source);
        }

        IpAddress external = address.External ?? Stand(address.Prefix);
        byte[] rewritten = packet.Shape == NaiveShape.Error
            ? NaiveRewrite.Error(frame, info, outbound: true, external)
            : NaiveRewrite.Source(frame, info, external);
        if (Known(packet.Destination) is null)
        {
            return ModelVerdict.Sent(ForwardReason.Rewritten, rewritten);
        }

        ModelVerdict inbound = Inbound(rewritten, info, now);
        if (inbound is { Kind: VerdictKind.Forward, Forward: ForwardReason.Untranslatable })
        {
            return inbound with { Frame = frame };
        }

        return inbound is { Kind: VerdictKind.Forward, Forward: ForwardReason.Rewritten }
            ? inbound with { Forward = ForwardReason.Hairpin }
            : inbound.Or is not { Kind: VerdictKind.Forward } ? inbound
            : inbound with { Or = ModelVerdict.Sent(ForwardReason.Rewritten, rewritten) };
    }

    /// <summary>A datagram flow whose address has ended: selected anew through its socket's binding.</summary>
    private ModelVerdict? GoOver(ModelFlow flow, byte[] frame, FrameInfo info, NaivePacket packet, byte[]? shown, Timestamp now)
    {
        ModelDecision decision = DecisionOf(flow);
        if (Source(decision, flow.Key, frame, info, now, out ModelBinding? binding) is ModelVerdict without)
        {
            return without;
        }

        if (packet.Shape == NaiveShape.Opaque && !IsNeutral(binding!.Address, shown, info))
        {
            Remove(flow);
            Forget(binding);
            return Untranslatable(frame, DropReason.OpaqueTransport);
        }

        Rebind(flow, binding!);
        flow.OldAddress = null;
        return null;
    }

    /// <summary>The same inside a replacement window, if there is something to go over to.</summary>
    private void GoOverAtOnce(ModelFlow flow, FrameInfo info, NaivePacket packet, byte[]? shown, Timestamp now)
    {
        ModelDecision decision = DecisionOf(flow);
        bool there = ChooseFor(decision, flow.Key, now) is not null;
        var key = new ModelBindingKey(flow.Key.Protocol, flow.Key.Internal, flow.Key.LocalPort, decision);
        if (!there || !_attached || (!_bindings.ContainsKey(key) && IsBindingTableFull))
        {
            return;
        }

        ModelAddress old = flow.Address;
        if (Source(decision, flow.Key, [], default, now, out ModelBinding? binding) is not null)
        {
            return;
        }

        if (packet.Shape == NaiveShape.Opaque && !IsNeutral(binding!.Address, shown, info))
        {
            Forget(binding);   // it has an address that still serves
            return;
        }

        Rebind(flow, binding!);
        flow.OldAddress = old;
    }

    // A flow that the remote opened has no socket's outcome; what it goes on with is of the type it began with.
    private static ModelDecision DecisionOf(ModelFlow flow) => flow.Binding?.Key.Decision
        ?? new ModelDecision(flow.Address.Type == AddressType.None ? PolicyOutcome.Legacy : PolicyOutcome.OfType(flow.Address.Type));

    private void Rebind(ModelFlow flow, ModelBinding binding)
    {
        binding.Flows++;
        Unbind(flow);
        flow.Binding = binding;
        flow.Address = binding.Address;
    }

    private ModelVerdict Native(byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress address, Timestamp now)
    {
        ModelFlowKey key = OutboundKey(packet) with { Native = address };
        ModelFlow? flow = _flows.GetValueOrDefault(key);
        if (flow is { IsLive: false } && packet.Protocol == IpProtocol.Tcp && IsOpening(packet))
        {
            Remove(flow);
            flow = null;
        }

        if (!address.IsUsable)
        {
            if (flow is { IsTcp: true, IsConnected: true } or { State: FlowState.Stranded })
            {
                flow.State = FlowState.Stranded;
                flow.LastSeen = now;
            }
            else if (flow is { IsTcp: true, State: FlowState.OpeningOut })
            {
                Remove(flow);   // nothing else can be chosen for a native socket
                flow = null;
            }

            if (flow is { State: FlowState.Closed or FlowState.Reset })
            {
                return ModelVerdict.Dropped(DropReason.AddressEnded);
            }

            return flow is null && !_attached ? ModelVerdict.Dropped(DropReason.Detached)
                : packet.Protocol == IpProtocol.Tcp
                ? ResetHost(key, flow, address, packet, info)
                : Answer(frame, info, SourcePolicy, DropReason.AddressEnded);
        }

        if (!_attached)
        {
            return ModelVerdict.Dropped(DropReason.Detached);
        }

        if (flow is null)
        {
            if (packet.Protocol == IpProtocol.Tcp && !IsOpening(packet) && !MayPickUp(packet))
            {
                return ModelVerdict.Dropped(DropReason.NoFlow);
            }

            if (_flows.Count >= _options.MaximumFlows)
            {
                return Answer(frame, info, Prohibited, DropReason.FlowTableFull);
            }

            flow = new ModelFlow
            {
                Key = key,
                Address = address,
                IsNative = true,
                State = FirstState(packet, inbound: false),
                LastSeen = now
            };
            _flows.Add(key, flow);
        }

        Track(flow, packet, inbound: false, now);
        address.OctetsOut += (ulong)packet.PacketLength;
        return ModelVerdict.Sent(ForwardReason.Native, frame);
    }

    private ModelVerdict Untranslatable(byte[] frame, DropReason reason) => _options.Untranslatable == UntranslatablePolicy.Pass
        ? ModelVerdict.Sent(ForwardReason.Untranslatable, frame)
        : ModelVerdict.Dropped(reason);

    private static DropReason? Unsafe(NaivePacket packet) => packet.Shape switch
    {
        NaiveShape.Authenticated => DropReason.Authenticated,
        NaiveShape.Signaling => DropReason.AddressSignaling,
        NaiveShape.Tiny => DropReason.TinyFragment,
        NaiveShape.Broken => DropReason.BrokenChain,
        _ => null,
    };

    private static bool IsOutOfReach(IpAddress address)
    {
        byte[] octets = Octets(address);
        return octets[0] == 0xff || (octets[0] == 0xfe && octets[1] >> 6 == 2)
            || (octets[..15].All(octet => octet == 0) && octets[15] <= 1);
    }

    private static ModelFlowKey OutboundKey(NaivePacket packet)
    {
        bool message = packet.Protocol == IpProtocol.Icmpv6 && !packet.IsEchoRequest && !packet.IsEchoReply;
        return new ModelFlowKey(
            packet.Protocol, packet.PseudoDestination, packet.DestinationPort, message ? packet.IcmpType : packet.SourcePort,
                packet.Source);
    }

    private static FlowFacts Facts(ModelFlowKey key, NaivePacket packet) =>
        new(key.Protocol, key.Internal, key.LocalPort, key.Remote, key.RemotePort, packet.TrafficClass);

    // Which of our addresses this is: one that may be used before one that has ended.
    private ModelAddress? Known(IpAddress address) => _addresses
        .Where(typed => typed.External == address && (!typed.IsRetired || IsInUse(typed)))
        .OrderByDescending(typed => typed.IsUsable)
        .ThenByDescending(typed => typed.Since)
        .FirstOrDefault();

    private bool IsInUse(ModelAddress address) =>
        _flows.Values.Any(flow => flow.Address == address || flow.OldAddress == address)
            || _bindings.Values.Any(binding => binding.Address == address);
}
