using OnDemand.Dataplane.Control;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Tests.Support;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>
/// A naive twin of the engine: dictionaries and lists, every sum from nothing, no thought of speed. Written from RFC 8653, the RFCs that
/// the
/// design names and the engine's contract, sharing with the engine only the types of its surface. Typed addresses are random, so the model
/// takes over the one that the engine shows first, checks that it lies in the right prefix and was never another's, and holds the engine
/// to it.
/// </summary>
internal sealed partial class ReferenceDataplane
{
    private readonly DataplaneOptions _options;
    private readonly List<ModelPrefix> _prefixes = [];
    private readonly List<ModelAddress> _addresses = [];
    private readonly Dictionary<ModelBindingKey, ModelBinding> _bindings = [];
    private readonly Dictionary<ModelFlowKey, ModelFlow> _flows = [];
    private readonly List<ModelRequest> _requests = [];
    private readonly List<ModelQuestion> _questions = [];
    private readonly List<ModelHeldFrame> _held = [];
    private readonly Dictionary<(bool Inbound, IpAddress Source, IpAddress Destination, uint Identification),
        ModelDatagram> _datagrams = [];
    private readonly HashSet<IpAddress> _internals = [];
    private readonly Dictionary<AddressType, Timestamp> _refusedUntil = [];
    private readonly HashSet<AddressType> _unsupported = [];
    private readonly Dictionary<ulong, ModelPrefix> _grantedTo = [];   // to the flows of a request alone, also after it was closed
    private ServicePolicy _policy;
    private int _attachment;
    private bool _attached;

    public ReferenceDataplane(DataplaneOptions options)
    {
        _options = options;
        _policy = options.Policy;
        foreach (IpPrefix prefix in options.Internal.Where(prefix => prefix.IsSingleAddress))
        {
            _internals.Add(prefix.Address);
        }
    }

    public List<ModelOutput> Outputs { get; } = [];

    public List<SetscReply> Replies { get; } = [];

    public List<PrefixRequest> Questions { get; } = [];

    /// <summary>What the engine showed in this step: frames released by tag, addresses granted by token.</summary>
    public Dictionary<long, byte[]> ShownFrames { get; } = [];

    public Dictionary<ulong, IpAddress> ShownGrants { get; } = [];

    public int FlowCount => _flows.Count;

    public IReadOnlyCollection<ModelFlow> Flows => _flows.Values;

    public IReadOnlyList<ModelAddress> Addresses => _addresses;

    public IReadOnlyList<ModelPrefix> Prefixes => _prefixes;

    public IReadOnlyList<ModelQuestion> OpenQuestions => _questions;

    public IReadOnlyList<ModelRequest> Requests => _requests;

    private bool IsBindingTableFull => _bindings.Count >= _options.MaximumBindings;

    /// <summary>Whether a flow's remote has become one of our own addresses since time was last advanced.</summary>
    public bool HasNewHairpin => _flows.Values.Any(flow => !flow.IsHairpin && IsUsable(flow.Key.Remote));

    public int HeldCount => _held.Count;

    public bool IsAttached => _attached;

    public bool IsInternal(IpAddress address) => _options.Internal.Any(prefix => prefix.Contains(address));

    public bool IsUsable(IpAddress address) => Known(address) is { IsUsable: true };

    public void SetPolicy(ServicePolicy policy) => _policy = policy;

    public ModelVerdict Handle(byte[] frame, FrameInfo info, bool inbound, byte[]? shown, Timestamp now)
    {
        Elapse(now);
        ModelVerdict verdict = inbound ? Inbound(frame, info, now) : Outbound(frame, info, shown, now);
        FlushResolved(now);
        Settle(now);
        return verdict;
    }

    /// <summary>Lets time pass, and strands what it has stranded.</summary>
    public void Advance(Timestamp now)
    {
        Elapse(now);
        foreach (ModelFlow flow in _flows.Values.Where(flow => flow.IsConnected && !flow.Address.IsUsable).ToList())
        {
            flow.State = FlowState.Stranded;
            flow.LastSeen = now;
            if ((flow.HostAcknowledged ?? flow.RemoteEnd) is uint next)
            {
                Outputs.Add(Reset(flow.Key, flow.IsNative ? flow.Address : null, next, flow.HostEnd ?? 0, 0) with { Unordered = true });
            }
        }

        foreach (ModelFlow flow in _flows.Values)
        {
            flow.IsHairpin = IsUsable(flow.Key.Remote);
        }

        Settle(now);
    }

    /// <summary>The times at which something changes by itself; soft ones are known to the engine only to within its granularity.</summary>
    public IEnumerable<(Timestamp Time, bool Soft)> Deadlines()
    {
        foreach (ModelPrefix prefix in _prefixes.Where(prefix => prefix.IsUsable))
        {
            yield return (prefix.ValidUntil, false);
            yield return (prefix.State == PrefixState.Preferred ? prefix.PreferredUntil : Timestamp.Never, false);
            yield return (prefix.State == PrefixState.Closing ? prefix.ClosesAt : Timestamp.Never, false);
            if (IsUnused(prefix))   // also one that is given, and may be so no longer at just that time
            {
                yield return (prefix.UnusedSince.Add(_options.Linger), true);
            }
        }

        foreach (ModelQuestion question in _questions)
        {
            yield return (question.Deadline, false);
        }

        foreach (ModelDatagram datagram in _datagrams.Values)
        {
            yield return (datagram.Deadline, true);
        }

        foreach (ModelFlow flow in _flows.Values)
        {
            yield return (flow.LastSeen.Add(IdleTimeOf(flow)), true);
        }

        foreach (Timestamp until in _refusedUntil.Values)
        {
            yield return (until, true);
        }
    }

    private Duration IdleTimeOf(ModelFlow flow) => flow.State switch
    {
        FlowState.OpeningOut or FlowState.OpeningIn => _options.TcpOpeningTimeout,
        FlowState.Established or FlowState.HostFin or FlowState.RemoteFin => _options.TcpEstablishedTimeout,
        FlowState.Closed or FlowState.Reset or FlowState.Stranded => _options.TcpClosingTimeout,
        _ => flow.Key.Protocol switch
        {
            IpProtocol.Udp or IpProtocol.UdpLite => _options.UdpTimeout,
            IpProtocol.Icmpv6 => _options.IcmpTimeout,
            _ => _options.OtherTimeout,
        },
    };

    // All that changes by time does so before anything else.
    private void Elapse(Timestamp now)
    {
        foreach (ModelFlow flow in _flows.Values.Where(flow => flow.LastSeen.Add(IdleTimeOf(flow)) <= now)
            .OrderBy(flow => flow.LastSeen.Add(IdleTimeOf(flow)).Nanoseconds).ToList())
        {
            Remove(flow);
            Settle(flow.LastSeen.Add(IdleTimeOf(flow)));   // it went when its idle time was over, not when it was found
        }

        ElapsePrefixes(now);
        foreach (KeyValuePair<(bool, IpAddress, IpAddress, uint), ModelDatagram> datagram in _datagrams.Where(entry =>
            entry.Value.Deadline <= now).ToList())
        {
            ExpireDatagram(datagram.Key, datagram.Value, now);
        }

        List<ModelQuestion> silent = [.. _questions.Where(question => question.Deadline <= now)];
        if (silent.Count > 0)
        {
            Refuse(silent, unsupported: false, now);
        }
    }

    private void ElapsePrefixes(Timestamp now)
    {
        foreach (ModelPrefix prefix in _prefixes)
        {
            if (prefix.IsUsable && (prefix.ValidUntil <= now || (prefix.State == PrefixState.Closing && prefix.ClosesAt <= now)))
            {
                prefix.State = PrefixState.Ended;
            }
            else if (prefix.State == PrefixState.Preferred && prefix.PreferredUntil <= now)
            {
                prefix.State = PrefixState.Deprecated;
            }

            if (IsReleasable(prefix) && prefix.UnusedSince.Add(_options.Linger) <= now)
            {
                prefix.State = PrefixState.Ended;
            }
        }
    }

    // A prefix without users remembers since when.
    private void Settle(Timestamp now)
    {
        foreach (ModelPrefix prefix in _prefixes)
        {
            bool used = _flows.Values.Any(flow => flow.IsLive && flow.Address.Prefix == prefix)
                || _requests.Any(request => request.Binding?.Address.Prefix == prefix);
            if (prefix.WasUsed && !used)
            {
                prefix.UnusedSince = now;
            }

            prefix.WasUsed = used;
        }
    }

    private static bool IsUnused(ModelPrefix prefix) =>
        prefix.Type == AddressType.SessionLasting && prefix.IsForNewSockets && !prefix.WasUsed;

    private bool IsReleasable(ModelPrefix prefix) => IsUnused(prefix)
        && !(_attached && prefix.Attachment == _attachment && !prefix.OnDemand);

    private void Remove(ModelFlow flow)
    {
        _flows.Remove(flow.Key);
        Unbind(flow);
    }

    private void Unbind(ModelFlow flow)
    {
        if (flow.Binding is ModelBinding binding)
        {
            flow.Binding = null;
            binding.Flows--;
            Forget(binding);
        }
    }

    private void Forget(ModelBinding binding)
    {
        if (binding.Flows == 0 && binding.Requests == 0)
        {
            _bindings.Remove(binding.Key);
        }
    }

    private static ModelOutput Reset(ModelFlowKey key, ModelAddress? native, uint sequence, uint acknowledgment, long tag) =>
        new(OutputKind.Reset, OutputDirection.Host, tag)
        {
            Source = key.Remote,
            Destination = native?.External ?? key.Internal,
            SourcePort = key.RemotePort,
            DestinationPort = key.LocalPort,
            Sequence = sequence,
            Acknowledgment = acknowledgment,
            About = DropReason.AddressEnded,
        };
}
