using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.Run;
using OnDemand.Linux.State;

namespace OnDemand.Linux.Tests.Run;

/// <summary>Keeps what became of the frames of the last batch.</summary>
internal sealed class FateRecorder : IDataplaneObserver
{
    /// <summary>The frames, as they were shown with their verdicts.</summary>
    public List<(byte[] Frame, FrameFate Fate)> Last { get; } = [];

    public void OnVerdict(int place, ReadOnlySpan<byte> frame, Verdict verdict, FrameFate fate, Timestamp now)
    {
        if (place == 0)
        {
            Last.Clear();
        }

        Last.Add((frame.ToArray(), fate));
    }

    void IDataplaneObserver.OnStart(DataplaneOptions options, Timestamp now)
    {
    }

    void IDataplaneObserver.OnRestored(SavedState saved, ulong attachment, Timestamp now)
    {
    }

    void IDataplaneObserver.OnArrival(int place, ReadOnlySpan<byte> frame, in Arrival arrival, Timestamp now)
    {
    }

    void IDataplaneObserver.OnAdvance(Timestamp now)
    {
    }

    void IDataplaneObserver.OnOutput(in OutputFrame info, ReadOnlySpan<byte> frame, FrameFate fate, Timestamp now)
    {
    }

    void IDataplaneObserver.OnEvent(in EngineEvent happened)
    {
    }

    void IDataplaneObserver.OnNetworkEvent(NetworkEvent happened, Timestamp now)
    {
    }

    void IDataplaneObserver.OnAnswer(in PrefixAnswer answer, Timestamp now)
    {
    }

    void IDataplaneObserver.OnRequest(in SetscRequest request, Timestamp now)
    {
    }

    void IDataplaneObserver.OnClose(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now)
    {
    }

    void IDataplaneObserver.OnSocket(in SocketAnswer answer, Timestamp now)
    {
    }

    void IDataplaneObserver.OnSocketEnded(ulong cookie, Timestamp now)
    {
    }

    void IDataplaneObserver.OnReleased(ulong cookie, Timestamp now)
    {
    }

    void IDataplaneObserver.OnSocketNamed(in FlowIdentity flow, ulong cookie, Timestamp now)
    {
    }

    void IDataplaneObserver.OnPolicy(ScenarioPolicy policy, Timestamp now)
    {
    }

    void IDataplaneObserver.OnStop(Timestamp now)
    {
    }
}
