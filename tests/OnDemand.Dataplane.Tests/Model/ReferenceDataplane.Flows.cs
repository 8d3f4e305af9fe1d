using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

// TCP's states (RFC 7857 §2, RFC 6146 §3.5.2), answers to the host, frames that wait, and fragments (RFC 5722, RFC 6946, RFC 6146 §3.4).
internal sealed partial class ReferenceDataplane
{
    private const int LargestWindow = 1 << 20;

    // A datagram whose first fragment has just been decided: those that wait behind it follow once its own word is out.
    private ModelDatagram? _resolved;

    private static bool IsOpening(NaivePacket packet) =>
        packet.Control.HasFlag(TcpControl.Syn) && !packet.Control.HasFlag(TcpControl.Ack);

    private bool MayPickUp(NaivePacket packet) => _options.PickUpMidFlow && !packet.Control.HasFlag(TcpControl.Rst);

    private static FlowState FirstState(NaivePacket packet, bool inbound) => packet.Protocol switch
    {
        IpProtocol.Tcp => IsOpening(packet) ? inbound ? FlowState.OpeningIn : FlowState.OpeningOut : FlowState.Established,
        IpProtocol.Icmpv6 => FlowState.Echo,
        _ => FlowState.Datagram,
    };

    private static FlowState PickedUpState(NaivePacket quoted) => quoted.Protocol switch
    {
        IpProtocol.Tcp => FlowState.Established,
        IpProtocol.Icmpv6 => FlowState.Echo,
        _ => FlowState.Datagram,
    };

    private static void Track(ModelFlow flow, NaivePacket packet, bool inbound, Timestamp now)
    {
        bool reset = flow.IsTcp && packet.Control.HasFlag(TcpControl.Rst);
        if (!(reset && inbound))
        {
            flow.LastSeen = now;   // RFC 7857 §7.1
        }

        if (!flow.IsTcp)
        {
            return;
        }

        // RFC 5961 §3.2: a RST that is not in the window does not end the connection.
        bool stray = reset && inbound && flow.HostAcknowledged is uint next
            && (int)(packet.Sequence - next) is < 0 or > LargestWindow;
        if (inbound)
        {
            flow.RemoteEnd = packet.SequenceEnd;
        }
        else
        {
            flow.HostEnd = Later(flow.HostEnd, packet.SequenceEnd);
            flow.HostAcknowledged = packet.Control.HasFlag(TcpControl.Ack)
                ? Later(flow.HostAcknowledged, packet.Acknowledgment)   // RCV.NXT never goes back
                : flow.HostAcknowledged;
        }

        FlowState then = stray ? flow.State : Next(flow.State, packet.Control, inbound);
        flow.LastSeen = then == flow.State ? flow.LastSeen : now;   // four minutes from the RST (RFC 7857 §2.2)
        flow.State = then;
    }

    private static FlowState Next(FlowState state, TcpControl control, bool inbound)
    {
        if (control.HasFlag(TcpControl.Rst))
        {
            return FlowState.Reset;
        }

        bool fin = control.HasFlag(TcpControl.Fin);
        bool syn = control.HasFlag(TcpControl.Syn);
        return state switch
        {
            FlowState.OpeningOut when inbound && syn => FlowState.Established,
            FlowState.OpeningIn when !inbound && syn => FlowState.Established,
            FlowState.Reset when !syn && !fin => FlowState.Established,   // it was not the end, and a FIN after it still is one
            FlowState.OpeningOut or FlowState.OpeningIn or FlowState.Established or FlowState.Reset when fin =>
                inbound ? FlowState.RemoteFin : FlowState.HostFin,
            FlowState.HostFin when fin && inbound => FlowState.Closed,
            FlowState.RemoteFin when fin && !inbound => FlowState.Closed,
            _ => state,
        };
    }

    private static uint Later(uint? one, uint other) => one is uint first && (int)(first - other) > 0 ? first : other;

    private ModelVerdict Strand(ModelFlow flow, NaivePacket packet, FrameInfo info, Timestamp now)
    {
        if (!flow.IsLive)
        {
            return ModelVerdict.Dropped(DropReason.AddressEnded);
        }

        flow.State = FlowState.Stranded;
        flow.LastSeen = now;
        return ResetHost(flow, packet, info);
    }

    private ModelVerdict ResetHost(ModelFlow flow, NaivePacket packet, FrameInfo info) => ResetHost(flow.Key, flow, null, packet, info);

    private ModelVerdict ResetHost(ModelFlowKey key, ModelFlow? flow, ModelAddress? native, NaivePacket packet, FrameInfo info)
    {
        if (packet.Control.HasFlag(TcpControl.Rst))
        {
            return ModelVerdict.Dropped(DropReason.AddressEnded);
        }

        uint sequence = packet.Control.HasFlag(TcpControl.Ack) ? packet.Acknowledgment : flow?.HostAcknowledged ?? flow?.RemoteEnd ?? 0;
        Outputs.Add(Reset(key, native, sequence, packet.SequenceEnd, info.Tag));
        return ModelVerdict.Replied(DropReason.AddressEnded);
    }

    private ModelVerdict Answer(byte[] frame, FrameInfo info, byte code, DropReason about)
    {
        var packet = new NaivePacket(frame, info.NetworkOffset);
        if (packet.Shape == NaiveShape.Error)
        {
            return ModelVerdict.Dropped(about);   // RFC 4443 §2.4 (e)
        }

        Outputs.Add(new ModelOutput(OutputKind.Icmpv6Error, OutputDirection.Host, info.Tag)
        {
            Destination = packet.Source,
            Code = code,
            Frame = frame[info.NetworkOffset..Math.Min(packet.End, frame.Length)],
            About = about,
        });
        return ModelVerdict.Replied(about);
    }

    private ModelVerdict Hold(byte[] frame, FrameInfo info, bool inbound, ModelQuestion? question, ModelDatagram? datagram)
    {
        if (_held.Count >= _options.MaximumHeldFrames)
        {
            return ModelVerdict.Dropped(DropReason.HoldFull);
        }

        _held.Add(new ModelHeldFrame { Frame = frame, Info = info, Inbound = inbound, Question = question, Datagram = datagram });
        return ModelVerdict.Held();
    }

    private void Release(ModelHeldFrame held, Timestamp now)
    {
        byte[]? shown = ShownFrames.GetValueOrDefault(held.Info.Tag);
        IpAddress source = new NaivePacket(held.Frame, held.Info.NetworkOffset).Source;
        if (!held.Inbound && !IsInternal(source) && !IsUsable(source))
        {
            return;   // of a native socket whose address has ended meanwhile
        }

        if (held is { Question: not null, Datagram: { First: ModelFirst.Held } datagram })
        {
            datagram.First = ModelFirst.Unseen;
        }

        ModelVerdict verdict = held.Inbound ? Inbound(held.Frame, held.Info, now) : Outbound(held.Frame, held.Info, shown, now);
        verdict = verdict.Or is { Kind: VerdictKind.Forward } && shown is not null ? verdict.Or : verdict;
        if (verdict.Kind == VerdictKind.Forward)
        {
            bool toHost = held.Inbound || verdict.Forward == ForwardReason.Hairpin;
            var output = new ModelOutput(OutputKind.Released, toHost ? OutputDirection.Host : OutputDirection.Network, held.Info.Tag)
            {
                Frame = verdict.Frame!,
                NetworkOffset = held.Info.NetworkOffset,
            };
            Outputs.Add(output);
        }

        FlushResolved(now);
    }

    private void FlushResolved(Timestamp now)
    {
        if (_resolved is ModelDatagram datagram)
        {
            _resolved = null;
            FlushBehind(datagram, now);
        }
    }

    private void FlushBehind(ModelDatagram datagram, Timestamp now)
    {
        foreach (ModelHeldFrame held in _held.Where(held => held.Datagram == datagram && held.Question is null).ToList())
        {
            _held.Remove(held);
            Release(held, now);
        }
    }

    private ModelDatagram? DatagramOf(byte[] frame, FrameInfo info, bool inbound)
    {
        var packet = new NaivePacket(frame, info.NetworkOffset);
        return packet.IsFragment ? _datagrams.GetValueOrDefault((inbound, packet.Source, packet.Destination, packet.Identification)) : null;
    }

    /// <summary>What becomes of a fragment before, or instead of, its datagram's walk; null for what is walked as a whole packet.</summary>
    private ModelVerdict? Fragmented(byte[] frame, FrameInfo info, NaivePacket packet, bool inbound, Timestamp now)
    {
        if (!packet.IsFragment)
        {
            return null;
        }

        (bool, IpAddress, IpAddress, uint) key = (inbound, packet.Source, packet.Destination, packet.Identification);
        if (!_datagrams.TryGetValue(key, out ModelDatagram? datagram))
        {
            if (_datagrams.Count >= _options.MaximumFragmentedDatagrams)
            {
                return ModelVerdict.Dropped(DropReason.FragmentTableFull);
            }

            datagram = new ModelDatagram { Deadline = now.Add(_options.FragmentTimeout) };
            _datagrams.Add(key, datagram);
        }

        if (datagram.IsOverlapped)
        {
            return ModelVerdict.Dropped(DropReason.OverlappingFragment) with { Or = ModelVerdict.Dropped(DropReason.FragmentOfDropped) };
        }

        (int Offset, int Length) range = (packet.FragmentOffset, packet.FragmentLength);
        bool again = datagram.Ranges.Contains(range);
        if (!again && datagram.Ranges.Any(other => other.Offset < range.Offset + range.Length && range.Offset < other.Offset
            + other.Length))
        {
            datagram.IsOverlapped = true;
            _held.RemoveAll(held => held.Datagram == datagram && held.Question is null);
            return ModelVerdict.Dropped(DropReason.OverlappingFragment) with
            {
                Or = datagram.First == ModelFirst.Dropped ? ModelVerdict.Dropped(DropReason.FragmentOfDropped) : null,
            };
        }

        datagram.Ranges.Add(range);
        bool goesAgain = datagram switch
        {
            { First: ModelFirst.Rewritten } => datagram.Address!.IsUsable && _attached,
            { First: ModelFirst.Untouched, Untouched: ForwardReason.Native } => datagram.Address!.IsUsable,
            _ => datagram.First == ModelFirst.Unseen,
        };
        return packet.FragmentOffset == 0 && goesAgain ? null : Follow(frame, info, packet, datagram, inbound);
    }

    private ModelVerdict Follow(byte[] frame, FrameInfo info, NaivePacket packet, ModelDatagram datagram, bool inbound) =>
        datagram.First switch
        {
            ModelFirst.Unseen or ModelFirst.Held => Hold(frame, info, inbound, null, datagram),
            ModelFirst.Dropped => ModelVerdict.Dropped(DropReason.FragmentOfDropped),
            ModelFirst.Untouched when datagram.Untouched != ForwardReason.Native => ModelVerdict.Sent(datagram.Untouched, frame),
            _ when !datagram.Address!.IsUsable => ModelVerdict.Dropped(DropReason.AddressEnded),
            _ when !_attached => ModelVerdict.Dropped(DropReason.Detached),
            ModelFirst.Untouched => ModelVerdict.Sent(datagram.Untouched, frame),
            _ when inbound => ModelVerdict.Sent(ForwardReason.Rewritten, NaiveRewrite.Destination(frame, info, datagram.Address!.Internal)),
            _ => FollowOutbound(frame, info, packet, datagram.Address!),
        };

    private static ModelVerdict FollowOutbound(byte[] frame, FrameInfo info, NaivePacket packet, ModelAddress address)
    {
        address.OctetsOut += (ulong)packet.PacketLength;
        return ModelVerdict.Sent(ForwardReason.Rewritten, NaiveRewrite.Source(frame, info, address.External ?? Stand(address.Prefix)));
    }

    // Fragments whose first never came are dropped, or where what cannot be rewritten may pass, they pass.
    private void ExpireDatagram((bool, IpAddress, IpAddress, uint) key, ModelDatagram datagram, Timestamp now)
    {
        List<ModelHeldFrame> orphans = [.. _held.Where(held => held.Datagram == datagram && held.Question is null)];
        _held.RemoveAll(orphans.Contains);
        if (datagram.First != ModelFirst.Unseen || datagram.IsOverlapped || _options.Untranslatable == UntranslatablePolicy.Drop
            || orphans.Count == 0)
        {
            _datagrams.Remove(key);
            return;
        }

        datagram.Deadline = now.Add(_options.FragmentTimeout);
        datagram.First = ModelFirst.Untouched;
        datagram.Untouched = ForwardReason.Untranslatable;
        foreach (ModelHeldFrame held in orphans)
        {
            Release(held, now);
        }
    }

    // Remembers what became of a first fragment and lets the others follow.
    private void Note(NaivePacket packet, bool inbound, ModelVerdict verdict)
    {
        if (!packet.IsFragment || !_datagrams.TryGetValue((inbound, packet.Source, packet.Destination, packet.Identification),
            out ModelDatagram? datagram) || datagram.First is ModelFirst.Rewritten or ModelFirst.Untouched)
        {
            return;   // a duplicate changes nothing
        }

        datagram.First = verdict switch
        {
            { Kind: VerdictKind.Hold } => ModelFirst.Held,
            { Kind: VerdictKind.Forward, Forward: ForwardReason.Rewritten } => ModelFirst.Rewritten,
            { Kind: VerdictKind.Forward } => ModelFirst.Untouched,
            _ => ModelFirst.Dropped,
        };
        datagram.Untouched = verdict.Forward;
        datagram.Address = _used;
        if (datagram.First != ModelFirst.Held)
        {
            _resolved = datagram;
        }
    }
}
