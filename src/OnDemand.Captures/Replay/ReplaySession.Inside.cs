using OnDemand.Captures.Files;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>Captures taken inside: they show internal addresses in both directions; OUT shows the typed ones.</content>
internal sealed partial class ReplaySession
{
    private void PacketInside(in CaptureRecord record, Span<byte> frame, int offset)
    {
        IpAddress source = IpAddress.Read(frame[(offset + 8)..]);
        IpAddress destination = IpAddress.Read(frame[(offset + 24)..]);
        if (_engine.IsInternalAddress(source))
        {
            Outbound(record, frame, offset);
        }
        else if (_engine.IsInternalAddress(destination))
        {
            InboundInside(record, frame, offset);
        }
        else if (_engine.IsTypedAddress(source))
        {
            Outbound(record, frame, offset);
        }
        else
        {
            InboundAsIs(record, frame, offset);
        }
    }

    // From the host: through the engine and out.
    private void Outbound(in CaptureRecord record, Span<byte> frame, int offset)
    {
        FrameInfo info = InfoOf(frame, offset);
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        _ledger.SetHeaderDestination(layout.Has(FrameMarks.SegmentsLeft) ? IpAddress.Read(frame[(offset + 24)..]) : null);
        FlowIdentity? identity = IdentityOf(frame, layout, outbound: true);
        Verdict verdict = _engine.HandleOutbound(frame, info, _now);
        DrainEvents();
        _host?.Write(record, default, null, null);
        Account(verdict, outbound: true, layout, offset);
        switch (verdict.Kind)
        {
            case VerdictKind.Forward when verdict.Forward == ForwardReason.Hairpin:
                _host?.Write(record, frame, null, Comment(verdict));
                return;
            case VerdictKind.Forward:
                _network.Write(record, frame, null, Comment(verdict));
                return;
            case VerdictKind.Hold:
                object? place = verdict.Hold == HoldReason.FirstFragment ? _network.Reserve(record) : null;
                KeepForLater(record, info.Tag, new Places(place, null), outbound: true);
                break;
            default:
                break;
        }

        if (verdict.Flow < 0 && identity is { } unsent)
        {
            _unsent.Add(unsent);
        }
    }

    // To the host, as the capture inside shows it: as the remote would have sent it, and through the engine.
    private void InboundInside(in CaptureRecord record, Span<byte> frame, int offset)
    {
        FrameInfo info = InfoOf(frame, offset);
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        bool isFragment = layout.Has(FrameMarks.Fragment);
        Datagram datagram = isFragment ? DatagramOf(frame, layout) : default;   // before the packet is rewritten
        bool neverAsked = IdentityOf(frame, layout, outbound: false) is { } identity && _unsent.Contains(identity);
        IpAddress external = default;
        RemoteView view = neverAsked ? RemoteView.NoAddress : _engine.ViewAsRemote(frame, info, _now, out external);
        DrainEvents();
        if (view == RemoteView.LaterFragment)
        {
            if (!TryGetFirst(datagram, out FirstFragment first))
            {
                KeepFragment(record, datagram, offset);
                return;
            }

            Follow(first, record, frame, info, default);
            return;
        }

        if (view == RemoteView.NoAddress)
        {
            Counts.Drop("no-typed-address");
        }
        else
        {
            DeliverChecked(record, frame, info, default);
        }

        if (isFragment)
        {
            ReleaseFragments(datagram, new FirstFragment(view, external, _now));
        }
    }

    // What OUT shows is in the frame; the engine must make the captured packet of it again.
    private void DeliverChecked(in CaptureRecord record, ReadOnlySpan<byte> frame, in FrameInfo info, Places places)
    {
        Span<byte> copy = _copy.AsSpan(0, frame.Length);
        frame.CopyTo(copy);
        FrameParser.Parse(copy, info.NetworkOffset, out FrameLayout layout);
        Verdict verdict = _engine.HandleInbound(copy, info, _now);
        DrainEvents();
        Account(verdict, outbound: false, layout, info.NetworkOffset);
        switch (verdict.Kind)
        {
            case VerdictKind.Forward:
                Verify(record.Data, copy, info.NetworkOffset);
                WriteAt(_network, places.Network, record, frame, Comment(verdict));
                WriteAt(_host, places.Host, record, copy, null);
                break;
            case VerdictKind.Hold:
                Places kept = places.Network is null ? new Places(_network.Reserve(record), _host?.Reserve(record)) : places;
                KeepForLater(record, info.Tag, kept, outbound: false, frame);
                break;
            default:
                GiveUp(places);
                break;
        }
    }

    // To another address than an internal one: a typed address of a native socket, or nobody here.
    private void InboundAsIs(in CaptureRecord record, Span<byte> frame, int offset)
    {
        FrameInfo info = InfoOf(frame, offset);
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        Verdict verdict = _engine.HandleInbound(frame, info, _now);
        DrainEvents();
        Account(verdict, outbound: false, layout, offset);
        if (verdict.Kind == VerdictKind.Forward)
        {
            _network.Write(record, default, null, Comment(verdict));
            _host?.Write(record, frame, null, null);
        }
        else if (verdict.Kind == VerdictKind.Hold)
        {
            KeepForLater(record, info.Tag, new Places(_network.Reserve(record), _host?.Reserve(record)), outbound: false, record.Data);
        }
    }

    // Whose conversation a packet belongs to, as the engine calls it; null where a header says something else than what it seems.
    private static FlowIdentity? IdentityOf(ReadOnlySpan<byte> frame, in FrameLayout layout, bool outbound)
    {
        if (layout.Shape != FrameShape.Transport || layout.Has(FrameMarks.SegmentsLeft) || layout.Has(FrameMarks.HomeAddress))
        {
            return null;
        }

        IpAddress source = IpAddress.Read(frame[(layout.NetworkOffset + 8)..]);
        IpAddress destination = IpAddress.Read(frame[(layout.NetworkOffset + 24)..]);
        return outbound
            ? new FlowIdentity(layout.Protocol, source, layout.SourcePort, destination, layout.DestinationPort)
            : new FlowIdentity(layout.Protocol, destination, layout.DestinationPort, source, layout.SourcePort);
    }
}
