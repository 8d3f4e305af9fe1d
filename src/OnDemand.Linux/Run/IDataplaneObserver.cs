using OnDemand.Captures.Scenarios;
using OnDemand.Dataplane;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Wire;
using OnDemand.Linux.State;
using OnDemand.Linux.Tap;

namespace OnDemand.Linux.Run;

/// <summary>What the shell did with a frame after the engine's word.</summary>
internal enum FrameFate : byte
{
    /// <summary>The engine keeps it, answered it or dropped it.</summary>
    NotSent,

    /// <summary>The kernel has it.</summary>
    Sent,

    /// <summary>It would have come straight back.</summary>
    Loop,

    /// <summary>It was for nobody but this link.</summary>
    LinkScope,

    /// <summary>The kernel refused it.</summary>
    WriteFailed,
}

/// <summary>A frame as it came from the TAP.</summary>
/// <param name="Inbound">The direction in which the engine gets it.</param>
/// <param name="Info">What the engine is told of it.</param>
/// <param name="Header">What the kernel said of it.</param>
internal readonly record struct Arrival(bool Inbound, FrameInfo Info, VirtioNetHeader Header);

/// <summary>
/// Watches a run: everything that goes into the engine and comes out of it, in order, on the engine's thread. It must be quick and must
/// not allocate.
/// </summary>
/// <remarks>
/// The same engine run can be made again from what is told here: make an engine with the options and time of <see cref="OnStart"/>, and
/// give it what <see cref="OnRestored"/> has, if that is told; then for each batch hand in its arrivals one by one with the batch's time,
/// and for each other call make the same call with the same time; and after each of these steps take the outputs with that time. A batch
/// is its arrivals, then as many verdicts: <c>OnArrival(0) … OnArrival(n − 1), OnVerdict(0) … OnVerdict(n − 1)</c>, all with the same
/// time.
/// </remarks>
internal interface IDataplaneObserver
{
    /// <summary>The engine was made.</summary>
    /// <param name="options">Its options, seeds and secrets included.</param>
    /// <param name="now">The time it was told.</param>
    void OnStart(DataplaneOptions options, Timestamp now);

    /// <summary>The engine was given what an earlier run left, before anything else.</summary>
    /// <param name="saved">What that run left; <see cref="SavedState.RestoreTo"/> does the same again.</param>
    /// <param name="attachment">The number of the point of attachment.</param>
    /// <param name="now">The time.</param>
    void OnRestored(SavedState saved, ulong attachment, Timestamp now);

    /// <summary>A frame goes into the engine.</summary>
    /// <param name="place">Its place in the batch, counted from 0.</param>
    /// <param name="frame">The frame as it came.</param>
    /// <param name="arrival">What is known of it.</param>
    /// <param name="now">The batch's time.</param>
    void OnArrival(int place, ReadOnlySpan<byte> frame, in Arrival arrival, Timestamp now);

    /// <summary>The engine has spoken.</summary>
    /// <param name="place">The frame's place in the batch.</param>
    /// <param name="frame">The frame as it is now; if it was sent, as it was sent, with the link header it was given.</param>
    /// <param name="verdict">The engine's word.</param>
    /// <param name="fate">What became of it.</param>
    /// <param name="now">The batch's time.</param>
    void OnVerdict(int place, ReadOnlySpan<byte> frame, Verdict verdict, FrameFate fate, Timestamp now);

    /// <summary><see cref="DataplaneEngine.Advance"/> was called.</summary>
    /// <param name="now">With this time.</param>
    void OnAdvance(Timestamp now);

    /// <summary>The engine gave out a frame.</summary>
    /// <param name="info">What it is.</param>
    /// <param name="frame">The frame with its link header.</param>
    /// <param name="fate">What became of it.</param>
    /// <param name="now">The time.</param>
    void OnOutput(in OutputFrame info, ReadOnlySpan<byte> frame, FrameFate fate, Timestamp now);

    /// <summary>Something happened in the engine. What is told during a call comes after it.</summary>
    /// <param name="happened">What.</param>
    void OnEvent(in EngineEvent happened);

    /// <summary>The host moved, or the network gave or took something; its time is <paramref name="now"/>, absolute.</summary>
    /// <param name="happened">What.</param>
    /// <param name="now">The time.</param>
    void OnNetworkEvent(NetworkEvent happened, Timestamp now);

    /// <summary>The network answered a question.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="now">The time.</param>
    void OnAnswer(in PrefixAnswer answer, Timestamp now);

    /// <summary>A program asked for an address.</summary>
    /// <param name="request">The request.</param>
    /// <param name="now">The time.</param>
    void OnRequest(in SetscRequest request, Timestamp now);

    /// <summary>A program closed the socket it had asked for.</summary>
    /// <param name="protocol">The socket's protocol.</param>
    /// <param name="internalAddress">Its internal address, or unspecified.</param>
    /// <param name="localPort">Its port.</param>
    /// <param name="now">The time.</param>
    void OnClose(byte protocol, IpAddress internalAddress, ushort localPort, Timestamp now);

    /// <summary>The kernel said whose a new flow is.</summary>
    /// <param name="answer">The answer.</param>
    /// <param name="now">The time.</param>
    void OnSocket(in SocketAnswer answer, Timestamp now);

    /// <summary>A socket is no more.</summary>
    /// <param name="cookie">Its cookie.</param>
    /// <param name="now">The time.</param>
    void OnSocketEnded(ulong cookie, Timestamp now);

    /// <summary>A program gave up what it had asked for.</summary>
    /// <param name="cookie">Its socket's cookie.</param>
    /// <param name="now">The time.</param>
    void OnReleased(ulong cookie, Timestamp now);

    /// <summary>The kernel said whose a flow is that was there before the run.</summary>
    /// <param name="flow">The flow.</param>
    /// <param name="cookie">Its socket's cookie.</param>
    /// <param name="now">The time.</param>
    void OnSocketNamed(in FlowIdentity flow, ulong cookie, Timestamp now);

    /// <summary>Policy was set anew.</summary>
    /// <param name="policy">The policy; with the same conditions on sockets, the same bits.</param>
    /// <param name="now">The time.</param>
    void OnPolicy(ScenarioPolicy policy, Timestamp now);

    /// <summary>The run is over; nothing follows.</summary>
    /// <param name="now">The time.</param>
    void OnStop(Timestamp now);
}
