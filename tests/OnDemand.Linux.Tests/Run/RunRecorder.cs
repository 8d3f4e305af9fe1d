using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Run;
using OnDemand.Linux.State;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Keeps what an observer is told, and makes the run again with another engine: frames are handed in one by one.</summary>
internal sealed class RunRecorder : IDataplaneObserver
{
    private readonly List<Action<DataplaneEngine, List<byte[]>>> _calls = [];
    private readonly HashSet<int> _sent = [];
    private DataplaneOptions? _options;
    private Timestamp _start;
    private int _frames;

    public List<EngineEvent> Events { get; } = [];

    public List<byte[]> Replay()
    {
        var engine = new DataplaneEngine(_options!, _start);
        List<byte[]> outputs = [];
        foreach (Action<DataplaneEngine, List<byte[]>> call in _calls)
        {
            call(engine, outputs);
        }

        return outputs;
    }

    public void OnStart(DataplaneOptions options, Timestamp now)
    {
        _options = options;
        _start = now;
    }

    public void OnRestored(SavedState saved, ulong attachment, Timestamp now) =>
        Step(engine => saved.RestoreTo(engine, attachment, now), now);

    public void OnArrival(int place, ReadOnlySpan<byte> frame, in Arrival arrival, Timestamp now)
    {
        byte[] kept = frame.ToArray();
        Arrival how = arrival;
        int number = _frames + place;
        _calls.Add((engine, outputs) =>
        {
            byte[] copy = [.. kept];
            Verdict verdict = how.Inbound ? engine.HandleInbound(copy, how.Info, now) : engine.HandleOutbound(copy, how.Info, now);
            if (verdict.Kind == VerdictKind.Forward && _sent.Contains(number))
            {
                outputs.Add(copy[how.Info.NetworkOffset..]);
            }
        });
    }

    public void OnVerdict(int place, ReadOnlySpan<byte> frame, Verdict verdict, FrameFate fate, Timestamp now)
    {
        if (fate == FrameFate.Sent)
        {
            _sent.Add(_frames);
        }

        _frames++;
        TakeOutputs(now);
    }

    public void OnAdvance(Timestamp now) => Step(engine => engine.Advance(now), now);

    public void OnOutput(in OutputFrame info, ReadOnlySpan<byte> frame, FrameFate fate, Timestamp now)
    {
        // The engine will give it out again.
    }

    public void OnEvent(in EngineEvent happened) => Events.Add(happened);

    public void OnNetworkEvent(NetworkEvent happened, Timestamp now) => Step(
        engine =>
        {
            switch (happened)
            {
                case AttachEvent attach:
                    engine.Attach(0, [.. attach.Prefixes], attach.Window, now);
                    break;
                case WithdrawEvent withdraw:
                    engine.Withdraw(withdraw.Prefix, withdraw.Window ?? Duration.Zero, now);
                    break;
                default:
                    engine.Detach(now);
                    break;
            }
        },
        now);

    public void OnAnswer(in PrefixAnswer answer, Timestamp now)
    {
        PrefixAnswer kept = answer;
        Step(engine => engine.Answer(kept, now), now);
    }

    public void OnRequest(in SetscRequest request, Timestamp now)
    {
        SetscRequest kept = request;
        Step(engine => engine.Handle(kept, now), now);
    }

    public void OnClose(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now) =>
        Step(engine => engine.CloseSocket(protocol, internalAddress, localPort, now), now);

    public void OnSocket(in SocketAnswer answer, Timestamp now)
    {
        SocketAnswer kept = answer;
        Step(engine => engine.Answer(kept, now), now);
    }

    public void OnSocketEnded(ulong cookie, Timestamp now) => Step(engine => engine.EndSocket(cookie, now), now);

    public void OnReleased(ulong cookie, Timestamp now) => Step(engine => engine.ReleaseRequest(cookie, now), now);

    public void OnSocketNamed(in FlowIdentity flow, ulong cookie, Timestamp now)
    {
        FlowIdentity kept = flow;
        Step(engine => engine.NameSocket(kept, cookie), now);
    }

    public void OnPolicy(ScenarioPolicy policy, Timestamp now) => Step(engine => engine.SetPolicy(policy.Build()), now);

    public void OnStop(Timestamp now)
    {
        // Nothing follows.
    }

    private void Step(Action<DataplaneEngine> call, Timestamp now)
    {
        _calls.Add((engine, _) => call(engine));
        TakeOutputs(now);
    }

    private void TakeOutputs(Timestamp now) => _calls.Add((engine, outputs) =>
    {
        byte[] room = new byte[engine.MaximumOutputLength];
        while (engine.TryTakeOutput(room, now, out OutputFrame info, out int length))
        {
            outputs.Add(room[info.NetworkOffset..length]);
        }
    });
}
