using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>
/// The packet-path source address selector: frames, requests, moves and time in; verdicts, frames, questions and events out. It reads no
/// clock, does no I/O, takes no lock and allocates nothing after its construction. One engine belongs to one thread at a time. The same
/// calls with the same options give the same results, octet for octet.
/// </summary>
/// <remarks>
/// After every call drain the outputs (<see cref="TryTakeOutput"/>), questions, replies and events; then wait until the next input or
/// <see cref="NextDeadline"/>, and call <see cref="Advance"/> then. A frame's walk:
/// <code>
/// Prepare          parse once; whose address is it; key and hash of its flow
/// Outbound/Inbound what passes untouched leaves first; errors and fragments go their own ways
///   flow there     idle? stranded? address still valid?  -> rewrite, follow TCP, count
///   flow missing   decide the type -> binding -> select the address -> open, or hold, or refuse
/// </code>
/// </remarks>
public sealed partial class DataplaneEngine
{
    private const int BatchSize = 32;

    private readonly DataplaneOptions _options;
    private readonly Timestamp _origin;
    private readonly FlowTable _flows;
    private readonly TimerWheel _wheel;
    private readonly BindingTable _bindings;
    private readonly AddressTable _addresses;
    private readonly PrefixTable _prefixes;
    private readonly FragmentTable _fragments;
    private readonly HoldBuffer _hold;
    private readonly Glance[] _batch = Memory.AllocateHot<Glance>(BatchSize);
    private readonly uint[] _idle = new uint[16];
    private uint _shortestIdle;         // of UDP flows and of connections
    private Timestamp _nextDeadline;

    /// <summary>Makes an engine and takes all its memory.</summary>
    /// <param name="options">Sizes, seeds, times, switches, internal addresses and policy.</param>
    /// <param name="now">The time; idle times are counted from here.</param>
    /// <exception cref="ArgumentException">An option is out of range; the message names it.</exception>
    public DataplaneEngine(DataplaneOptions options, Timestamp now)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
        _origin = now;
        var hash = new FlowHash(options.HashSeed);
        _flows = new FlowTable(options.MaximumFlows, hash);
        _wheel = new TimerWheel(_flows);
        _bindings = new BindingTable(options.MaximumBindings, hash);
        _addresses = new AddressTable(options.MaximumInternalAddresses, options.MaximumTypedAddresses, hash);
        _prefixes = new PrefixTable(options.MaximumPrefixes);
        _fragments = new FragmentTable(options.MaximumFragmentedDatagrams, hash);
        _hold = new HoldBuffer(options.MaximumHeldFrames, options.MaximumHeldOctets);
        Counters = new Counters(_addresses);
        _selection = new SourceAddressSelection(options.PolicyTable, options.Profile);
        _candidates = new SourceCandidate[options.MaximumPrefixes];
        _candidateAddresses = new int[options.MaximumPrefixes];
        _requests = new SocketRequest[(2 * options.MaximumSocketRequests) + SpareRequests];
        _requestIndex = new ChainIndex(options.MaximumSocketRequests, _requests.Length);
        _requestHash = hash;
        _questions = new Question[options.MaximumNetworkRequests];
        _prefixRequests = new Ring<PrefixRequest>(options.MaximumNetworkRequests);
        _setscReplies = new Ring<SetscReply>(options.MaximumSocketRequests);
        _events = options.MaximumEvents == 0 ? null : new Ring<EngineEvent>(options.MaximumEvents);
        _replies = new ReplyQueue(options.MaximumReplies);
        if (options.AskSockets)
        {
            _pendingSockets = new PendingFlows<SocketAnswer>(options.MaximumSocketQuestions);
            _socketQuestions = new Ring<SocketQuestion>(options.MaximumSocketQuestions);
            _sockets = new SocketTable(options.MaximumBindings, options.MaximumFlows, hash);
        }

        _errorBudget = options.IcmpErrorsPerSecond;
        _errorBudgetAt = now;
        SetIdleTimes();
        SetSecrets();
        SetPolicy(options.Policy);
        AddInternalAddresses();
        _nextDeadline = Timestamp.Never;
    }

    /// <summary>What was counted.</summary>
    public Counters Counters { get; }

    /// <summary>Flows in the table.</summary>
    public int FlowCount => _flows.Count;

    /// <summary>Handles a frame that the host sends.</summary>
    /// <param name="frame">The frame; rewritten in place.</param>
    /// <param name="info">What is known of it.</param>
    /// <param name="now">The time, never earlier than in the call before.</param>
    /// <returns>What becomes of it.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public Verdict HandleOutbound(Span<byte> frame, in FrameInfo info, Timestamp now)
    {
        BeginCall(now);
        return TryOne<Outward>(frame, info, now, out Verdict verdict) ? verdict : Count(PrepareOutbound(frame, info, now));
    }

    /// <summary>Handles a frame that comes from the network.</summary>
    /// <param name="frame">The frame; rewritten in place.</param>
    /// <param name="info">What is known of it.</param>
    /// <param name="now">The time, never earlier than in the call before.</param>
    /// <returns>What becomes of it.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public Verdict HandleInbound(Span<byte> frame, in FrameInfo info, Timestamp now)
    {
        BeginCall(now);
        return TryOne<Inward>(frame, info, now, out Verdict verdict) ? verdict : Count(PrepareInbound(frame, info, now));
    }

    /// <summary>
    /// Handles many frames, as if one by one; look-ups of several frames overlap, so that a table larger than the caches costs less.
    /// </summary>
    /// <param name="buffer">The octets of all frames; rewritten in place.</param>
    /// <param name="slots">Where each frame lies; their verdicts are filled in.</param>
    /// <param name="now">The time, never earlier than in the call before.</param>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void HandleBatch(Span<byte> buffer, Span<FrameSlot> slots, Timestamp now)
    {
        BeginCall(now);
        _captured = 0;
        uint tick = Ticks.At(now, _origin);
        while (!slots.IsEmpty)
        {
            Span<FrameSlot> some = slots[..Math.Min(slots.Length, BatchSize)];
            Span<Glance> glances = _batch.AsSpan(0, some.Length);
            uint generation = _addresses.Generation;
            GlanceAll(ref MemoryMarshal.GetReference(buffer), buffer.Length, some);
            if (!_flows.Guess(glances))
            {
                LookForSockets(glances);
            }

            for (int next = 0; next < some.Length; next++)
            {
                bool sure = _attached && generation == _addresses.Generation;   // else the numbers of addresses may mean others now
                next = sure ? FinishSome(ref MemoryMarshal.GetReference(buffer), some, next, tick) : next;
                if (next < some.Length)
                {
                    ref FrameSlot slot = ref some[next];
                    Span<byte> frame = buffer.Slice(slot.Offset, slot.Length);
                    slot.Verdict = Count(slot.Inbound ? PrepareInbound(frame, slot.Info, now) : PrepareOutbound(frame, slot.Info, now));
                }
            }

            slots = slots[some.Length..];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void BeginCall(Timestamp now)
    {
        if (now >= _nextDeadline)
        {
            RunDeadlines(now);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Verdict PrepareOutbound(Span<byte> frame, in FrameInfo info, Timestamp now)
    {
        Prepare(frame, info, inbound: false, out Prepared prepared);
        return Outbound(frame, ref prepared, info, now);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Verdict PrepareInbound(Span<byte> frame, in FrameInfo info, Timestamp now)
    {
        Prepare(frame, info, inbound: true, out Prepared prepared);
        return Inbound(frame, ref prepared, info, now);
    }

    // Everything about a frame that does not depend on what other frames do.
    private void Prepare(Span<byte> frame, in FrameInfo info, bool inbound, out Prepared prepared)
    {
        prepared = default;
        FrameParser.Parse(frame, info.NetworkOffset, out prepared.Layout);
        if (prepared.Layout.Shape == FrameShape.NotIpv6)
        {
            return;
        }

        ReadOnlySpan<byte> addresses = frame.Slice(info.NetworkOffset + 8, 2 * IpAddress.Length);
        prepared.Source = IpAddress.Read(addresses);
        prepared.Destination = IpAddress.Read(addresses[IpAddress.Length..]);
        prepared.Name = _addresses.Find(inbound ? prepared.Destination : prepared.Source);
        if (prepared.Layout.Shape is not (FrameShape.Transport or FrameShape.OpaqueTransport) || !prepared.Name.IsKnown)
        {
            return;
        }

        if (inbound)
        {
            if (prepared.Name.IsTyped)
            {
                int host = _addresses.Typed(prepared.Name.Number).Host;
                prepared.Key = new FlowKey(
                    prepared.Source, prepared.Layout.Protocol, host, prepared.Layout.DestinationPort, prepared.Layout.SourcePort);
                prepared.Hash = _flows.Hash(prepared.Key);
            }

            return;
        }

        IpAddress remote = prepared.Layout.Has(FrameMarks.SegmentsLeft)
            ? IpAddress.Read(frame[prepared.Layout.FinalDestinationOffset..]) : prepared.Destination;
        prepared.Key = new FlowKey(
            remote, prepared.Layout.Protocol, HostOf(prepared.Name), prepared.Layout.SourcePort, prepared.Layout.DestinationPort);
        prepared.Hash = _flows.Hash(prepared.Key);
    }

    private static int HostOf(AddressName name) => name.IsTyped ? FlowKey.NativeHost | name.Number : name.Number;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Verdict Count(Verdict verdict)
    {
        if (verdict.Kind == VerdictKind.Forward)
        {
            Counters.Forwards[(int)verdict.Forward]++;
        }
        else
        {
            CountOther(verdict);
        }

        return verdict;
    }

    private void CountOther(Verdict verdict)
    {
        Counters.Verdicts[(int)verdict.Kind]++;
        if (verdict.Kind != VerdictKind.Hold)
        {
            Counters.Drops[(int)verdict.Drop]++;
        }
    }

    // One frame on its way through the engine.
    private struct Prepared
    {
        public FrameLayout Layout;
        public IpAddress Source;
        public IpAddress Destination;
        public AddressName Name;     // of the source outbound, of the destination inbound
        public FlowKey Key;
        public uint Hash;
    }
}
