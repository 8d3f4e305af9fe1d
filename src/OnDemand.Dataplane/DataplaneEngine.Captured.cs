using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <content>
/// Common packets of a capture taken inside, which shows internal addresses in both directions: many at a time, so that their look-ups
/// overlap. What comes out is what <see cref="HandleOutbound"/>, or <see cref="ViewAsRemote"/> and then <see cref="HandleInbound"/>, give.
/// </content>
public sealed partial class DataplaneEngine
{
    /// <summary>Slots that one call takes at most.</summary>
    public const int MaximumCaptured = BatchSize;

    /// <summary>Octets of proof for each slot: the headers of a packet from the network, as they were captured and as the engine gave them
    /// to the host.</summary>
    public const int ProofLength = 2 * CommonHeader.Length;

    private const int NotCommon = -1;   // in place of where it lies

    private int _captured;              // slots that were looked at last

    /// <summary>
    /// Looks at packets before <see cref="HandleCaptured"/> handles them, and asks for what that will need of the tables. It changes nothing.
    /// </summary>
    /// <param name="buffer">The octets of all frames.</param>
    /// <param name="slots">Where each frame lies, at most <see cref="MaximumCaptured"/>.</param>
    /// <exception cref="ArgumentException">There are too many slots.</exception>
    public void LookAtCaptured(ReadOnlySpan<byte> buffer, Span<CapturedSlot> slots)
    {
        if (slots.Length > MaximumCaptured)
        {
            throw new ArgumentException("There are more slots than can be handled at once.", nameof(slots));
        }

        _captured = slots.Length;
        for (int i = 0; i < slots.Length; i++)
        {
            ref CapturedSlot slot = ref slots[i];
            ref Glance glance = ref _batch[i];
            ReadOnlySpan<byte> frame = buffer.Slice(slot.Offset, slot.Length);
            if (frame.Length - slot.NetworkOffset >= CommonHeader.Length && TryGlanceInside(frame[slot.NetworkOffset..], ref slot, ref glance))
            {
                glance.At = slot.Offset + slot.NetworkOffset;
                _flows.Prefetch(glance.Hash);
            }
            else
            {
                glance.At = NotCommon;
                glance.Guess = Glance.None;
            }
        }

        Span<Glance> glances = _batch.AsSpan(0, slots.Length);
        if (!_flows.Guess(glances))
        {
            LookForSockets(glances);
        }
    }

    /// <summary>
    /// Handles common packets, TCP or UDP of live flows that go on as they were, up to the first that is not one. Nothing is asked, answered
    /// or reported for such packets. Those to the network are rewritten in place. In those from the network the typed address that the
    /// remote would have used is put in place; then the engine handles a copy of their headers, inbound.
    /// </summary>
    /// <param name="buffer">The octets of all frames.</param>
    /// <param name="slots">What was given to <see cref="LookAtCaptured"/>; filled in for those that are handled.</param>
    /// <param name="from">The first to be handled. Those before it have been, here or, one by one, by the other methods.</param>
    /// <param name="proofs"><see cref="ProofLength"/> octets for each slot: filled in for the packets from the network.</param>
    /// <returns>How many were handled; the next one is as it was.</returns>
    /// <exception cref="ArgumentException">These slots were not looked at, or there is too little room for proofs.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int HandleCaptured(Span<byte> buffer, Span<CapturedSlot> slots, int from, Span<byte> proofs)
    {
        if (slots.Length != _captured || proofs.Length < slots.Length * ProofLength)
        {
            throw new ArgumentException("The slots are not those that were looked at.", nameof(slots));
        }

        for (int i = from; i < slots.Length; i++)
        {
            ref CapturedSlot slot = ref slots[i];
            ref Glance glance = ref _batch[i];
            if (glance.Guess < 0 && glance.At >= 0)
            {
                glance.Guess = _flows.Guess(glance.Hash);    // one that was handled since may have opened it
            }

            if (glance.Guess < 0 || slot.Time >= _nextDeadline)
            {
                return i - from;
            }

            Span<byte> packet = buffer.Slice(glance.At, CommonHeader.Length);    // the buffer may be another than was looked at
            if (!(slot.Inbound
                ? TryProve(packet, slot, glance, proofs.Slice(i * ProofLength, ProofLength))
                : TrySend(ref MemoryMarshal.GetReference(buffer), slot, glance)))
            {
                return i - from;
            }

            slot.Flow = glance.Guess;
        }

        return slots.Length - from;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGlanceInside(ReadOnlySpan<byte> packet, ref CapturedSlot slot, ref Glance glance)
    {
        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref MemoryMarshal.GetReference(packet));
        if (!header.IsCommon)
        {
            return false;
        }

        AddressName name = _addresses.Find(header.Source);
        slot.Inbound = !name.IsInternal;
        name = slot.Inbound ? _addresses.Find(header.Destination) : name;
        ref readonly IpAddress remote = ref (slot.Inbound ? ref header.Source : ref header.Destination);
        if (!name.IsInternal || (MayBeLinkScope(remote) && IsLinkScope(remote)))
        {
            return false;
        }

        uint ports = slot.Inbound ? BitOperations.RotateLeft(header.Ports, 16) : header.Ports;
        glance.Tail = FlowKey.MakeTail(header.Protocol, name.Number, ports);
        glance.Hash = _flows.Hash(remote, glance.Tail);
        glance.Guess = Glance.Common;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TrySend(ref byte buffer, in CapturedSlot slot, in Glance glance)
    {
        if (!_attached || !TryFinish<Outward>(
            ref buffer, ref _flows.Entry(glance.Guess), glance, new FrameInfo(0, slot.PartialChecksum), Ticks.At(slot.Time, _origin), new InUse(this)))
        {
            return false;
        }

        Counters.Forwards[(int)ForwardReason.Rewritten]++;
        return true;
    }

    // The packet as the remote would have sent it, and its way back through the engine.
    private bool TryProve(Span<byte> packet, in CapturedSlot slot, in Glance glance, Span<byte> proof)
    {
        ref CommonHeader header = ref MemoryMarshal.AsRef<CommonHeader>(packet);
        ref FlowEntry entry = ref _flows.Entry(glance.Guess);
        if (!MayGoOn(entry, header.Source, glance.Tail))
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(entry.Address);   // whether it may still be used is asked on the way back
        Span<byte> captured = proof[..CommonHeader.Length];
        Span<byte> came = proof[CommonHeader.Length..];
        packet.CopyTo(captured);
        header.Destination = address.External;
        if (entry.State == FlowState.Established)
        {
            AdjustSegment(ref header.SegmentChecksum, address.DifferenceOut, slot.PartialChecksum);
        }
        else
        {
            AdjustDatagram(ref header.DatagramChecksum, address.DifferenceOut, slot.PartialChecksum);
        }

        packet.CopyTo(came);
        if (TryOne<Inward>(came, new FrameInfo(0, slot.PartialChecksum), slot.Time, out _))
        {
            return true;
        }

        captured.CopyTo(packet);
        return false;
    }

    // Whether the guess was right, and the flow is one of the common kinds; all else is asked on the way back.
    private static bool MayGoOn(in FlowEntry entry, in IpAddress remote, ulong tail) =>
        entry.Has(remote, tail) && entry.State is FlowState.Established or FlowState.Datagram;
}
