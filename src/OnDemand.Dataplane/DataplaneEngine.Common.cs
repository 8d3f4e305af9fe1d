using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// The common packet: TCP or UDP right behind the IPv6 header, of a flow that is there and goes on as it was, with an address that stays.
/// It changes no state but counts, times and TCP's numbers, so it needs neither a full parse nor the questions that other packets raise.
/// Whatever is not certain here is left to the ordinary way, which gives the same result for common packets too.
/// </content>
public sealed partial class DataplaneEngine
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryOne(Span<byte> frame, in FrameInfo info, bool inbound, Timestamp now, out Verdict verdict)
    {
        Unsafe.SkipInit(out Glance glance);
        ref byte octets = ref MemoryMarshal.GetReference(frame);
        if (TryGlance(ref octets, 0, frame.Length, info.NetworkOffset, inbound, ref glance)
            || GlanceAgain(ref octets, 0, frame.Length, info.NetworkOffset, inbound, ref glance))
        {
            int id = _flows.Guess(glance.Hash);
            if (id >= 0 && TryFinish(ref octets, ref _flows.Entry(id), glance, inbound, info.PartialChecksum, Ticks.At(now, _origin)))
            {
                Counters.Forwards[(int)ForwardReason.Rewritten]++;
                verdict = Verdict.Sent(ForwardReason.Rewritten, id);
                return true;
            }
        }

        verdict = default;
        return false;
    }

    // The first look at many frames, so that what it asks of the memory overlaps. What needs a call is done afterwards: a loop without calls
    // keeps all that it needs in registers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void GlanceAll(ref byte octets, int length, ref FrameSlot first, int count)
    {
        FlowIndex.View index = _flows.Index;
        ref Glance glance = ref MemoryMarshal.GetArrayDataReference(_batch);
        ref Glance end = ref Unsafe.Add(ref glance, count);
        bool isComplete = true;
        for (ref FrameSlot slot = ref first; Unsafe.IsAddressLessThan(ref glance, ref end); slot = ref Unsafe.Add(ref slot, 1))
        {
            glance.Guess = Glance.NotYet;
            if ((ulong)(uint)slot.Offset + (uint)slot.Length <= (uint)length
                && TryGlance(ref octets, slot.Offset, slot.Length, slot.Info.NetworkOffset, slot.Inbound, ref glance))
            {
                index.Prefetch(glance.Hash);
            }
            else
            {
                isComplete = false;
            }

            glance = ref Unsafe.Add(ref glance, 1);
        }

        if (!isComplete)
        {
            GlanceAtOthers(ref octets, length, MemoryMarshal.CreateSpan(ref first, count));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void GlanceAtOthers(ref byte octets, int length, ReadOnlySpan<FrameSlot> slots)
    {
        for (int i = 0; i < slots.Length; i++)
        {
            if (_batch[i].Guess == Glance.NotYet)
            {
                ref readonly FrameSlot slot = ref slots[i];
                if ((ulong)(uint)slot.Offset + (uint)slot.Length > (uint)length)
                {
                    throw new ArgumentException("A frame does not lie within the batch's buffer.", nameof(slots));
                }

                if (GlanceAgain(ref octets, slot.Offset, slot.Length, slot.Info.NetworkOffset, slot.Inbound, ref _batch[i]))
                {
                    _flows.Prefetch(_batch[i].Hash);
                }
            }
        }
    }

    // Packets without a flow begin one, most likely, and then their sockets' bindings are needed.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void LookForSockets(ReadOnlySpan<Glance> glances)
    {
        foreach (ref readonly Glance glance in glances)
        {
            if (glance.Guess == Glance.None)
            {
                _bindings.Prefetch(glance.Tail);
            }
        }

        foreach (ref readonly Glance glance in glances)
        {
            if (glance.Guess == Glance.None)
            {
                _bindings.PrefetchFirst(glance.Tail);
            }
        }
    }

    // Finishes the common packets of a batch from a place on; returns the place of the first that is not one, or the length.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private int FinishAll(ref byte octets, Span<FrameSlot> slots, int from, uint tick)
    {
        ref FlowEntry entries = ref _flows.First;
        ref Glance glance = ref _batch[from];
        ref FrameSlot slot = ref Unsafe.Add(ref MemoryMarshal.GetReference(slots), from);
        ref FrameSlot end = ref Unsafe.Add(ref MemoryMarshal.GetReference(slots), slots.Length);
        int done = from;
        while (Unsafe.IsAddressLessThan(ref slot, ref end))
        {
            int id = glance.Guess;
            if (id < 0 || !TryFinish(ref octets, ref Unsafe.Add(ref entries, id), glance, slot.Inbound, slot.Info.PartialChecksum, tick))
            {
                break;
            }

            slot.Verdict = Verdict.Sent(ForwardReason.Rewritten, id);
            glance = ref Unsafe.Add(ref glance, 1);
            slot = ref Unsafe.Add(ref slot, 1);
            done++;
        }

        Counters.Forwards[(int)ForwardReason.Rewritten] += done - from;
        return done;
    }

    // The first look at a frame: everything about it that does not depend on what other frames do. False: not a common packet, or its
    // address was not met lately, or the remote may be no farther than the link.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGlance(ref byte buffer, int offset, int length, int networkOffset, bool inbound, ref Glance glance, bool isFar = false)
    {
        if ((ulong)(uint)networkOffset + CommonHeader.Length > (uint)length)
        {
            return false;
        }

        int at = offset + networkOffset;
        ref byte octets = ref Unsafe.Add(ref buffer, at);
        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref octets);
        ref readonly IpAddress remote = ref CommonHeader.Remote(ref octets, inbound);
        if (!header.IsCommon || (!isFar && MayBeLinkScope(remote))
            || !_addresses.TryFindRecent(CommonHeader.Ours(ref octets, inbound), inbound, out int number, out ulong host))
        {
            return false;
        }

        ulong tail = FlowKey.MakeTail(header.Protocol, host, BitOperations.RotateLeft(header.Ports, (inbound ? 1 : 0) << 4));
        glance.Tail = tail;
        glance.Hash = _flows.Hash(remote, tail);
        glance.At = at;
        glance.Typed = number;
        glance.Guess = Glance.Common;
        return true;
    }

    // The first look when the address was not met lately, or at a frame that is not common.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool GlanceAgain(ref byte buffer, int offset, int length, int networkOffset, bool inbound, ref Glance glance)
    {
        glance.Guess = Glance.None;
        if ((ulong)(uint)networkOffset + CommonHeader.Length > (uint)length)
        {
            return false;
        }

        ref byte octets = ref Unsafe.Add(ref buffer, offset + networkOffset);
        if (!Unsafe.As<byte, CommonHeader>(ref octets).IsCommon || IsLinkScope(CommonHeader.Remote(ref octets, inbound)))
        {
            return false;
        }

        AddressName name = _addresses.Find(CommonHeader.Ours(ref octets, inbound));
        return name.IsKnown && name.IsTyped == inbound && TryGlance(ref buffer, offset, length, networkOffset, inbound, ref glance, isFar: true);
    }

    // Sends a common packet on that was looked at: its sixty octets are there. False: nothing was done, and the ordinary way decides.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryFinish(ref byte octets, ref FlowEntry entry, in Glance glance, bool inbound, bool partial, uint tick)
    {
        octets = ref Unsafe.Add(ref octets, glance.At);
        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref octets);
        if (!GoesOn(entry, CommonHeader.Remote(ref octets, inbound), glance.Tail, header.Flags, tick))
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.TypedInUse(entry.Address);
        if (_prefixes.IsLeaving(address))
        {
            return false;
        }

        uint payload = header.PayloadLength;
        if (inbound)
        {
            if (entry.Address != glance.Typed || (entry.State == FlowState.Established && (entry.Marks & FlowMarks.ReceiveKnown) == 0))
            {
                return false;
            }

            address.PacketsIn++;
            address.BytesIn += payload + FrameParser.HeaderLength;
            header.Destination = address.Internal;
            Adjust(ref header, entry.State, address.DifferenceIn, partial);
        }
        else
        {
            address.PacketsOut++;
            address.BytesOut += payload + FrameParser.HeaderLength;
            header.Source = address.External;
            Adjust(ref header, entry.State, address.DifferenceOut, partial);
            if (entry.State == FlowState.Established)
            {
                uint data = (uint)Math.Max(0, (int)(payload - header.SegmentHeaderLength));
                TcpTracker.NoteSentMore(ref entry, header.Sequence + data, header.Flags, header.Acknowledgment);
            }
        }

        entry.LastSeen = tick;
        entry.Packets++;
        entry.Bytes += payload + FrameParser.HeaderLength;
        return true;
    }

    // Whether the guess was right, and a packet with these flags leaves the flow as it is: a UDP flow, or a TCP connection that stays.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool GoesOn(in FlowEntry entry, in IpAddress remote, ulong tail, byte flags, uint tick)
    {
        const byte changing = TcpTracker.Syn | TcpTracker.Fin | TcpTracker.Rst;
        return entry.Has(remote, tail) && _attached && tick - entry.LastSeen <= _shortestIdle && (entry.Marks & (FlowMarks.Native | FlowMarks.Hairpin)) == 0
            && (entry.State == FlowState.Established ? (flags & changing) == 0 : entry.State == FlowState.Datagram);
    }

    // The difference is in the wire's order of octets, as the field is: one's-complement sums do not mind (RFC 1071 §2B).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Adjust(ref CommonHeader header, FlowState state, ushort difference, bool partial)
    {
        if (state == FlowState.Established)
        {
            header.SegmentChecksum = partial
                ? InternetChecksum.UpdatePartial(header.SegmentChecksum, difference) : InternetChecksum.Update(header.SegmentChecksum, difference);
        }
        else if (partial)
        {
            header.DatagramChecksum = InternetChecksum.UpdatePartial(header.DatagramChecksum, difference);
        }
        else if (header.DatagramChecksum != 0)
        {
            header.DatagramChecksum = InternetChecksum.ForUdp(InternetChecksum.Update(header.DatagramChecksum, difference));
        }
    }
}
