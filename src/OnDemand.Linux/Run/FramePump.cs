using System.Runtime.CompilerServices;
using OnDemand.Captures.Recording;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <summary>
/// The packet path between a TAP and the engine: read a batch, say which way each frame goes, let the engine rewrite them in place, and
/// write them back to the same TAP. It never blocks and allocates nothing.
/// </summary>
/// <remarks>
/// Frames lie one behind the other in one buffer. A batch ends at 32 frames or at <see cref="BatchOctets"/>, whichever is first: many small
/// frames share the cost of a turn, while superpackets are written back before they have left the processor's cache. How many frames a turn
/// tries to read follows how many the last one found, so that a lone packet is answered before the kernel is asked for the next.
/// </remarks>
internal sealed class FramePump
{
    /// <summary>Frames in a batch at most.</summary>
    public const int BatchSize = 32;

    /// <summary>Octets of a batch after which no further frame is read; one superpacket may go beyond.</summary>
    public const int BatchOctets = 1 << 16;

    /// <summary>Octets of the largest frame: 64 KiB of IPv6 payload and all headers, in whole cache lines.</summary>
    public const int SlotSize = (VirtioNetHeader.Length + EthernetFrame.HeaderLength + Ipv6HeaderLength + ushort.MaxValue + 63) & ~63;

    private const int CacheLine = 64;
    private const int Ipv6HeaderLength = 40;
    private const byte Icmpv6 = 58;
    private const byte FirstInformational = 128;      // RFC 4443 §2.1: below are the errors
    private const int MakeRoom = VirtioNetHeader.Length + EthernetFrame.HeaderLength;

    private readonly DataplaneEngine _engine;
    private readonly EngineDrive _drive;
    private readonly IFrameDevice _device;
    private readonly RoutedPrefixes _routed;
    private readonly HostClock _clock;
    private readonly IDataplaneObserver? _observer;
    private readonly bool _answersNeighbors;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BatchOctets + SlotSize, pinned: true);
    private readonly byte[] _output;
    private readonly FrameSlot[] _slots = new FrameSlot[BatchSize];
    private int _wanted = 1;

    /// <summary>Makes a pump.</summary>
    /// <param name="engine">The engine; the pump belongs to its thread.</param>
    /// <param name="drive">The way to the engine.</param>
    /// <param name="device">The TAP.</param>
    /// <param name="routed">What the kernel routes into the TAP.</param>
    /// <param name="clock">The clock.</param>
    /// <param name="answersNeighbors">Whether solicitations are answered.</param>
    /// <param name="observer">Watches; null for nobody.</param>
    public FramePump(
        DataplaneEngine engine, EngineDrive drive, IFrameDevice device, RoutedPrefixes routed, HostClock clock, bool answersNeighbors,
        IDataplaneObserver? observer)
    {
        _engine = engine;
        _drive = drive;
        _device = device;
        _routed = routed;
        _clock = clock;
        _answersNeighbors = answersNeighbors;
        _observer = observer;
        _output = GC.AllocateUninitializedArray<byte>(MakeRoom + engine.MaximumOutputLength, pinned: true);
    }

    /// <summary>What the pump counts.</summary>
    public ShellCounters Counters { get; } = new();

    /// <summary>Whether the TAP is gone.</summary>
    public bool IsDeviceGone { get; private set; }

    /// <summary>Reads, handles and writes one batch. The engine's outputs are to be taken after it, with the same time.</summary>
    /// <param name="now">The batch's time.</param>
    /// <returns>Whether the TAP had any frame.</returns>
    public bool Turn(out Timestamp now)
    {
        int read = ReadBatch(out int count);
        now = _clock.Now;
        if (count > 0)
        {
            Handle(count, now);
        }

        return read > 0;
    }

    /// <summary>Takes the engine's next output and writes it.</summary>
    /// <param name="now">The time of the call that led to it.</param>
    /// <returns>Whether there was one.</returns>
    public bool TurnOutput(Timestamp now)
    {
        Span<byte> room = _output.AsSpan(MakeRoom);
        if (!_engine.TryTakeOutput(room, now, out OutputFrame info, out int length))
        {
            return false;
        }

        // A frame that was held brings its Ethernet header, which then stands where an IPv6 packet of the engine's own would begin.
        bool released = info.Kind == OutputKind.Released;
        int at = released ? MakeRoom : MakeRoom - EthernetFrame.HeaderLength;
        Span<byte> whole = _output.AsSpan((at - VirtioNetHeader.Length)..(MakeRoom + length));
        (released ? VirtioNetHeader.FromTag(info.Tag) : default).Write(whole);
        Span<byte> frame = whole[VirtioNetHeader.Length..];
        if (!released)
        {
            frame[12] = 0x86;
            frame[13] = 0xdd;
        }

        int network = released ? info.NetworkOffset : EthernetFrame.HeaderLength;
        FrameFate fate = released && info.Direction == OutputDirection.Network && _routed.Contains(DestinationOf(frame, network))
            ? Loop() : Write(whole);
        _observer?.OnOutput(info, frame, fate, now);
        return true;
    }

    // Returns how many frames the TAP had; those that the engine is to see are in the slots.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int ReadBatch(out int count)
    {
        int read = 0;
        int used = 0;
        count = 0;
        while (read < _wanted && used < BatchOctets)
        {
            int length = _device.Read(_buffer.AsSpan(used, SlotSize));
            if (length <= 0)
            {
                NoFrame(-length);
                break;
            }

            read++;
            Counters.FramesRead++;
            Counters.OctetsRead += length - VirtioNetHeader.Length;
            if (IsForEngine(count, used, length))
            {
                count++;
                used = (used + length + CacheLine - 1) & -CacheLine;
            }
        }

        _wanted = read == _wanted || used >= BatchOctets ? Math.Min(2 * _wanted, BatchSize) : read + 1;
        return read;
    }

    private void NoFrame(int error)
    {
        if (error is Errno.Eagain or Errno.Eintr)
        {
            return;
        }

        Counters.ReadErrors++;
        IsDeviceGone |= error is Errno.Ebadfd or Errno.Ebadf or Errno.Enodev;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsForEngine(int place, int at, int length)
    {
        int offset = at + VirtioNetHeader.Length;
        ReadOnlySpan<byte> frame = _buffer.AsSpan(offset, Math.Max(0, length - VirtioNetHeader.Length));
        if (frame.Length < EthernetFrame.HeaderLength || length == SlotSize)
        {
            Counters.ShortFrames += length == SlotSize ? 0 : 1;
            Counters.TruncatedFrames += length == SlotSize ? 1 : 0;
            return false;
        }

        int network = EthernetFrame.FindIpv6(frame);
        if (network < 0 || frame.Length < network + Ipv6HeaderLength)
        {
            Counters.NotIpv6++;
            return false;
        }

        if (_answersNeighbors && NeighborAnswers.TryAnswer(frame, _device.HardwareAddress, _output.AsSpan(VirtioNetHeader.Length)))
        {
            Counters.NeighborAnswers++;
            _output.AsSpan(0, VirtioNetHeader.Length).Clear();
            _ = Send(_output.AsSpan(0, VirtioNetHeader.Length + NeighborAnswers.Length));
            return false;
        }

        VirtioNetHeader header = VirtioNetHeader.Read(_buffer.AsSpan(at));
        Counters.Superpackets += header.IsSuperpacket ? 1 : 0;
        _slots[place] = new FrameSlot
        {
            Offset = offset,
            Length = frame.Length,
            Inbound = IsInbound(frame, network),
            Info = new FrameInfo(network, header.HasPartialChecksum, header.ToTag()),
        };
        return true;
    }

    // From an address of ours it is outbound. But this host is also the first router on the way: its errors about packets it forwards come
    // from an internal address (it is the TAP's) and are for the typed address that it saw, so they go the way of any router's.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool IsInbound(ReadOnlySpan<byte> frame, int network)
    {
        IpAddress source = IpAddress.Read(frame[(network + 8)..]);
        if (!_engine.IsInternalAddress(source) && !_engine.IsTypedAddress(source))
        {
            return true;
        }

        return frame[network + 6] == Icmpv6 && frame.Length > network + Ipv6HeaderLength
            && frame[network + Ipv6HeaderLength] < FirstInformational
            && _engine.IsTypedAddress(DestinationOf(frame, network));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Handle(int count, Timestamp now)
    {
        Counters.Batches++;
        Span<FrameSlot> slots = _slots.AsSpan(0, count);
        if (_observer is not null)
        {
            ShowArrivals(slots, now);
        }

        _drive.HandleBatch(_buffer, slots, now);
        for (int place = 0; place < slots.Length; place++)
        {
            ref FrameSlot slot = ref slots[place];
            FrameFate fate = slot.Verdict.Kind == VerdictKind.Forward ? Forward(slot) : FrameFate.NotSent;
            _observer?.OnVerdict(place, _buffer.AsSpan(slot.Offset, slot.Length), slot.Verdict, fate, now);
        }
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private FrameFate Forward(in FrameSlot slot)
    {
        Span<byte> whole = _buffer.AsSpan(slot.Offset - VirtioNetHeader.Length, slot.Length + VirtioNetHeader.Length);
        Span<byte> frame = whole[VirtioNetHeader.Length..];
        switch (slot.Verdict.Forward)
        {
            case ForwardReason.Rewritten or ForwardReason.Native when slot.Inbound:
            case ForwardReason.Hairpin:
                return Write(whole);
            case ForwardReason.Rewritten or ForwardReason.Native:
                return _routed.Contains(DestinationOf(frame, slot.Info.NetworkOffset)) ? Loop() : Write(whole);
            default:
                return ForwardUntouched(whole, frame, slot.Info.NetworkOffset);
        }
    }

    private FrameFate ForwardUntouched(Span<byte> whole, ReadOnlySpan<byte> frame, int network)
    {
        IpAddress source = IpAddress.Read(frame[(network + 8)..]);
        IpAddress destination = DestinationOf(frame, network);
        if (IsLinkScope(source) || IsLinkScope(destination))
        {
            Counters.LinkScope++;
            return FrameFate.LinkScope;
        }

        return _routed.Contains(destination) ? Loop() : Write(whole);
    }

    private static bool IsLinkScope(IpAddress address) =>
        address.IsMulticast || address.IsLinkLocal || address.IsUnspecified || address.IsLoopback;

    private FrameFate Loop()
    {
        Counters.Loops++;
        return FrameFate.Loop;
    }

    // The kernel takes only frames that are addressed to the TAP itself; the others are somebody else's (PACKET_OTHERHOST).
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private FrameFate Write(Span<byte> whole)
    {
        MacAddress host = _device.HardwareAddress;
        host.Write(whole[VirtioNetHeader.Length..]);
        host.OtherEnd.Write(whole[(VirtioNetHeader.Length + MacAddress.Length)..]);
        return Send(whole);
    }

    private FrameFate Send(ReadOnlySpan<byte> whole)
    {
        int written = _device.Write(whole);
        if (written < 0)
        {
            return WriteFailed(-written);
        }

        Counters.FramesWritten++;
        Counters.OctetsWritten += whole.Length - VirtioNetHeader.Length;
        return FrameFate.Sent;
    }

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

    private static IpAddress DestinationOf(ReadOnlySpan<byte> frame, int network) => IpAddress.Read(frame[(network + 24)..]);
}
