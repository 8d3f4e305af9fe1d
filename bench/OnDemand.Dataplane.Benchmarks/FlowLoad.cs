using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>
/// An engine with established TCP flows, and the generator of their packets: frames of 54 + 20 octets, made from a template in a ring of
/// 32 that stays in the cache (as after a read), for flows picked at random, so that only the tables miss the cache.
/// </summary>
internal sealed class FlowLoad
{
    public const int Batch = 32;
    public const int FrameLength = 74;

    private const int SlotLength = 128;
    private const int Network = 14;
    private const int Source = Network + 8;
    private const int Destination = Network + 24;
    private const int Upper = Network + 40;
    private const byte Established = 0x10;   // ACK
    private const byte Beginning = 0x02;     // SYN

    private static readonly FrameInfo Info = new(Network);
    private static readonly IpPrefix Inside = new(IpAddress.Parse("fd00:a::"), 64);
    private static readonly IpAddress Server = IpAddress.Parse("2001:db8:5::1");
    private static readonly IpPrefix Outside = new(IpAddress.Parse("2001:db8:a::"), 64);

    private readonly byte[] _template = new byte[SlotLength];
    private readonly byte[] _ring = GC.AllocateArray<byte>(Batch * SlotLength, pinned: true);
    private readonly FrameSlot[] _slots = GC.AllocateArray<FrameSlot>(Batch, pinned: true);
    private readonly ulong[] _externals;
    private readonly ulong _flows;
    private readonly ulong _hostMask;
    private readonly bool _inbound;
    private ulong _random = 42;
    private long _now;

    /// <summary>Makes the engine, opens every flow, and proves that its packets are forwarded and rewritten.</summary>
    /// <param name="flows">Flows in the table.</param>
    /// <param name="hosts">Internal addresses that they share; a power of two.</param>
    /// <param name="inbound">Whether the packets come from the network.</param>
    public FlowLoad(int flows, int hosts, bool inbound)
    {
        if (!BitOperations.IsPow2(hosts))
        {
            throw new ArgumentOutOfRangeException(nameof(hosts), hosts, "The number of internal addresses must be a power of two.");
        }

        _flows = (ulong)flows;
        _hostMask = (ulong)hosts - 1;
        _externals = new ulong[hosts];
        Engine = MakeEngine(flows, hosts, AddressType.SessionLasting);
        WriteHeaders(_template, Established);
        for (int i = 0; i < Batch; i++)
        {
            _slots[i] = new FrameSlot { Offset = i * SlotLength, Length = FrameLength, Info = Info, Inbound = inbound };
        }

        for (ulong flow = 0; flow < _flows; flow++)
        {
            Open(flow);
        }

        if (Engine.FlowCount != flows)
        {
            throw new InvalidOperationException($"{Engine.FlowCount} of {flows} flows were opened.");
        }

        _inbound = inbound;
        if (inbound)
        {
            Server.Write(_template.AsSpan(Source));
            Outside.Address.Write(_template.AsSpan(Destination));
        }

        ProveRewrite();
    }

    /// <summary>The engine under test.</summary>
    public DataplaneEngine Engine { get; }

    /// <summary>The time that the packets are given.</summary>
    public Timestamp Now => new(_now);

    /// <summary>An engine with one prefix of one type, attached.</summary>
    public static DataplaneEngine MakeEngine(int flows, int hosts, AddressType type)
    {
        var options = new DataplaneOptions
        {
            MaximumFlows = flows,
            MaximumBindings = Math.Min(flows, hosts << 16),
            MaximumInternalAddresses = hosts,
            MaximumTypedAddresses = hosts + 64,
            PickUpMidFlow = true,
            Internal = [Inside],
            Policy = new ServicePolicy([], [], PolicyOutcome.OfType(type)),
        };
        var engine = new DataplaneEngine(options, default);
        engine.Attach(1, [new PrefixAdvertisement(Outside, type)], null, default);
        return engine;
    }

    /// <summary>A SYN of the host on a socket that was not seen before, to one remote server.</summary>
    public static void WriteSyn(Span<byte> frame, int socket)
    {
        WriteHeaders(frame, Beginning);
        BinaryPrimitives.WriteUInt64BigEndian(frame[(Source + 8)..], 2 + ((ulong)socket >> 16));
        BinaryPrimitives.WriteUInt16BigEndian(frame[Upper..], (ushort)socket);
        BinaryPrimitives.WriteUInt16BigEndian(frame[(Upper + 2)..], 443);
    }

    /// <summary>The same socket's next segment: the connection is there.</summary>
    public static void WriteAck(Span<byte> frame, int socket)
    {
        WriteSyn(frame, socket);
        frame[Upper + 13] = Established;
    }

    /// <summary>Starts the same sequence of flows again.</summary>
    public void Rewind() => _random = 42;

    /// <summary>Only makes the packets: what the others cost beside their work.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Generate(int batches)
    {
        for (int i = 0; i < batches; i++)
        {
            BuildBatch();
        }
    }

    /// <summary>Makes packets and hands each to the engine by itself.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Single(int batches)
    {
        for (int i = 0; i < batches; i++)
        {
            BuildBatch();
            for (int slot = 0; slot < Batch; slot++)
            {
                Span<byte> frame = _ring.AsSpan(slot * SlotLength, FrameLength);
                _slots[slot].Verdict = _inbound ? Engine.HandleInbound(frame, Info, Now) : Engine.HandleOutbound(frame, Info, Now);
            }
        }
    }

    /// <summary>Makes packets and hands them to the engine 32 at a time.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Batched(int batches)
    {
        for (int i = 0; i < batches; i++)
        {
            BuildBatch();
            Engine.HandleBatch(_ring, _slots, Now);
        }
    }

    /// <summary>A baseline that knows the same flows.</summary>
    public FlowBaseline MakeBaseline()
    {
        var baseline = new FlowBaseline((int)_flows, _ring.Length);
        for (ulong flow = 0; flow < _flows; flow++)
        {
            Build(0, flow);
            baseline.Add(_ring.AsSpan(0, FrameLength));
        }

        return baseline;
    }

    /// <summary>Makes packets and hands them to the baseline 32 at a time.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Compared(FlowBaseline baseline, int batches)
    {
        for (int i = 0; i < batches; i++)
        {
            BuildBatch();
            baseline.HandleBatch(_ring, SlotLength);
        }
    }

    /// <summary>Throws unless so many packets more than before were rewritten.</summary>
    public void ProveRewritten(long before, long packets)
    {
        long rewritten = Engine.Counters.Of(ForwardReason.Rewritten) - before;
        if (rewritten != packets)
        {
            throw new InvalidOperationException($"{rewritten} of {packets} packets were rewritten.");
        }
    }

    // The clock goes on 100 ns a packet, so that what falls due every second is in the numbers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void BuildBatch()
    {
        _now += Batch * 100;
        for (int slot = 0; slot < Batch; slot++)
        {
            _random = (_random * 6364136223846793005) + 1442695040888963407;
            Build(slot, (_random >> 32) % _flows);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Build(int slot, ulong flow)
    {
        Span<byte> frame = _ring.AsSpan(slot * SlotLength, 80);
        _template.AsSpan(0, 80).CopyTo(frame);
        ulong high = Math.BigMul(flow ^ 0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, out ulong low);
        ulong mixed = high ^ low;
        uint ports = (uint)(mixed >> 17);
        ulong host = (mixed >> 50) & _hostMask;
        if (_inbound)
        {
            BinaryPrimitives.WriteUInt64BigEndian(frame[(Source + 8)..], flow);
            BinaryPrimitives.WriteUInt64BigEndian(frame[(Destination + 8)..], _externals[host]);
            BinaryPrimitives.WriteUInt32BigEndian(frame[Upper..], BitOperations.RotateLeft(ports, 16));
        }
        else
        {
            BinaryPrimitives.WriteUInt64BigEndian(frame[(Source + 8)..], host + 2);
            BinaryPrimitives.WriteUInt64BigEndian(frame[(Destination + 8)..], flow);
            BinaryPrimitives.WriteUInt32BigEndian(frame[Upper..], ports);
        }
    }

    private void Open(ulong flow)
    {
        Build(0, flow);
        Span<byte> frame = _ring.AsSpan(0, FrameLength);
        int host = (int)(BinaryPrimitives.ReadUInt64BigEndian(frame[(Source + 8)..]) - 2);
        Verdict verdict = Engine.HandleOutbound(frame, Info, Now);
        if (verdict.Kind != VerdictKind.Forward || verdict.Forward != ForwardReason.Rewritten)
        {
            throw new InvalidOperationException($"Flow {flow} was not opened but met {verdict}.");
        }

        _externals[host] = BinaryPrimitives.ReadUInt64BigEndian(frame[(Source + 8)..]);
    }

    private static void WriteHeaders(Span<byte> frame, byte flags)
    {
        frame[..FrameLength].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], 0x86dd);
        frame[Network] = 0x60;
        frame[Network + 5] = 20;
        frame[Network + 6] = IpProtocol.Tcp;
        frame[Network + 7] = 64;
        Inside.Address.Write(frame[Source..]);
        Server.Write(frame[Destination..]);
        BinaryPrimitives.WriteUInt32BigEndian(frame[(Upper + 4)..], 1000);
        BinaryPrimitives.WriteUInt32BigEndian(frame[(Upper + 8)..], flags == Beginning ? 0u : 2000u);
        frame[Upper + 12] = 5 << 4;
        frame[Upper + 13] = flags;
    }

    // One packet with a right checksum: the address must change to one of ours, and the checksum must be right again.
    private void ProveRewrite()
    {
        for (int round = 0; round < 2; round++)
        {
            Rewind();
            BuildBatch();
            Span<byte> frame = _ring.AsSpan(0, FrameLength);
            BinaryPrimitives.WriteUInt16BigEndian(frame[(Upper + 16)..], (ushort)~SegmentSum(frame));
            IpAddress source = IpAddress.Read(frame[Source..]);
            IpAddress destination = IpAddress.Read(frame[Destination..]);
            Verdict verdict;
            if (round == 0)
            {
                verdict = _inbound ? Engine.HandleInbound(frame, Info, Now) : Engine.HandleOutbound(frame, Info, Now);
            }
            else
            {
                Engine.HandleBatch(_ring, _slots, Now);
                verdict = _slots[0].Verdict;
            }

            IpAddress newSource = IpAddress.Read(frame[Source..]);
            IpAddress newDestination = IpAddress.Read(frame[Destination..]);
            bool rewritten = _inbound
                ? newSource == source && Outside.Contains(destination) && Inside.Contains(newDestination)
                : newDestination == destination && Inside.Contains(source) && Outside.Contains(newSource);
            if (verdict.Kind != VerdictKind.Forward || !rewritten || SegmentSum(frame) != ushort.MaxValue)
            {
                throw new InvalidOperationException($"The benchmark's packets are not rewritten as they must be: {verdict}.");
            }
        }

        Rewind();
    }

    private static ushort SegmentSum(ReadOnlySpan<byte> frame) => InternetChecksum.Fold(
        (ulong)InternetChecksum.Sum(frame[Source..Upper]) + IpProtocol.Tcp + 20 + InternetChecksum.Sum(frame[Upper..FrameLength]));
}
