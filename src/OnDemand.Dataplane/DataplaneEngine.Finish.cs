using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// The common packet's end: what was looked at is rewritten, counted and noted. It is compiled for each direction, what all
/// packets of a batch share is fetched before, and there is no call in the loop: half of the time that a packet takes is here.
/// </content>
public sealed partial class DataplaneEngine
{
    // Finishes the common packets of a batch from a place on; returns the place of the first that is not one, or the length.
    private int FinishSome(ref byte octets, Span<FrameSlot> slots, int from, uint tick)
    {
        ref FrameSlot first = ref Unsafe.Add(ref MemoryMarshal.GetReference(slots), from);
        ref FrameSlot end = ref Unsafe.Add(ref MemoryMarshal.GetReference(slots), slots.Length);
        int finished = FinishRun(ref octets, ref first, ref end, ref _batch[from], tick);
        Counters.Forwards[(int)ForwardReason.Rewritten] += finished;
        return from + finished;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private int FinishRun(ref byte octets, ref FrameSlot first, ref FrameSlot end, ref Glance glance, uint tick)
    {
        var inUse = new InUse(this);
        ref FlowEntry entries = ref _flows.First;
        ref FrameSlot slot = ref first;
        while (Unsafe.IsAddressLessThan(ref slot, ref end))
        {
            int id = glance.Guess;
            slot.Verdict = Verdict.Sent(ForwardReason.Rewritten, id);     // the ordinary way says otherwise where it must
            if (id < 0)
            {
                break;
            }

            ref FlowEntry entry = ref Unsafe.Add(ref entries, (nint)(uint)id);
            if (!(slot.Inbound
                ? TryFinish<Inward>(ref octets, ref entry, glance, slot.Info, tick, inUse)
                : TryFinish<Outward>(ref octets, ref entry, glance, slot.Info, tick, inUse)))
            {
                break;
            }

            glance = ref Unsafe.Add(ref glance, 1);
            slot = ref Unsafe.Add(ref slot, 1);
        }

        return (int)(Unsafe.ByteOffset(ref first, ref slot) / Unsafe.SizeOf<FrameSlot>());
    }

    // Sends a common packet on that was looked at: its sixty octets are there. False: nothing was done, and the ordinary way decides.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryFinish<TDirection>(
        ref byte octets, ref FlowEntry entry, in Glance glance, in FrameInfo info, uint tick, in InUse inUse)
        where TDirection : struct, IDirection
    {
        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref Unsafe.Add(ref octets, (nint)(uint)glance.At));
        if (entry.Tail != glance.Tail || !IpAddress.AreSame(TDirection.IsInbound ? ref header.Source : ref header.Destination, entry.Remote)
            || tick - entry.LastSeen > inUse.ShortestIdle)
        {
            return false;
        }

        bool isSegment = entry.State == FlowState.Established;
        if (isSegment
            ? !TcpTracker.IsKnown(entry.Marks, TDirection.IsInbound) || !TcpTracker.IsPlain(header.Flags, TDirection.IsInbound)
            : entry.State != FlowState.Datagram || (entry.Marks & (FlowMarks.Native | FlowMarks.Hairpin)) != 0)
        {
            return false;
        }

        ref TypedAddress address = ref Unsafe.Add(ref inUse.Addresses, entry.Address);     // such a flow has one
        if ((TDirection.IsInbound && entry.Address != glance.Typed) || PrefixTable.IsLeaving(ref inUse.Prefixes, address))
        {
            return false;
        }

        uint payload = header.PayloadLength;
        ulong length = payload + FrameParser.HeaderLength;
        ushort difference = TDirection.IsInbound ? address.DifferenceIn : address.DifferenceOut;
        if (!isSegment)
        {
            AdjustDatagram(ref header.DatagramChecksum, difference, info.PartialChecksum);
        }
        else
        {
            AdjustSegment(ref header.SegmentChecksum, difference, info.PartialChecksum);
            if (!TDirection.IsInbound)
            {
                uint data = TcpTracker.Positive((int)(payload - header.SegmentHeaderLength));
                TcpTracker.NoteSentMore(ref entry, header.Sequence + data, header.Acknowledgment);
            }
        }

        // Not by ++ and +=, of which the compiler makes an address apart and an addition to it: two instructions each instead of one.
        if (TDirection.IsInbound)
        {
            header.Destination = address.Internal;
            address.PacketsIn = address.PacketsIn + 1;
            address.BytesIn = address.BytesIn + length;
        }
        else
        {
            header.Source = address.External;
            address.PacketsOut = address.PacketsOut + 1;
            address.BytesOut = address.BytesOut + length;
        }

        entry.LastSeen = tick;
        entry.Packets = entry.Packets + 1;
        entry.Bytes = entry.Bytes + length;
        return true;
    }

    // The difference is in the wire's order of octets, as the field is: one's-complement sums do not mind (RFC 1071 §2B).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AdjustSegment(ref ushort checksum, ushort difference, bool partial)
    {
        if (partial)
        {
            checksum = InternetChecksum.UpdatePartial(checksum, difference);
        }
        else
        {
            checksum = InternetChecksum.Update(checksum, difference);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AdjustDatagram(ref ushort checksum, ushort difference, bool partial)
    {
        if (partial)
        {
            checksum = InternetChecksum.UpdatePartial(checksum, difference);
        }
        else if (checksum != 0)
        {
            checksum = InternetChecksum.ForUdp(InternetChecksum.Update(checksum, difference));
        }
    }

    // What finishing needs, fetched once for many.
    private readonly ref struct InUse(DataplaneEngine engine)
    {
        public readonly ref TypedAddress Addresses = ref engine._addresses.FirstTyped;
        public readonly ref PrefixEntry Prefixes = ref engine._prefixes.First;
        public readonly uint ShortestIdle = engine._shortestIdle;
    }
}
