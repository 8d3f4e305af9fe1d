using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// Follows a TCP connection as far as the engine needs it: how long its flow lives (RFC 7857 §2), and the two numbers that make a RST
/// the host accepts (RFC 5961 §3.2): its RCV.NXT, which is the acknowledgment number it last sent, and its SND.NXT.
/// </summary>
internal static class TcpTracker
{
    public const byte Fin = 0x01;
    public const byte Syn = 0x02;
    public const byte Rst = 0x04;
    public const byte Ack = 0x10;

    /// <summary>Notes a segment that the host sent.</summary>
    /// <param name="entry">The flow.</param>
    /// <param name="segment">At least twenty octets of TCP header.</param>
    /// <param name="length">Octets of the whole segment, header and data.</param>
    public static void Outbound(ref FlowEntry entry, ReadOnlySpan<byte> segment, int length)
    {
        byte flags = segment[13];
        uint next = BinaryPrimitives.ReadUInt32BigEndian(segment[4..]) + DataLength(segment, length);
        if ((flags & (Fin | Syn | Rst)) != 0)
        {
            next += (flags & Syn) != 0 ? 1u : 0u;
            next += (flags & Fin) != 0 ? 1u : 0u;
            Change(ref entry, flags, FlowMarks.HostSyn, FlowState.HostFin, FlowState.RemoteFin);
        }
        else if (entry.State == FlowState.Reset)
        {
            entry.State = FlowState.Established;   // it was not the end (RFC 7857 §2.2)
        }

        NoteSent(ref entry, next, flags, BinaryPrimitives.ReadUInt32BigEndian(segment[8..]));
    }

    /// <summary>
    /// Whether an established flow knows enough for its segments to take the fast way: what it keeps of them is there. Never so for a flow
    /// whose packets are not rewritten or turn back at the host.
    /// </summary>
    /// <param name="marks">The flow's marks.</param>
    /// <param name="inbound">Whether the remote sends.</param>
    /// <returns>Whether it does.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsKnown(FlowMarks marks, bool inbound)
    {
        FlowMarks needed = inbound ? FlowMarks.ReceiveKnown : FlowMarks.SendKnown | FlowMarks.ReceiveKnown;
        return (marks & (needed | FlowMarks.Native | FlowMarks.Hairpin)) == needed;
    }

    /// <summary>
    /// Whether a segment leaves such a flow as it is, but for numbers: outbound it then only needs <see cref="NoteSentMore"/>.
    /// </summary>
    /// <param name="flags">The segment's flags.</param>
    /// <param name="inbound">Whether the remote sent it.</param>
    /// <returns>Whether it does.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsPlain(byte flags, bool inbound)
    {
        int needed = inbound ? 0 : Ack;
        return (flags & (Syn | Fin | Rst | needed)) == needed;
    }

    /// <summary>The same as <see cref="NoteSent"/>, faster: without branches, for a plain segment of a known flow.</summary>
    /// <param name="entry">The flow.</param>
    /// <param name="next">The sequence number after it.</param>
    /// <param name="acknowledged">Its acknowledgment number.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void NoteSentMore(ref FlowEntry entry, uint next, uint acknowledged)
    {
        uint sent = entry.SendNext;
        uint received = entry.ReceiveNext;
        entry.SendNext = sent + Positive((int)(next - sent));
        entry.ReceiveNext = received + Positive((int)(acknowledged - received));
    }

    /// <summary>The number, or zero for a negative one, without a branch.</summary>
    /// <param name="number">Any number.</param>
    /// <returns>Zero or more.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint Positive(int number) => (uint)(number & ~(number >> 31));

    /// <summary>Notes the numbers of a segment that the host sent.</summary>
    /// <param name="entry">The flow.</param>
    /// <param name="next">The sequence number after it.</param>
    /// <param name="flags">Its flags.</param>
    /// <param name="acknowledged">Its acknowledgment number; meaningful with the ACK flag.</param>
    public static void NoteSent(ref FlowEntry entry, uint next, byte flags, uint acknowledged)
    {
        if ((entry.Marks & FlowMarks.SendKnown) == 0 || (int)(next - entry.SendNext) > 0)
        {
            entry.SendNext = next;
        }

        FlowMarks known = entry.Marks;
        entry.Marks = known | FlowMarks.SendKnown;
        if ((flags & Ack) != 0)
        {
            if ((known & FlowMarks.ReceiveKnown) == 0 || (int)(acknowledged - entry.ReceiveNext) > 0)
            {
                entry.ReceiveNext = acknowledged;
            }

            entry.Marks |= FlowMarks.ReceiveKnown;
        }
    }

    /// <summary>Notes a segment that the remote sent.</summary>
    /// <param name="entry">The flow.</param>
    /// <param name="segment">At least twenty octets of TCP header.</param>
    /// <param name="length">Octets of the whole segment.</param>
    public static void Inbound(ref FlowEntry entry, ReadOnlySpan<byte> segment, int length)
    {
        byte flags = segment[13];
        uint sequence = BinaryPrimitives.ReadUInt32BigEndian(segment[4..]);
        if ((flags & (Fin | Syn | Rst)) != 0)
        {
            // A RST far from what the host expects does not end the flow; the host itself would only challenge it (RFC 5961 §3.2).
            bool stray = (flags & Rst) != 0 && (entry.Marks & FlowMarks.ReceiveKnown) != 0
                && (int)(sequence - entry.ReceiveNext) is < 0 or > 1 << 20;
            if (!stray)
            {
                Change(ref entry, flags, FlowMarks.RemoteSyn, FlowState.RemoteFin, FlowState.HostFin);
            }
        }
        else if (entry.State == FlowState.Reset)
        {
            entry.State = FlowState.Established;   // it was not the end (RFC 7857 §2.2)
        }

        if ((entry.Marks & FlowMarks.ReceiveKnown) == 0)
        {
            // The host has not acknowledged anything yet: the best guess at its RCV.NXT is the end of this segment.
            entry.ReceiveGuessed = true;
            entry.ReceiveNext = sequence + DataLength(segment, length) + ((flags & Syn) != 0 ? 1u : 0u) + ((flags & Fin) != 0 ? 1u : 0u);
        }
    }

    /// <summary>The state in which a flow begins, from its first segment's flags.</summary>
    public static FlowState Begin(byte flags, bool inbound) =>
        (flags & (Syn | Ack | Rst | Fin)) == Syn ? (inbound ? FlowState.OpeningIn : FlowState.OpeningOut) : FlowState.Established;

    private static uint DataLength(ReadOnlySpan<byte> segment, int length)
    {
        int data = length - (segment[12] >> 4 << 2);
        return data > 0 ? (uint)data : 0u;
    }

    private static void Change(ref FlowEntry entry, byte flags, FlowMarks syn, FlowState fin, FlowState otherFin)
    {
        if ((flags & Rst) != 0)
        {
            entry.State = FlowState.Reset;
            return;
        }

        if ((flags & Syn) != 0)
        {
            const FlowMarks both = FlowMarks.HostSyn | FlowMarks.RemoteSyn;
            entry.Marks |= syn;
            if ((entry.Marks & both) == both && entry.State is FlowState.OpeningOut or FlowState.OpeningIn)
            {
                entry.State = FlowState.Established;
            }

            return;
        }

        if (entry.State == otherFin)
        {
            entry.State = FlowState.Closed;
        }
        else if (entry.State is FlowState.Established or FlowState.OpeningIn or FlowState.OpeningOut or FlowState.Reset)
        {
            entry.State = fin;
        }
    }
}
