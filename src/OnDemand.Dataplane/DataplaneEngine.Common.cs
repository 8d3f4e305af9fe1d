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
    /// <summary>
    /// Handles a frame if it is a common packet: TCP or UDP of a live flow that goes on as it was. Nothing is asked, answered or reported
    /// for such a packet. If it is not one, nothing is done, and <see cref="HandleOutbound"/> or <see cref="HandleInbound"/> decides.
    /// </summary>
    /// <param name="frame">The frame, or at least its first sixty octets from the IPv6 header on; rewritten in place.</param>
    /// <param name="info">What is known of it.</param>
    /// <param name="inbound">Whether it comes from the network.</param>
    /// <param name="now">The time, never earlier than in the call before.</param>
    /// <param name="verdict">The verdict, always to forward a rewritten frame, if it was handled.</param>
    /// <returns>Whether it was handled.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryHandleCommon(Span<byte> frame, in FrameInfo info, bool inbound, Timestamp now, out Verdict verdict)
    {
        verdict = default;
        if (now >= _nextDeadline || !TryGlance(frame, info.NetworkOffset, inbound, out Glance glance))
        {
            return false;
        }

        glance.Guess = _flows.Guess(glance.Hash);
        uint tick = Ticks.At(now, _origin);
        if (!(inbound ? TryReceive(frame, glance, info, tick, out verdict) : TrySend(frame, glance, info, tick, out verdict)))
        {
            return false;
        }

        _ = Count(verdict);
        return true;
    }

    // The first look at a frame: everything about it that does not depend on what other frames do. False: not a common packet.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryGlance(ReadOnlySpan<byte> frame, int networkOffset, bool inbound, out Glance glance)
    {
        Unsafe.SkipInit(out glance);
        glance.IsCommon = false;
        glance.Guess = -1;
        if ((uint)networkOffset > (uint)frame.Length || frame.Length - networkOffset < CommonHeader.Length)
        {
            return false;
        }

        ref readonly CommonHeader header = ref MemoryMarshal.AsRef<CommonHeader>(frame[networkOffset..]);
        ulong first = header.First;
        if (!CommonHeader.IsCommon(first))
        {
            return false;
        }

        IpAddress ours = inbound ? header.Destination : header.Source;
        IpAddress remote = inbound ? header.Source : header.Destination;
        AddressName name = _addresses.Find(ours);
        if (!name.IsKnown || name.IsTyped != inbound || IsLinkScope(remote))
        {
            return false;
        }

        int host = inbound ? _addresses.Typed(name.Number).Host : name.Number;
        uint ports = header.Ports;
        glance.Key = new FlowKey(remote, FlowKey.MakeTail(CommonHeader.ProtocolOf(first), host, inbound ? (ports << 16) | (ports >> 16) : ports));
        glance.Hash = _flows.Hash(glance.Key);
        glance.Typed = name.Number;
        glance.IsCommon = true;
        return true;
    }

    // Sends a common packet of the host on. False: nothing was done, and the ordinary way decides.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TrySend(Span<byte> frame, in Glance glance, in FrameInfo info, uint tick, out Verdict verdict)
    {
        verdict = default;
        int id = glance.Guess;
        if (id < 0)
        {
            return false;
        }

        ref FlowEntry entry = ref _flows.Entry(id);
        ref CommonHeader header = ref MemoryMarshal.AsRef<CommonHeader>(frame[info.NetworkOffset..]);
        if (!GoesOn(entry, glance.Key, header.Flags, tick))
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(entry.Address);
        if (_prefixes[address.Prefix].State >= PrefixState.Closing)
        {
            return false;
        }

        uint payload = CommonHeader.PayloadLengthOf(header.First);
        uint length = payload + FrameParser.HeaderLength;
        entry.LastSeen = tick;
        entry.Packets++;
        entry.Bytes += length;
        address.PacketsOut++;
        address.BytesOut += length;
        if (entry.State == FlowState.Established)
        {
            uint data = (uint)Math.Max(0, (int)(payload - header.SegmentHeaderLength));
            TcpTracker.NoteSent(ref entry, header.Sequence + data, header.Flags, header.Acknowledgment);
        }

        header.Source = address.External;
        Adjust(ref header, entry.State, address.Difference, info.PartialChecksum);
        verdict = Verdict.Sent(ForwardReason.Rewritten, id);
        return true;
    }

    // Hands a common packet to the host; like TrySend.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryReceive(Span<byte> frame, in Glance glance, in FrameInfo info, uint tick, out Verdict verdict)
    {
        verdict = default;
        int id = glance.Guess;
        if (id < 0)
        {
            return false;
        }

        ref FlowEntry entry = ref _flows.Entry(id);
        ref CommonHeader header = ref MemoryMarshal.AsRef<CommonHeader>(frame[info.NetworkOffset..]);
        if (!GoesOn(entry, glance.Key, header.Flags, tick)
            || entry.Address != glance.Typed || (entry.State == FlowState.Established && (entry.Marks & FlowMarks.ReceiveKnown) == 0))
        {
            return false;
        }

        ref TypedAddress address = ref _addresses.Typed(glance.Typed);
        if (_prefixes[address.Prefix].State >= PrefixState.Closing)
        {
            return false;
        }

        uint length = CommonHeader.PayloadLengthOf(header.First) + FrameParser.HeaderLength;
        entry.LastSeen = tick;
        entry.Packets++;
        entry.Bytes += length;
        address.PacketsIn++;
        address.BytesIn += length;
        header.Destination = address.Internal;
        Adjust(ref header, entry.State, InternetChecksum.Negate(address.Difference), info.PartialChecksum);
        verdict = Verdict.Sent(ForwardReason.Rewritten, id);
        return true;
    }

    // Whether the guess was right, and a packet with these flags leaves the flow as it is: a UDP flow, or a TCP connection that stays.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool GoesOn(in FlowEntry entry, in FlowKey key, byte flags, uint tick)
    {
        const byte changing = TcpTracker.Syn | TcpTracker.Fin | TcpTracker.Rst;
        return entry.Has(key) && _attached && tick - entry.LastSeen <= _shortestIdle && (entry.Marks & (FlowMarks.Native | FlowMarks.Hairpin)) == 0
            && (entry.State == FlowState.Established ? (flags & changing) == 0 : entry.State == FlowState.Datagram);
    }

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
