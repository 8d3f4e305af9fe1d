using System.Buffers.Binary;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>Frames that the engine gives out: answers to the host, and frames that had to wait.</content>
public sealed partial class DataplaneEngine
{
    private readonly ReplyQueue _replies;
    private HeldQueue _released = HeldQueue.Empty;
    private bool _isReleasing;          // a frame that waited goes through the engine once more
    private double _errorBudget;
    private Timestamp _errorBudgetAt;

    /// <summary>Octets that <see cref="TryTakeOutput"/> needs at most.</summary>
    public int MaximumOutputLength => Math.Max(_options.MaximumHeldFrameLength, ReplyPackets.MaximumErrorLength);

    /// <summary>Whether there are outputs to take.</summary>
    public bool HasOutput => _replies.Count > 0 || !_released.IsEmpty;

    /// <summary>Takes the next output. Frames that had to wait go through the engine now; one that is dropped after all is only counted.</summary>
    /// <param name="destination">At least <see cref="MaximumOutputLength"/> octets.</param>
    /// <param name="now">The time.</param>
    /// <param name="info">What it is and where it goes.</param>
    /// <param name="length">Its length in octets.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="ArgumentException">The destination is too short.</exception>
    public bool TryTakeOutput(Span<byte> destination, Timestamp now, out OutputFrame info, out int length)
    {
        if (destination.Length < MaximumOutputLength)
        {
            throw new ArgumentException($"An output may need {MaximumOutputLength} octets.", nameof(destination));
        }

        BeginCall(now);
        while (_replies.Count == 0 && !_released.IsEmpty)
        {
            HeldFrame held = _hold.Take(ref _released, destination);
            Span<byte> frame = destination[..held.Length];
            var again = new FrameInfo(held.NetworkOffset, held.Partial, held.Tag);
            _isReleasing = true;
            Verdict verdict = HasEnded(frame, held) ? Count(Verdict.Dropped(DropReason.AddressEnded))
                : held.Outbound ? HandleOutbound(frame, again, now) : HandleInbound(frame, again, now);
            _isReleasing = false;
            if (verdict.Kind == VerdictKind.Forward)
            {
                OutputDirection direction = held.Outbound && verdict.Forward != ForwardReason.Hairpin ? OutputDirection.Network : OutputDirection.Host;
                info = new OutputFrame(OutputKind.Released, direction, held.NetworkOffset, held.Partial, held.Tag, verdict.Flow, DropReason.None);
                length = held.Length;
                return true;
            }
        }

        if (_replies.Count == 0)
        {
            info = default;
            length = 0;
            return false;
        }

        length = _replies.Take(destination, out info);
        return true;
    }

    // What waited was from or to an address of ours; if that has ended meanwhile, it must not pass, not even as somebody else's.
    private bool HasEnded(ReadOnlySpan<byte> frame, in HeldFrame held)
    {
        AddressName name = _addresses.Find(IpAddress.Read(frame[(held.NetworkOffset + (held.Outbound ? 8 : 24))..]));
        return !name.IsInternal && (!name.IsTyped || _prefixes[_addresses.Typed(name.Number).Prefix].State == PrefixState.Ended);
    }

    // A packet of the host on a stranded flow, a challenge ACK among them: the exact RST (RFC 5961 §3.2), its sequence number taken from the
    // packet's own acknowledgment.
    private Verdict AnswerStranded(ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, int id, Timestamp now)
    {
        ref FlowEntry entry = ref _flows.Entry(id);
        entry.LastSeen = Ticks.At(now, _origin);
        if (!prepared.Layout.Has(FrameMarks.TcpHeader) || (frame[prepared.Layout.UpperOffset + 13] & TcpTracker.Rst) != 0)
        {
            return Verdict.Dropped(DropReason.AddressEnded, id);
        }

        return ResetFor(frame, prepared, info, entry.ReceiveNext, id);
    }

    private Verdict AnswerEndedNative(ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, Timestamp now)
    {
        if (prepared.Layout.Protocol != IpProtocol.Tcp)
        {
            return Unreachable(frame, prepared, info, ReplyPackets.SourceFailedPolicy, DropReason.AddressEnded, now);
        }

        return !prepared.Layout.Has(FrameMarks.TcpHeader) || (frame[prepared.Layout.UpperOffset + 13] & TcpTracker.Rst) != 0
            ? Verdict.Dropped(DropReason.AddressEnded)
            : ResetFor(frame, prepared, info, 0, -1);
    }

    private Verdict ResetFor(ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, uint receiveNext, int id)
    {
        if (_replies.IsFull)
        {
            return Verdict.Dropped(DropReason.ReplyQueueFull, id);
        }

        FrameLayout layout = prepared.Layout;
        ReadOnlySpan<byte> segment = frame.Slice(layout.UpperOffset, 20);
        byte flags = segment[13];
        uint sequence = (flags & TcpTracker.Ack) != 0 ? BinaryPrimitives.ReadUInt32BigEndian(segment[8..]) : receiveNext;
        long data = layout.PacketEnd - layout.UpperOffset - (segment[12] >> 4 << 2);
        uint acknowledgment = BinaryPrimitives.ReadUInt32BigEndian(segment[4..]) + (uint)Math.Max(data, 0)
            + ((flags & TcpTracker.Syn) != 0 ? 1u : 0u) + ((flags & TcpTracker.Fin) != 0 ? 1u : 0u);
        int length = ReplyPackets.WriteReset(
            _replies.NextSlot, prepared.Key.Remote, prepared.Source, layout.DestinationPort, layout.SourcePort, sequence, acknowledgment);
        AddReset(id, info.Tag, length);
        return Verdict.Replied(DropReason.AddressEnded, id);
    }

    // Found by the sweep: nothing of the host to go by but what was seen before.
    private void ResetStranded(int id, in FlowEntry entry)
    {
        int host = entry.Host;
        IpAddress inside = (entry.Marks & FlowMarks.Native) != 0
            ? _addresses.Typed(entry.Address).External : _addresses.Internal(host).Address;
        int length = ReplyPackets.WriteReset(
            _replies.NextSlot, entry.Remote, inside, entry.RemotePort, entry.LocalPort, entry.ReceiveNext, entry.SendNext);
        AddReset(id, 0, length);
    }

    private void AddReset(int id, long tag, int length)
    {
        _replies.Add(new OutputFrame(OutputKind.Reset, OutputDirection.Host, 0, false, tag, id, DropReason.AddressEnded), length);
        Counters.ResetsSent++;
    }

    private Verdict Unreachable(
        ReadOnlySpan<byte> frame, in Prepared prepared, in FrameInfo info, byte code, DropReason about, Timestamp now)
    {
        if (_replies.IsFull)
        {
            return Verdict.Dropped(DropReason.ReplyQueueFull);
        }

        // RFC 4443 §2.4 (e): never about errors; here only flows' packets come, and never to multicast.
        if (!MaySendError(now))
        {
            Counters.IcmpErrorsSuppressed++;
            return Verdict.Dropped(about);
        }

        long end = Math.Min(frame.Length, prepared.Layout.PacketEnd);
        ReadOnlySpan<byte> offender = frame[prepared.Layout.NetworkOffset..(int)end];
        int length = ReplyPackets.WriteUnreachable(_replies.NextSlot, prepared.Destination, code, offender);
        _replies.Add(new OutputFrame(OutputKind.Icmpv6Error, OutputDirection.Host, 0, false, info.Tag, -1, about), length);
        Counters.IcmpErrorsSent++;
        return Verdict.Replied(about);
    }

    // A token bucket (RFC 4443 §2.4 (f)).
    private bool MaySendError(Timestamp now)
    {
        double rate = _options.IcmpErrorsPerSecond;
        _errorBudget = Math.Min(rate, _errorBudget + (now.Since(_errorBudgetAt).Nanoseconds * rate / Timestamp.NanosecondsPerSecond));
        _errorBudgetAt = now;
        if (_errorBudget < 1)
        {
            return false;
        }

        _errorBudget--;
        return true;
    }
}
