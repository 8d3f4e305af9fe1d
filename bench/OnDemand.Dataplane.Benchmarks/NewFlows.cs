using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>Flows that begin: each SYN is of a socket not seen before, so each is decided, selected, bound and opened.</summary>
internal sealed class NewFlows
{
    private readonly byte[] _frames = new byte[FlowLoad.Batch * FlowLoad.FrameLength];
    private readonly FrameSlot[] _slots = GC.AllocateArray<FrameSlot>(FlowLoad.Batch, pinned: true);
    private readonly FrameInfo _info = new(14);
    private readonly int _flows;

    public NewFlows(int flows, AddressType type)
    {
        _flows = flows;
        Engine = FlowLoad.MakeEngine(flows, Math.Max(1, (flows + 65535) >> 16), type);
    }

    public DataplaneEngine Engine { get; }

    /// <summary>Opens them all, 10 microseconds apart and a batch at a time, as they come from a TAP; throws unless each is forwarded.</summary>
    public void Open()
    {
        Send(FlowLoad.WriteSyn);
        if (Engine.FlowCount != _flows)
        {
            throw new InvalidOperationException($"{Engine.FlowCount} of {_flows} flows are there.");
        }
    }

    /// <summary>The second segment of each flow picked up in mid-flow: they are live connections, whose end is told to their programs.</summary>
    public void OpenEstablished() => Send(FlowLoad.WriteAck);

    /// <summary>One more packet of a flow.</summary>
    public Verdict SendAck(int socket, Timestamp now)
    {
        Span<byte> frame = _frames.AsSpan(0, FlowLoad.FrameLength);
        FlowLoad.WriteAck(frame, socket);
        return Engine.HandleOutbound(frame, _info, now);
    }

    private void Send(Writer write)
    {
        for (int first = 0; first < _flows; first += FlowLoad.Batch)
        {
            Span<FrameSlot> slots = _slots.AsSpan(0, Math.Min(FlowLoad.Batch, _flows - first));
            for (int i = 0; i < slots.Length; i++)
            {
                write(_frames.AsSpan(i * FlowLoad.FrameLength, FlowLoad.FrameLength), first + i);
                slots[i] = new FrameSlot { Offset = i * FlowLoad.FrameLength, Length = FlowLoad.FrameLength, Info = _info };
            }

            Engine.HandleBatch(_frames, slots, new Timestamp((first + slots.Length) * 10_000L));
            foreach (ref readonly FrameSlot slot in slots)
            {
                if (slot.Verdict.Kind != VerdictKind.Forward || slot.Verdict.Forward != ForwardReason.Rewritten)
                {
                    throw new InvalidOperationException($"A flow behind {first} was not opened but met {slot.Verdict}.");
                }
            }
        }
    }

    private delegate void Writer(Span<byte> frame, int socket);
}
