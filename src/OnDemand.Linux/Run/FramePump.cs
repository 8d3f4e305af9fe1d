using System.Runtime.CompilerServices;
using OnDemand.Captures.Recording;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Config;
using OnDemand.Linux.Interop;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <summary>
/// The packet path between a TAP and the engine: read a batch, say which way each frame goes, let the engine rewrite them in place, and
/// write them back to the same TAP. It never blocks and allocates nothing.
/// </summary>
/// <remarks>
/// Frames lie in one buffer. A batch ends at 64 frames or at <see cref="BatchOctets"/>, whichever is first: many small frames share the
/// cost of a turn, while superpackets are written back before they have left the processor's cache. How many frames a turn tries to read
/// follows how many the last one found, so that a lone packet is answered before the kernel is asked for the next. Many short frames are
/// read with one system call, if the device can, each to a place of its own; others one behind the other.
/// <para>
/// What of a batch goes out is written when the whole batch has been handled, put together where it can be (<see cref="SegmentJoiner"/>);
/// frames of one flow and direction stay in order.
/// </para>
/// </remarks>
internal sealed class FramePump
{
    /// <summary>Frames in a batch at most.</summary>
    public const int BatchSize = 64;

    /// <summary>Octets of a batch after which no further frame is read one by one; one superpacket may go beyond.</summary>
    public const int BatchOctets = 1 << 16;

    /// <summary>Octets of the largest frame: 64 KiB of IPv6 payload and all headers, in whole cache lines.</summary>
    public const int SlotSize = (VirtioNetHeader.Length + EthernetFrame.HeaderLength + Ipv6HeaderLength + ushort.MaxValue + 63) & ~63;

    private const int CacheLine = 64;
    private const int Ipv6HeaderLength = 40;
    private const byte Icmpv6 = 58;
    private const byte FirstInformational = 128;      // RFC 4443 §2.1: below are the errors
    private const int FewFrames = 3;                 // as many are read one by one
    private const int ShortFrame = 2048;             // what is longer is not read together with others
    private const int MakeRoom = VirtioNetHeader.Length + EthernetFrame.HeaderLength;

    private readonly DataplaneEngine _engine;
    private readonly EngineDrive _drive;
    private readonly IFrameDevice _device;
    private readonly RoutedPrefixes _routed;
    private readonly HostClock _clock;
    private readonly IDataplaneObserver? _observer;
    private readonly bool _answersNeighbors;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BatchSize * SlotSize, pinned: true);
    private readonly byte[] _output;
    private readonly FrameSlot[] _slots = new FrameSlot[BatchSize];
    private readonly FrameFate[] _fates = new FrameFate[BatchSize];
    private readonly int[] _results = new int[BatchSize];
    private readonly SegmentJoiner _joiner;
    private readonly int _batchSize;
    private int _wanted = 1;
    private bool _hasLong;                           // frames in the last batch

    /// <summary>Makes a pump.</summary>
    /// <param name="engine">The engine; the pump belongs to its thread.</param>
    /// <param name="drive">The way to the engine.</param>
    /// <param name="device">The TAP.</param>
    /// <param name="routed">What the kernel routes into the TAP.</param>
    /// <param name="clock">The clock.</param>
    /// <param name="settings">Whether solicitations are answered, and frames put together.</param>
    /// <param name="observer">Watches; null for nobody.</param>
    public FramePump(
        DataplaneEngine engine, EngineDrive drive, IFrameDevice device, RoutedPrefixes routed, HostClock clock, HostSettings settings,
        IDataplaneObserver? observer)
    {
        _engine = engine;
        _drive = drive;
        _device = device;
        _routed = routed;
        _clock = clock;
        _answersNeighbors = settings.Neighbors == NeighborMode.Answer;
        _observer = observer;
        _batchSize = observer is null ? BatchSize : RecordingFormat.LargestBatch;
        _joiner = new SegmentJoiner(_buffer, _slots)
        {
            JoinsSegments = settings.Coalesce && (device.Offloads & TapOffloads.TcpSegmentation6) != 0,
            JoinsDatagrams = settings.Coalesce && (device.Offloads & TapOffloads.UdpSegmentation6) != 0,
        };
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
        int read = _wanted > FewFrames && !_hasLong && _device.HasRing ? ReadTogether(out int count) : ReadOneByOne(out count);
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
    private int ReadOneByOne(out int count)
    {
        int read = 0;
        int used = 0;
        count = 0;
        _hasLong = false;
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

        _wanted = read == _wanted || used >= BatchOctets ? Math.Min(2 * _wanted, _batchSize) : read + 1;
        return read;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int ReadTogether(out int count)
    {
        Span<int> results = _results.AsSpan(0, _wanted);
        _device.Read(_buffer, SlotSize, results);
        Counters.RingBatches++;
        int read = 0;
        int error = 0;
        count = 0;
        for (int i = 0; i < results.Length; i++)
        {
            int length = results[i];
            if (length <= 0)
            {
                error = -length;
                continue;
            }

            read++;
            Counters.FramesRead++;
            Counters.OctetsRead += length - VirtioNetHeader.Length;
            count += IsForEngine(count, i * SlotSize, length) ? 1 : 0;
        }

        if (read < results.Length)
        {
            NoFrame(error);
        }

        _wanted = read == _wanted ? Math.Min(2 * _wanted, _batchSize) : read + 1;
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
        _hasLong |= length > ShortFrame;
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
        if (count == 1)
        {
            _fates[0] = Decide(slots[0]);
            if (_fates[0] == FrameFate.Sent)
            {
                _fates[0] = Write(WholeOf(slots[0]));
            }
        }
        else
        {
            HandOn(slots);
        }

        for (int place = 0; _observer is not null && place < slots.Length; place++)
        {
            ref readonly FrameSlot slot = ref slots[place];
            _observer.OnVerdict(place, _buffer.AsSpan(slot.Offset, slot.Length), slot.Verdict, _fates[place], now);
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
            FrameFate fate = Decide(slot);
            _fates[place] = fate;
            if (fate == FrameFate.Sent)
            {
                Address(_buffer.AsSpan(slot.Offset, slot.Length), host);
                _joiner.Add(place);
            }
        }

        Span<FrameWrite> writes = _joiner.Finish();
        if (writes.IsEmpty)
        {
            return;
        }

        _device.Write(_joiner.Parts, writes);
        for (int number = 0; number < writes.Length; number++)
        {
            Settle(number, writes[number].Result);
        }
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

    private static IpAddress DestinationOf(ReadOnlySpan<byte> frame, int network) => IpAddress.Read(frame[(network + 24)..]);
}
