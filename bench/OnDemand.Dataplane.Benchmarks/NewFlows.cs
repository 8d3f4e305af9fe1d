using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane.Benchmarks;

/// <summary>Flows that begin: each SYN is of a socket not seen before, so each is decided, selected, bound and opened.</summary>
internal sealed class NewFlows
{
    private readonly byte[] _frame = new byte[FlowLoad.FrameLength];
    private readonly FrameInfo _info = new(14);
    private readonly int _flows;

    public NewFlows(int flows, AddressType type)
    {
        _flows = flows;
        Engine = FlowLoad.MakeEngine(flows, Math.Max(1, (flows + 65535) >> 16), type);
    }

    public DataplaneEngine Engine { get; }

    /// <summary>Opens them all, 10 microseconds apart; throws unless each is forwarded.</summary>
    public void Open()
    {
        for (int socket = 0; socket < _flows; socket++)
        {
            FlowLoad.WriteSyn(_frame, socket);
            Send(socket);
        }

        if (Engine.FlowCount != _flows)
        {
            throw new InvalidOperationException($"{Engine.FlowCount} of {_flows} flows are there.");
        }
    }

    /// <summary>The second segment of each flow picked up in mid-flow: they are live connections, whose end is told to their programs.</summary>
    public void OpenEstablished()
    {
        for (int socket = 0; socket < _flows; socket++)
        {
            FlowLoad.WriteAck(_frame, socket);
            Send(socket);
        }
    }

    /// <summary>One more packet of a flow.</summary>
    public Verdict SendAck(int socket, Timestamp now)
    {
        FlowLoad.WriteAck(_frame, socket);
        return Engine.HandleOutbound(_frame, _info, now);
    }

    private void Send(int socket)
    {
        Verdict verdict = Engine.HandleOutbound(_frame, _info, new Timestamp(socket * 10_000L));
        if (verdict.Kind != VerdictKind.Forward || verdict.Forward != ForwardReason.Rewritten)
        {
            throw new InvalidOperationException($"Flow {socket} was not opened but met {verdict}.");
        }
    }
}
