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
    private bool TryOne<TDirection>(Span<byte> frame, in FrameInfo info, Timestamp now, out Verdict verdict)
        where TDirection : struct, IDirection
    {
        Unsafe.SkipInit(out Glance glance);
        ref byte octets = ref MemoryMarshal.GetReference(frame);
        if (_attached && (TryGlance<TDirection>(ref octets, 0, frame.Length, info.NetworkOffset, new Known(this), ref glance)
            || GlanceAgain<TDirection>(ref octets, 0, frame.Length, info.NetworkOffset, ref glance)))
        {
            int id = _flows.Guess(glance.Hash);
            if (id >= 0 && TryFinish<TDirection>(
                ref octets, ref _flows.Entry(id), glance, info, Ticks.At(now, _origin), new InUse(this)))
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
    // keeps all that it needs in registers. What is done with a frame is compiled for each direction.
    private void GlanceAll(ref byte octets, int length, ReadOnlySpan<FrameSlot> slots)
    {
        if (!TryGlanceAll(ref octets, (uint)length, ref MemoryMarshal.GetReference(slots), slots.Length))
        {
            GlanceAtOthers(ref octets, length, slots);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryGlanceAll(ref byte octets, ulong length, ref FrameSlot slot, int count)
    {
        var known = new Known(this);
        ref Glance glance = ref MemoryMarshal.GetArrayDataReference(_batch);
        ref Glance end = ref Unsafe.Add(ref glance, count);
        bool isComplete = true;
        for (; Unsafe.IsAddressLessThan(ref glance, ref end); slot = ref Unsafe.Add(ref slot, 1))
        {
            if ((ulong)(uint)slot.Offset + (uint)slot.Length > length
                || !(slot.Inbound
                    ? TryGlance<Inward>(ref octets, slot.Offset, slot.Length, slot.Info.NetworkOffset, known, ref glance)
                    : TryGlance<Outward>(ref octets, slot.Offset, slot.Length, slot.Info.NetworkOffset, known, ref glance)))
            {
                glance.Guess = Glance.NotYet;
                isComplete = false;
            }

            glance = ref Unsafe.Add(ref glance, 1);
        }

        return isComplete;
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

                ref Glance glance = ref _batch[i];
                _ = slot.Inbound
                    ? GlanceAgain<Inward>(ref octets, slot.Offset, slot.Length, slot.Info.NetworkOffset, ref glance)
                    : GlanceAgain<Outward>(ref octets, slot.Offset, slot.Length, slot.Info.NetworkOffset, ref glance);
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

    // The first look at a frame: everything about it that does not depend on what other frames do. False: not a common packet, or its
    // address was not met lately, or the remote may be no farther than the link.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryGlance<TDirection>(
        ref byte buffer, int offset, int length, int networkOffset, in Known known, ref Glance glance, bool isFar = false)
        where TDirection : struct, IDirection
    {
        if ((ulong)(uint)networkOffset + CommonHeader.Length > (uint)length)
        {
            return false;
        }

        int at = offset + networkOffset;
        ref byte octets = ref Unsafe.Add(ref buffer, (nint)(uint)at);
        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref octets);
        if (!header.IsCommon || (!isFar && MayBeLinkScope(TDirection.IsInbound ? ref header.Source : ref header.Destination))
            || !known.Addresses.TryFind(TDirection.IsInbound ? ref header.Destination : ref header.Source, TDirection.IsInbound, out int number, out ulong host))
        {
            return false;
        }

        uint ports = TDirection.IsInbound ? BitOperations.RotateLeft(header.Ports, 16) : header.Ports;
        ulong tail = FlowKey.MakeTail(header.Protocol, host, ports);
        uint hash = (uint)(TDirection.IsInbound
            ? known.Hash.Of(header.Source.FirstWord, header.Source.SecondWord, tail)
            : known.Hash.Of(header.Destination.FirstWord, header.Destination.SecondWord, tail));
        known.Index.Prefetch(hash);
        glance.Tail = tail;
        glance.Hash = hash;
        glance.At = at;
        glance.Typed = number;
        glance.Guess = Glance.Common;
        return true;
    }

    // The first look when the address was not met lately, or at a frame that is not common.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool GlanceAgain<TDirection>(ref byte buffer, int offset, int length, int networkOffset, ref Glance glance)
        where TDirection : struct, IDirection
    {
        glance.Guess = Glance.None;
        if ((ulong)(uint)networkOffset + CommonHeader.Length > (uint)length)
        {
            return false;
        }

        ref CommonHeader header = ref Unsafe.As<byte, CommonHeader>(ref Unsafe.Add(ref buffer, offset + networkOffset));
        if (!header.IsCommon || IsLinkScope(TDirection.IsInbound ? header.Source : header.Destination))
        {
            return false;
        }

        AddressName name = _addresses.Find(TDirection.IsInbound ? header.Destination : header.Source);
        return name.IsKnown && name.IsTyped == TDirection.IsInbound && TryGlance<TDirection>(
            ref buffer, offset, length, networkOffset, new Known(this), ref glance, isFar: true);
    }

    // The way that a frame goes, known when the code is compiled.
    private interface IDirection
    {
        static abstract bool IsInbound { get; }
    }

    private readonly struct Outward : IDirection
    {
        public static bool IsInbound => false;
    }

    private readonly struct Inward : IDirection
    {
        public static bool IsInbound => true;
    }

    // What every first look needs, fetched once for many.
    private readonly ref struct Known(DataplaneEngine engine)
    {
        public readonly AddressTable.Recents Addresses = engine._addresses.Lately;
        public readonly ref readonly FlowHash Hash = ref engine._flows.Hasher;
        public readonly FlowIndex.View Index = engine._flows.Index;
    }
}
