using System.Runtime.CompilerServices;
using OnDemand.Captures.Files;
using OnDemand.Captures.Link;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Captures.Replay;

/// <content>
/// The common packet of a capture taken inside: TCP or UDP of a live flow that goes on as it was, when only OUT is wanted. It is rewritten
/// where it was read, or in the output. Whatever is not certain goes the ordinary way, which gives the same result.
/// </content>
internal sealed partial class ReplaySession
{
    private const int CommonHeaders = 60;   // from the IPv6 header on, as far as a common packet is read and rewritten

    private bool IsPlain => _host is null && _outside is null && !_options.Explain && _unsent.IsEmpty && _pending.Count == 0;

    /// <summary>Looks ahead at a packet whose turn is not yet.</summary>
    /// <returns>The hash of its flow, for the second look; 0 if there is nothing to look for.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public ulong LookAhead(in CaptureRecord record) =>
        IsPlain && LinkLayer.TryFindIpv6(record.LinkType, record.Data, out int offset) ? _engine.LookAhead(record.Data, offset) : 0;

    /// <summary>The second look.</summary>
    public void LookAhead(ulong hash) => _engine.LookAhead(hash);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool TryCommon(in CaptureRecord record, int offset)
    {
        byte protocol = record.Data[offset + 6];
        if (protocol is not (IpProtocol.Tcp or IpProtocol.Udp) || !IsPlain || !_network.TryAppend(record, out Span<byte> frame))
        {
            return false;
        }

        FrameInfo info = InfoOf(frame, offset);
        if (_engine.TryHandleCommon(frame, info, inbound: false, _now, out Verdict verdict))
        {
            AccountCommon(verdict, outbound: true, frame, offset);
            return true;
        }

        // Only the headers change on the way back, so only they are carried along. The frame may be the record's own octets.
        Span<byte> headers = frame[..Math.Min(frame.Length, offset + CommonHeaders)];
        Span<byte> captured = _frame.AsSpan(0, headers.Length);
        headers.CopyTo(captured);
        if (_engine.TryViewCommonAsRemote(frame, info, _now))
        {
            Span<byte> copy = _copy.AsSpan(0, headers.Length);
            headers.CopyTo(copy);
            if (_engine.TryHandleCommon(copy, info, inbound: true, _now, out verdict))
            {
                AccountCommon(verdict, outbound: false, frame, offset);
                Verify(captured, copy, offset);
                return true;
            }

            captured.CopyTo(headers);
        }

        _network.Retract();
        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void AccountCommon(Verdict verdict, bool outbound, ReadOnlySpan<byte> frame, int offset)
    {
        Counts.Count(verdict);
        if (_ledger.Find(verdict.Flow) is { } flow)
        {
            flow.Count(outbound, FrameParser.HeaderLength + ((frame[offset + 4] << 8) | frame[offset + 5]), _now, dropped: false);
            flow.Claim(_stamp);
        }
    }
}
