using OnDemand.Captures.Files;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>Captures taken outside: they show typed addresses in both directions; OUT shows the internal ones.</content>
internal sealed partial class ReplaySession
{
    private readonly OutsideView? _outside;

    private void PacketOutside(in CaptureRecord record, Span<byte> frame, int offset)
    {
        IpAddress source = IpAddress.Read(frame[(offset + 8)..]);
        IpAddress destination = IpAddress.Read(frame[(offset + 24)..]);
        FrameParser.Parse(frame, offset, out FrameLayout layout);
        FrameInfo info = InfoOf(frame, offset);
        if (_outside!.TryGetInternal(source, out IpAddress inside))
        {
            OutboundOutside(record, frame, layout, info, source, inside);
        }
        else if (_outside.TryGetInternal(destination, out inside))
        {
            if (layout.Shape is FrameShape.Transport or FrameShape.OpaqueTransport)
            {
                _outside.Bind(layout.Protocol, inside, layout.DestinationPort, destination, _now);
            }

            InboundOutside(record, frame, layout, info);
        }
        else
        {
            PassUntouched(record, "not-ours");
        }
    }

    // OUT shows what the host sent; the engine must make the captured packet of it again.
    private void OutboundOutside(
        in CaptureRecord record, Span<byte> frame, in FrameLayout layout, in FrameInfo info, IpAddress typed, IpAddress inside)
    {
        _ledger.SetHeaderDestination(layout.Has(FrameMarks.SegmentsLeft) ? IpAddress.Read(frame[(layout.NetworkOffset + 24)..]) : null);
        ushort difference = InternetChecksum.Difference(typed, inside);
        switch (layout.Shape)
        {
            case FrameShape.Transport or FrameShape.OpaqueTransport:
                _outside!.Bind(layout.Protocol, inside, layout.SourcePort, typed, _now);
                AddressRewrite.Source(frame, layout, inside, difference, info.PartialChecksum);
                break;
            case FrameShape.LaterFragment:
                AddressRewrite.Source(frame, layout, inside, difference, info.PartialChecksum);
                break;
            case FrameShape.Icmpv6Error when TryParseQuote(frame, layout, out FrameLayout quoted)
                && IpAddress.Read(frame[(quoted.NetworkOffset + 24)..]) == typed:
                if (quoted.Shape == FrameShape.Transport)
                {
                    _outside!.Bind(quoted.Protocol, inside, quoted.DestinationPort, typed, _now);
                }

                AddressRewrite.Error(frame, layout, quoted, outbound: true, inside, difference, info.PartialChecksum);
                break;
            case FrameShape.Icmpv6Error:
                // About a packet that was not for the host: the engine says what becomes of it.
                AddressRewrite.Source(frame, layout, inside, difference, info.PartialChecksum);
                break;
            default:
                PassUntouched(record, "untranslatable");
                return;
        }

        Span<byte> copy = _copy.AsSpan(0, frame.Length);
        frame.CopyTo(copy);
        Verdict verdict = _engine.HandleOutbound(copy, info, _now);
        DrainEvents();
        Account(verdict, outbound: true, layout, info.NetworkOffset);
        if (verdict.Kind == VerdictKind.Forward)
        {
            bool untouched = verdict.Forward != ForwardReason.Rewritten;
            Verify(untouched ? frame : record.Data, copy, info.NetworkOffset);
            _network.Write(record, untouched ? default : frame, null, Comment(verdict));
            _host?.Write(record, untouched ? default : frame, null, null);
        }
        else if (verdict.Kind == VerdictKind.Hold)
        {
            _network.Write(record, frame, null, Comment(verdict));
            _host?.Write(record, frame, null, null);
            KeepForLater(record, info.Tag, default, outbound: true);
        }
    }

    private void InboundOutside(in CaptureRecord record, Span<byte> frame, in FrameLayout layout, in FrameInfo info)
    {
        Verdict verdict = _engine.HandleInbound(frame, info, _now);
        DrainEvents();
        Account(verdict, outbound: false, layout, info.NetworkOffset);
        if (verdict.Kind == VerdictKind.Forward)
        {
            _network.Write(record, frame, null, Comment(verdict));
            _host?.Write(record, frame, null, null);
        }
        else if (verdict.Kind == VerdictKind.Hold)
        {
            KeepForLater(record, info.Tag, new Places(_network.Reserve(record), _host?.Reserve(record)), outbound: false, record.Data);
        }
    }

    // As far as the length attribute says (RFC 4884 §4.4): what follows is no part of the quoted packet.
    private static bool TryParseQuote(ReadOnlySpan<byte> frame, in FrameLayout layout, out FrameLayout quoted)
    {
        int begin = layout.UpperOffset + 8;
        int end = (int)Math.Min(frame.Length, layout.PacketEnd);
        quoted = default;
        if (begin > end)
        {
            return false;
        }

        int attribute = frame[layout.UpperOffset] is 1 or 3 ? frame[layout.UpperOffset + 4] * 8 : 0;
        FrameParser.Parse(frame[..(attribute > 0 ? Math.Min(end, begin + attribute) : end)], begin, out quoted);
        return quoted.Shape is FrameShape.Transport or FrameShape.LaterFragment;
    }
}
