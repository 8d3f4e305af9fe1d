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
internal sealed partial class FramePump
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
    private readonly IEngineTurns? _turns;
    private readonly bool _answersNeighbors;
    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(BatchSize * SlotSize, pinned: true);
    private readonly byte[] _output;
    private readonly FrameSlot[] _slots = GC.AllocateArray<FrameSlot>(BatchSize, pinned: true);   // near the buffer: see Memory.AllocateHot
    private readonly FrameFate[] _fates = new FrameFate[BatchSize];
    private readonly int[] _results = new int[BatchSize];
    private readonly SegmentJoiner _joiner;
    private readonly int _batchSize;
    private int _wanted = 1;
    private bool _hasLong;                           // frames in the last batch
    private bool _takesSegments;                     // the kernel has taken joined ones
    private bool _takesDatagrams;
    private bool _readsTogether = true;              // until the kernel says that it cannot; of a TAP it can since 6.4

    /// <summary>Makes a pump.</summary>
    /// <param name="engine">The engine; the pump belongs to its thread, unless there are <paramref name="turns"/>.</param>
    /// <param name="drive">The way to the engine.</param>
    /// <param name="device">The TAP.</param>
    /// <param name="routed">What the kernel routes into the TAP.</param>
    /// <param name="clock">The clock.</param>
    /// <param name="settings">Whether solicitations are answered, and frames put together.</param>
    /// <param name="observer">Watches; null for nobody.</param>
    /// <param name="turns">Where queues wait for the engine that they share; null if there is one queue.</param>
    public FramePump(
        DataplaneEngine engine, EngineDrive drive, IFrameDevice device, RoutedPrefixes routed, HostClock clock, HostSettings settings,
        IDataplaneObserver? observer, IEngineTurns? turns = null)
    {
        _engine = engine;
        _drive = drive;
        _device = device;
        _routed = routed;
        _clock = clock;
        _answersNeighbors = settings.Neighbors == NeighborMode.Answer;
        _observer = observer;
        _turns = turns;
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

    /// <summary>
    /// Reads, handles and writes one batch. The engine's outputs are to be taken after it, with the same time; where queues share the engine
    /// that is done already.
    /// </summary>
    /// <param name="now">The batch's time.</param>
    /// <returns>Whether the TAP had any frame.</returns>
    public bool Turn(out Timestamp now)
    {
        int read = _wanted > FewFrames && !_hasLong && _readsTogether && _device.HasRing ? ReadTogether(out int count) : ReadOneByOne(out count);
        now = _clock.Now;
        if (count > 0)
        {
            if (_turns is null)
            {
                Handle(count, now);
            }
            else
            {
                now = HandleInTurn(_turns, count);
            }
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
        if (results[0] == -Errno.Eopnotsupp)
        {
            _readsTogether = false;
            return ReadOneByOne(out count);
        }

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
            Inbound = _turns is null && IsInbound(frame, network),
            Info = new FrameInfo(network, HasPartialChecksum(header, frame, network), header.ToTag()),
        };
        return true;
    }

    // What is left to the device may be the sum of a packet inside this one (VXLAN): then this one's is finished.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool HasPartialChecksum(in VirtioNetHeader header, ReadOnlySpan<byte> frame, int network) =>
        header.HasPartialChecksum
        && (header.ChecksumStart == network + Ipv6HeaderLength || header.ChecksumStart + header.ChecksumOffset == FindChecksum(frame, network));

    private static int FindChecksum(ReadOnlySpan<byte> frame, int network)
    {
        FrameParser.Parse(frame, network, out FrameLayout layout);
        return layout.ChecksumOffset;
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

    private static IpAddress DestinationOf(ReadOnlySpan<byte> frame, int network) => IpAddress.Read(frame[(network + 24)..]);
}
