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

    /// <summary>
    /// Handles common packets, TCP or UDP of live flows that go on as they were, up to the first that is not one. Nothing is asked, answered
    /// or reported for such packets. Those to the network are rewritten in place. In those from the network the typed address that the
    /// remote would have used is put in place; then the engine handles a copy of their headers, inbound.
    /// </summary>
    /// <param name="buffer">The octets of all frames.</param>
    /// <param name="slots">Where each frame lies, at most <see cref="MaximumCaptured"/>; filled in for those that were handled.</param>
    /// <param name="proofs"><see cref="ProofLength"/> octets for each slot: filled in for the packets from the network.</param>
    /// <returns>How many were handled; the next one is as it was.</returns>
    /// <exception cref="ArgumentException">There are too many slots, or too little room for proofs.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int HandleCaptured(Span<byte> buffer, Span<CapturedSlot> slots, Span<byte> proofs)
    {
        if (slots.Length > MaximumCaptured || proofs.Length < slots.Length * ProofLength)
        {
            throw new ArgumentException("There are more slots than can be handled at once.", nameof(slots));
        }

        Span<Glance> glances = _batch.AsSpan(0, GlanceAtCaptured(buffer, slots));
        _flows.Guess(glances);
        for (int i = 0; i < glances.Length; i++)
        {
            ref CapturedSlot slot = ref slots[i];
            ref readonly Glance glance = ref glances[i];
            bool isDone = glance.Guess >= 0 && slot.Time < _nextDeadline && (slot.Inbound
                ? TryProve(buffer.Slice(glance.At, CommonHeader.Length), slot, glance, proofs.Slice(i * ProofLength, ProofLength))
                : TrySend(ref MemoryMarshal.GetReference(buffer), slot, glance));
            if (!isDone)
            {
                return i;
            }

            slot.Flow = glance.Guess;
        }

        return glances.Length;
    }

    // How many of the frames look like common packets.
    private int GlanceAtCaptured(ReadOnlySpan<byte> buffer, Span<CapturedSlot> slots)
    {
        for (int i = 0; i < slots.Length; i++)
        {
            ref CapturedSlot slot = ref slots[i];
            ReadOnlySpan<byte> frame = buffer.Slice(slot.Offset, slot.Length);
            if (frame.Length - slot.NetworkOffset < CommonHeader.Length || !TryGlanceInside(frame[slot.NetworkOffset..], ref slot, ref _batch[i]))
            {
                return i;
            }

            _batch[i].At = slot.Offset + slot.NetworkOffset;
            _flows.Prefetch(_batch[i].Hash);
        }

        return slots.Length;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGlanceInside(ReadOnlySpan<byte> packet, ref CapturedSlot slot, ref Glance glance)
    {
        ref byte octets = ref MemoryMarshal.GetReference(packet);
        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref octets);
        if (!header.IsCommon)
        {
            return false;
        }

        AddressName name = _addresses.Find(header.Source);
        slot.Inbound = !name.IsInternal;
        name = slot.Inbound ? _addresses.Find(header.Destination) : name;
        ref readonly IpAddress remote = ref CommonHeader.Remote(ref octets, slot.Inbound);
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
        if (!TryFinish(ref buffer, ref _flows.Entry(glance.Guess), glance, inbound: false, slot.PartialChecksum, Ticks.At(slot.Time, _origin)))
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
        if (!GoesOn(entry, header.Source, glance.Tail, header.Flags, Ticks.At(slot.Time, _origin)))
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(entry.Address);   // whether it may still be used is asked on the way back
        Span<byte> captured = proof[..CommonHeader.Length];
        Span<byte> came = proof[CommonHeader.Length..];
        packet.CopyTo(captured);
        header.Destination = address.External;
        Adjust(ref header, entry.State, address.DifferenceOut, slot.PartialChecksum);
        packet.CopyTo(came);
        if (TryOne(came, new FrameInfo(0, slot.PartialChecksum), inbound: true, slot.Time, out _))
        {
            return true;
        }

        captured.CopyTo(packet);
        return false;
    }
}
