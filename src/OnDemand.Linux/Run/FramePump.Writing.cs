using System.Runtime.CompilerServices;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <content>What the engine said is carried out: frames go out, alone or joined, or they do not.</content>
internal sealed partial class FramePump
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Handle(int count, Timestamp now)
    {
        Counters.Batches++;
        Span<FrameSlot> slots = _slots.AsSpan(0, count);
        DoWhatIsDue(now);
        if (_observer is not null)
        {
            ShowArrivals(slots, now);
        }

        _drive.HandleBatch(_buffer, slots, now);
        DecideAll(slots);
        WriteAll(slots);
        for (int place = 0; _observer is not null && place < slots.Length; place++)
        {
            ref readonly FrameSlot slot = ref slots[place];
            _observer.OnVerdict(place, _buffer.AsSpan(slot.Offset, slot.Length), slot.Verdict, _fates[place], now);
        }
    }

    // What waited for something that is over goes before the frames that find that out.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void DoWhatIsDue(Timestamp now)
    {
        if (_engine.IsDue(now))
        {
            _observer?.OnAdvance(now);
            _drive.Advance(now);
            _drive.Settle();
        }
    }

    // Several queues: what needs the engine is done while no other has it, and then the next may have it while this one writes. Where the
    // engine has something to say of these frames they are written before, as with one queue; and a recording has one order, so with an
    // observer everything is written in the turn.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private Timestamp HandleInTurn(IEngineTurns turns, int count)
    {
        Span<FrameSlot> slots = _slots.AsSpan(0, count);
        Timestamp now = turns.Begin(this);
        try
        {
            foreach (ref FrameSlot slot in slots)
            {
                slot.Inbound = IsInbound(_buffer.AsSpan(slot.Offset, slot.Length), slot.Info.NetworkOffset);
            }

            if (_observer is not null)
            {
                Handle(count, now);
                turns.Settle(now);
                return now;
            }

            Counters.Batches++;
            DoWhatIsDue(now);
            _drive.HandleBatch(_buffer, slots, now);
            DecideAll(slots);
            if (_engine.HasOutput || HasHeld(slots))
            {
                WriteAll(slots);
                slots = default;
            }

            turns.Settle(now);
        }
        finally
        {
            turns.End();
        }

        if (!slots.IsEmpty)
        {
            WriteAll(slots);
        }

        return now;
    }

    // What is held may be let go while the turn is settled, by an answer that comes at once.
    private static bool HasHeld(ReadOnlySpan<FrameSlot> slots)
    {
        foreach (ref readonly FrameSlot slot in slots)
        {
            if (slot.Verdict.Kind == VerdictKind.Hold)
            {
                return true;
            }
        }

        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void DecideAll(ReadOnlySpan<FrameSlot> slots)
    {
        for (int place = 0; place < slots.Length; place++)
        {
            _fates[place] = Decide(slots[place]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WriteAll(ReadOnlySpan<FrameSlot> slots)
    {
        if (slots.Length > 1)
        {
            HandOn(slots);
        }
        else if (_fates[0] == FrameFate.Sent)
        {
            _fates[0] = Write(WholeOf(slots[0]));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void HandOn(ReadOnlySpan<FrameSlot> slots)
    {
        _joiner.Begin();
        MacAddress host = _device.HardwareAddress;
        for (int place = 0; place < slots.Length; place++)
        {
            ref readonly FrameSlot slot = ref slots[place];
            if (_fates[place] == FrameFate.Sent)
            {
                Address(_buffer.AsSpan(slot.Offset, slot.Length), host);
                _joiner.Add(place);
            }
        }

        Span<FrameWrite> writes = _joiner.Finish();
        for (int number = 0; number < writes.Length;)
        {
            int end = EndOfCertain(number, writes.Length);
            _device.Write(_joiner.Parts, writes[number..end]);
            for (; number < end; number++)
            {
                Settle(number, writes[number].Result);
            }
        }
    }

    // Behind a superpacket of a kind that the kernel has not taken yet nothing is written before it is known whether its frames must go one
    // by one: they would come after what came after them.
    private int EndOfCertain(int from, int count)
    {
        for (int number = from; number < count; number++)
        {
            if (_joiner.FramesOf(number, out _) > 1 && !(_joiner.IsOfSegments(number) ? _takesSegments : _takesDatagrams))
            {
                return number + 1;
            }
        }

        return count;
    }

    // What has become of the frames of a write.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Settle(int number, int result)
    {
        int frames = _joiner.FramesOf(number, out int place);
        if (frames == 1)
        {
            _fates[place] = Written(result, _slots[place].Length);
            return;
        }

        bool refused = result < 0 && !IsPassing(-result);
        if (refused)
        {
            StopJoining(number);
        }
        else if (result >= 0)
        {
            Counters.SuperpacketsMade++;
            Counters.FramesJoined += frames;
            _takesSegments |= _joiner.IsOfSegments(number);
            _takesDatagrams |= !_joiner.IsOfSegments(number);
        }

        for (; frames > 0; frames--, place = _joiner.Next(place))
        {
            _fates[place] = refused ? Send(WholeOf(_slots[place])) : Written(result, _slots[place].Length);
        }
    }

    // A kernel that does not take what its own segmentation would (some of 6.1 to 6.10 do not take superpackets of UDP) gets single frames.
    private void StopJoining(int number)
    {
        Counters.SuperpacketsRefused++;
        _joiner.JoinsSegments &= !_joiner.IsOfSegments(number);
        _joiner.JoinsDatagrams &= _joiner.IsOfSegments(number);
    }

    private void ShowArrivals(ReadOnlySpan<FrameSlot> slots, Timestamp now)
    {
        for (int place = 0; place < slots.Length; place++)
        {
            ref readonly FrameSlot slot = ref slots[place];
            var header = VirtioNetHeader.Read(_buffer.AsSpan(slot.Offset - VirtioNetHeader.Length));
            _observer!.OnArrival(place, _buffer.AsSpan(slot.Offset, slot.Length), new Arrival(slot.Inbound, slot.Info, header), now);
        }
    }

    // Sent: it is to be written.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private FrameFate Decide(in FrameSlot slot)
    {
        if (slot.Verdict.Kind != VerdictKind.Forward)
        {
            return FrameFate.NotSent;
        }

        ReadOnlySpan<byte> frame = _buffer.AsSpan(slot.Offset, slot.Length);
        switch (slot.Verdict.Forward)
        {
            case ForwardReason.Rewritten or ForwardReason.Native when slot.Inbound:
            case ForwardReason.Hairpin:
                return FrameFate.Sent;
            case ForwardReason.Rewritten or ForwardReason.Native:
                return _routed.Contains(DestinationOf(frame, slot.Info.NetworkOffset)) ? Loop() : FrameFate.Sent;
            default:
                return DecideUntouched(frame, slot.Info.NetworkOffset);
        }
    }

    private FrameFate DecideUntouched(ReadOnlySpan<byte> frame, int network)
    {
        IpAddress source = IpAddress.Read(frame[(network + 8)..]);
        IpAddress destination = DestinationOf(frame, network);
        if (IsLinkScope(source) || IsLinkScope(destination))
        {
            Counters.LinkScope++;
            return FrameFate.LinkScope;
        }

        return _routed.Contains(destination) ? Loop() : FrameFate.Sent;
    }

    private static bool IsLinkScope(IpAddress address) =>
        address.IsMulticast || address.IsLinkLocal || address.IsUnspecified || address.IsLoopback;

    private FrameFate Loop()
    {
        Counters.Loops++;
        return FrameFate.Loop;
    }

    private FrameFate Write(Span<byte> whole)
    {
        Address(whole[VirtioNetHeader.Length..], _device.HardwareAddress);
        return Send(whole);
    }

    // The kernel takes only frames that are addressed to the TAP itself; the others are somebody else's (PACKET_OTHERHOST).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Address(Span<byte> frame, MacAddress host)
    {
        host.Write(frame);
        host.OtherEnd.Write(frame[MacAddress.Length..]);
    }

    private Span<byte> WholeOf(in FrameSlot slot) =>
        _buffer.AsSpan(slot.Offset - VirtioNetHeader.Length, slot.Length + VirtioNetHeader.Length);

    private FrameFate Send(ReadOnlySpan<byte> whole) => Written(_device.Write(whole), whole.Length - VirtioNetHeader.Length);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private FrameFate Written(int result, int length)
    {
        if (result < 0)
        {
            return WriteFailed(-result);
        }

        Counters.FramesWritten++;
        Counters.OctetsWritten += length;
        return FrameFate.Sent;
    }

    private static bool IsPassing(int error) =>
        error is Errno.Eagain or Errno.Enobufs or Errno.Enomem or Errno.Eio or Errno.Enetdown or Errno.Ebadfd;

    private FrameFate WriteFailed(int error)
    {
        switch (error)
        {
            case Errno.Eagain or Errno.Enobufs or Errno.Enomem:
                Counters.WritesWithoutRoom++;
                break;
            case Errno.Eio or Errno.Enetdown or Errno.Ebadfd:
                Counters.WritesWhileDown++;
                break;
            default:
                Counters.WritesRefused++;
                break;
        }

        return FrameFate.WriteFailed;
    }
}
