using System.Runtime.CompilerServices;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>Frames of the host.</content>
public sealed partial class DataplaneEngine
{
    private Verdict Outbound(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        if (!prepared.Name.IsKnown && prepared.Layout.Shape != FrameShape.NotIpv6 && IsInternal(prepared.Source))
        {
            if (_addresses.AddInternal(prepared.Source) < 0)
            {
                return Verdict.Dropped(DropReason.AddressTableFull);
            }

            AddressesOfNewHost(_addresses.InternalCount - 1, now);
            Prepare(frame, info, inbound: false, out prepared);
        }

        ref FrameLayout layout = ref prepared.Layout;
        if (layout.Shape != FrameShape.Transport || !prepared.Name.IsKnown || layout.Has(FrameMarks.Fragment))
        {
            return OutboundSpecial(frame, ref prepared, info, now);
        }

        if (IsLinkScope(prepared.Destination))
        {
            return Verdict.Sent(ForwardReason.LinkScope);
        }

        return OutboundFlow(frame, ref prepared, info, now);
    }

    // The frames that leave before any flow is looked up, and those that go their own way.
    private Verdict OutboundSpecial(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        if (layout.Shape == FrameShape.NotIpv6)
        {
            return Verdict.Sent(ForwardReason.NotIpv6);
        }

        if (!prepared.Name.IsKnown)
        {
            return Verdict.Sent(ForwardReason.NotOurs);
        }

        if (IsLinkScope(prepared.Destination))
        {
            return Verdict.Sent(ForwardReason.LinkScope);
        }

        if (layout.Shape == FrameShape.NeighborDiscovery)
        {
            return Verdict.Sent(ForwardReason.NeighborDiscovery);
        }

        if (IsInternal(prepared.Destination))
        {
            return Verdict.Sent(ForwardReason.Internal);
        }

        return layout.Has(FrameMarks.Fragment)
            ? Fragment(frame, ref prepared, info, outbound: true, now)
            : OutboundWhole(frame, ref prepared, info, now);
    }

    // A packet that is whole, or the first fragment of one.
    private Verdict OutboundWhole(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now) => prepared.Layout.Shape switch
    {
        FrameShape.Transport or FrameShape.OpaqueTransport => OutboundFlow(frame, ref prepared, info, now),
        FrameShape.Icmpv6Error => OutboundError(frame, ref prepared, info, now),
        _ => prepared.Name.IsTyped ? NativeUnread(frame, prepared, info, now) : Untranslatable(prepared.Layout.Shape),
    };

    // A native socket's packet that has no flow we could read: it needs no rewriting, but an ended address is no source any more.
    private Verdict NativeUnread(ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, Timestamp now) =>
        _prefixes[_addresses.Typed(prepared.Name.Number).Prefix].State == PrefixState.Ended
            ? Unreachable(frame, prepared, info, ReplyPackets.SourceFailedPolicy, DropReason.AddressEnded, now)
            : _attached ? Verdict.Sent(ForwardReason.Native) : Verdict.Dropped(DropReason.Detached);

    private Verdict OutboundFlow(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        int id = _flows.Find(prepared.Key, prepared.Hash);
        if (id < 0)
        {
            return OpenOutbound(frame, ref prepared, info, now);
        }

        ref FlowEntry entry = ref _flows.Entry(id);
        ref FrameLayout layout = ref prepared.Layout;
        uint tick = Ticks.At(now, _origin);
        byte flags = layout.Has(FrameMarks.TcpHeader) ? frame[layout.UpperOffset + 13] : (byte)0;
        if (IsIdle(entry, tick) || (entry.State >= FlowState.Closed && (IsSyn(flags) || entry.IdleShift == LateAnswers))
            || (IsSyn(flags) && IsOfAnotherSocket(frame, layout, entry)))
        {
            RemoveFlow(id, now);
            return OpenAfresh(frame, ref prepared, info, now);
        }

        if (entry.State == FlowState.Stranded)
        {
            return AnswerStranded(frame, prepared, info, id, now);
        }

        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        PrefixState state = _prefixes[address.Prefix].State;
        if (state >= PrefixState.Closing && LosesAddress(entry, state))
        {
            if (!TryKeepFlow(frame, ref prepared, info, id, now, out Verdict verdict, out bool reopen))
            {
                return reopen ? OpenAfresh(frame, ref prepared, info, now) : verdict;
            }

            address = ref _addresses.Typed(entry.Address);
        }

        if (!_attached)
        {
            return Verdict.Dropped(DropReason.Detached, id);
        }

        return SendOutbound(frame, ref prepared, info, id, ref entry, ref address, tick, now);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Verdict SendOutbound(
        Span<byte> frame, ref Prepared prepared, in FrameInfo info, int id, ref FlowEntry entry, ref TypedAddress address, uint tick, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        uint length = (uint)(layout.PacketEnd - layout.NetworkOffset);
        entry.LastSeen = tick;
        entry.Packets++;
        entry.Bytes += length;
        address.PacketsOut++;
        address.BytesOut += length;
        if (layout.Has(FrameMarks.TcpHeader))
        {
            FlowState before = entry.State;
            TcpTracker.Outbound(ref entry, frame.Slice(layout.UpperOffset, 20), (int)(layout.PacketEnd - layout.UpperOffset));
            if (entry.State != before)
            {
                TcpChanged(id, ref entry, now);
            }
        }

        if ((entry.Marks & (FlowMarks.Native | FlowMarks.Hairpin)) != 0)
        {
            return SendOutboundSpecial(frame, ref prepared, info, id, entry, address, now);
        }

        AddressRewrite.Source(frame, layout, address.External, address.Difference, info.PartialChecksum);
        return Verdict.Sent(ForwardReason.Rewritten, id);
    }

    private Verdict SendOutboundSpecial(
        Span<byte> frame, ref Prepared prepared, in FrameInfo info, int id, in FlowEntry entry, in TypedAddress address, Timestamp now)
    {
        if ((entry.Marks & FlowMarks.Native) == 0)
        {
            AddressRewrite.Source(frame, prepared.Layout, address.External, address.Difference, info.PartialChecksum);
        }

        if ((entry.Marks & FlowMarks.Hairpin) != 0)
        {
            return Hairpin(frame, info, id, _flows.Entry(id).Address, now);
        }

        return Verdict.Sent(ForwardReason.Native, id);
    }

    // The frame goes to one of our own typed addresses: it comes back as if the network had sent it, so that the peer sees the external
    // source (RFC 4787 REQ-9, RFC 6296 §4.3).
    private Verdict Hairpin(Span<byte> frame, in FrameInfo info, int id, int address, Timestamp now)
    {
        Prepare(frame, info, inbound: true, out Prepared back);
        Verdict verdict = Inbound(frame, ref back, info, now);
        if (verdict.Kind != VerdictKind.Forward)
        {
            return verdict;
        }

        if (verdict.Forward == ForwardReason.Untranslatable)
        {
            // Half a translation is none: the frame passes as it came.
            ref TypedAddress source = ref _addresses.Typed(address);     // a later fragment's flow may have gone
            AddressRewrite.Source(frame, back.Layout, source.Internal, InternetChecksum.Negate(source.Difference), info.PartialChecksum);
            return verdict;
        }

        return Verdict.Sent(verdict.Forward == ForwardReason.NotOurs ? ForwardReason.Rewritten : ForwardReason.Hairpin, id);
    }

    // The flow that was here is gone, and with it perhaps, as its last user, the ended address that a native socket is bound to.
    private Verdict OpenAfresh(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        if (prepared.Name.IsTyped && _addresses.Typed(prepared.Name.Number).Prefix < 0)
        {
            return _attached ? AnswerEndedNative(frame, prepared, info, now) : Verdict.Dropped(DropReason.Detached);
        }

        return OpenOutbound(frame, ref prepared, info, now);
    }

    private FlowMarks HairpinMark(IpAddress remote) => _addresses.Find(remote).IsTyped ? FlowMarks.Hairpin : FlowMarks.None;

    private Verdict OpenOutbound(Span<byte> frame, ref Prepared prepared, in FrameInfo info, Timestamp now)
    {
        ref FrameLayout layout = ref prepared.Layout;
        if (IsInternal(prepared.Destination))
        {
            return Verdict.Sent(ForwardReason.Internal);
        }

        if (!_attached)
        {
            return Verdict.Dropped(DropReason.Detached);
        }

        bool tcp = layout.Protocol == IpProtocol.Tcp;
        byte flags = layout.Has(FrameMarks.TcpHeader) ? frame[layout.UpperOffset + 13] : (byte)0;
        bool native = prepared.Name.IsTyped;
        if (native && _prefixes[_addresses.Typed(prepared.Name.Number).Prefix].State == PrefixState.Ended)
        {
            return AnswerEndedNative(frame, prepared, info, now);
        }

        if (tcp && !IsSyn(flags) && (!_options.PickUpMidFlow || (flags & TcpTracker.Rst) != 0))
        {
            return Verdict.Dropped(DropReason.NoFlow);
        }

        if (_flows.IsFull)
        {
            return Unreachable(frame, prepared, info, ReplyPackets.AdministrativelyProhibited, DropReason.FlowTableFull, now);
        }

        var choice = new SourceChoice { Address = prepared.Name.Number, Binding = -1, Decision = new Decision(DecisionOrigin.Native, default, default, -1, default) };
        int socket = -1;
        if (_pendingSockets is not null && HasSocket(layout))
        {
            socket = SocketOf(frame, prepared, info, now, out Verdict waiting);
            if (socket < 0)
            {
                return waiting;
            }

            choice.Cookie = _pendingSockets[socket].Answer.Cookie;
        }

        if (!native)
        {
            ulong cookie = choice.Cookie;
            choice = Acquire(FactsOf(frame, prepared), prepared.Name.Number, prepared.Key.Tail, socket, now);
            choice.Cookie = cookie;
            if (choice.Result != ChoiceResult.Chosen)
            {
                ForgetAnswer(choice.Result == ChoiceResult.Ask ? -1 : socket);
                return NotChosen(frame, prepared, info, choice, now);
            }

            if (layout.Shape == FrameShape.OpaqueTransport && _addresses.Typed(choice.Address).Difference != 0)
            {
                AbandonBinding(choice.Binding, now);
                return Untranslatable(FrameShape.OpaqueTransport);
            }
        }

        FlowMarks marks = native ? FlowMarks.Native : FlowMarks.None;
        marks |= HairpinMark(prepared.Destination);
        int id = OpenFlow(prepared.Key, prepared.Hash, choice, marks, flags, tcp, now);
        ForgetAnswer(socket);
        ref FlowEntry entry = ref _flows.Entry(id);
        return SendOutbound(frame, ref prepared, info, id, ref entry, ref _addresses.Typed(entry.Address), Ticks.At(now, _origin), now);
    }

    // No address: hold the frame while the network is asked, or tell the host.
    private Verdict NotChosen(Span<byte> frame, in Prepared prepared, in FrameInfo info, in SourceChoice choice, Timestamp now)
    {
        switch (choice.Result)
        {
            case ChoiceResult.Ask:
                return HoldFor(choice.Question, frame, info, now);
            case ChoiceResult.Refused:
                Counters.Types[(int)choice.Decision.Type].Refused++;
                ReportRefusal(prepared, choice.Decision, DropReason.Refused, now);
                return Unreachable(frame, prepared, info, ReplyPackets.AdministrativelyProhibited, DropReason.Refused, now);
            case ChoiceResult.NoBinding:
                return Unreachable(frame, prepared, info, ReplyPackets.AdministrativelyProhibited, DropReason.BindingTableFull, now);
            case ChoiceResult.NoAddress:
                return Verdict.Dropped(DropReason.AddressTableFull);
            default:
                Counters.Types[(int)choice.Decision.Type].Refused++;
                ReportRefusal(prepared, choice.Decision, DropReason.NoSource, now);
                return Verdict.Dropped(DropReason.NoSource);
        }
    }

    // Whether a flow cannot simply go on with the address it has.
    private bool LosesAddress(in FlowEntry entry, PrefixState state) =>
        state == PrefixState.Ended || (_options.GracefulDatagramsAtOnce && entry.Protocol != IpProtocol.Tcp && (entry.Marks & FlowMarks.Native) == 0);

    // A flow whose address has ended or is being replaced, met by a packet of the host. Returns true if the packet goes on with the address
    // that the flow has now.
    private bool TryKeepFlow(
        Span<byte> frame, ref Prepared prepared, in FrameInfo info, int id, Timestamp now, out Verdict verdict, out bool reopen)
    {
        ref FlowEntry entry = ref _flows.Entry(id);
        reopen = false;
        verdict = default;
        bool ended = _prefixes[_addresses.Typed(entry.Address).Prefix].State == PrefixState.Ended;
        if (entry.Protocol == IpProtocol.Tcp)
        {
            switch (entry.State)
            {
                case FlowState.OpeningOut:
                    // Nothing is established that another source would break: the SYN begins anew from the new address.
                    RemoveFlow(id, now);
                    reopen = true;
                    return false;
                case FlowState.Closed or FlowState.Reset:
                    verdict = Verdict.Dropped(DropReason.AddressEnded, id);
                    return false;
                default:
                    Strand(id, ref entry, now);
                    verdict = AnswerStranded(frame, prepared, info, id, now);
                    return false;
            }
        }

        if ((entry.Marks & FlowMarks.Native) != 0)
        {
            verdict = AnswerEndedNative(frame, prepared, info, now);
            return false;
        }

        if (!_attached)
        {
            verdict = Verdict.Dropped(DropReason.Detached, id);
            return false;
        }

        SourceChoice choice = Rebind(frame, prepared, ref entry, mayAsk: ended, now);
        bool opaque = prepared.Layout.Shape == FrameShape.OpaqueTransport;
        if (choice.Result == ChoiceResult.Chosen && !(opaque && _addresses.Typed(choice.Address).Difference != 0))
        {
            GoOver(id, ref entry, choice, keepOld: !ended, now);
            return true;
        }

        // Here a chosen address is not one that this transport can go over to; a binding made for it alone goes again.
        bool ownBinding = choice.Binding == entry.Binding;
        if (!ended)
        {
            AbandonBinding(choice.Result == ChoiceResult.Chosen && !ownBinding ? choice.Binding : -1, now);
            return true;
        }

        if (choice.Result == ChoiceResult.Chosen)
        {
            RemoveFlow(id, now);
            AbandonBinding(ownBinding ? -1 : choice.Binding, now);
            verdict = Untranslatable(FrameShape.OpaqueTransport);
            return false;
        }

        verdict = NotChosen(frame, prepared, info, choice, now);
        return false;
    }

    private Verdict Untranslatable(FrameShape shape) =>
        _options.Untranslatable == UntranslatablePolicy.Pass ? Verdict.Sent(ForwardReason.Untranslatable) : Verdict.Dropped(shape switch
        {
            FrameShape.Authenticated => DropReason.Authenticated,
            FrameShape.AddressSignaling => DropReason.AddressSignaling,
            FrameShape.OpaqueTransport => DropReason.OpaqueTransport,
            FrameShape.TinyFragment => DropReason.TinyFragment,
            FrameShape.Transport => DropReason.SegmentsLeft,
            _ => DropReason.BrokenChain,
        });

    // All of them begin with eight zeros or seven ones, and hardly any other address does.
    private static bool IsLinkScope(IpAddress address) => MayBeLinkScope(address)
        && (address.IsMulticast || address.IsLinkLocal || address.IsUnspecified || address.IsLoopback);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool MayBeLinkScope(in IpAddress address) => (byte)(address.FirstOctet + 2) < 3;

    private static bool IsSyn(byte flags) => (flags & (TcpTracker.Syn | TcpTracker.Ack | TcpTracker.Rst)) == TcpTracker.Syn;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsIdle(in FlowEntry entry, uint tick) => tick - entry.LastSeen > _idle[((int)entry.State + entry.IdleShift) & 15];
}
