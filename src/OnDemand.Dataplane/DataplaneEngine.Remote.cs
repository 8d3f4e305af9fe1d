using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane;

/// <summary>What a remote's frame to an internal address became.</summary>
public enum RemoteView : byte
{
    /// <summary>It is not addressed to an internal address, or is of a kind that is never rewritten; it stays as it is.</summary>
    Unchanged,

    /// <summary>It now has the typed address that the remote would have used.</summary>
    Rewritten,

    /// <summary>No typed address stands for its destination now: the remote could not have sent it.</summary>
    NoAddress,

    /// <summary>A fragment other than the first, which alone says which address it is.</summary>
    LaterFragment,
}

/// <content>
/// The remote's view, for captures that were taken inside: which typed address a remote would have used where the capture shows the
/// internal one. Nothing here is on the packet path, and no flow is opened by looking.
/// </content>
public sealed partial class DataplaneEngine
{
    /// <summary>Whether programs send from an address.</summary>
    /// <param name="address">The address.</param>
    /// <returns>Whether it is internal.</returns>
    public bool IsInternalAddress(IpAddress address) => IsInternal(address);

    /// <summary>Whether an address is a typed address of this host, ended ones that are not forgotten included.</summary>
    /// <param name="address">The address.</param>
    /// <returns>Whether it is.</returns>
    public bool IsTypedAddress(IpAddress address) => _addresses.Find(address).IsTyped;

    /// <summary>Gives a frame the destination that its remote would have used instead of the internal address.</summary>
    /// <param name="frame">A frame towards the host; rewritten in place.</param>
    /// <param name="info">What is known of it.</param>
    /// <param name="now">The time.</param>
    /// <param name="external">The typed address, if rewritten.</param>
    /// <returns>What became of it.</returns>
    public RemoteView ViewAsRemote(Span<byte> frame, in FrameInfo info, Timestamp now, out IpAddress external)
    {
        BeginCall(now);
        external = default;
        FrameParser.Parse(frame, info.NetworkOffset, out FrameLayout layout);
        if (layout.Shape is FrameShape.NotIpv6 or FrameShape.NeighborDiscovery)
        {
            return RemoteView.Unchanged;
        }

        var prepared = new Prepared { Layout = layout, Source = SourceOf(frame, layout), Destination = DestinationOf(frame, layout) };
        prepared.Name = _addresses.Find(prepared.Destination);
        if (!prepared.Name.IsKnown && IsInternal(prepared.Destination) && _addresses.AddInternal(prepared.Destination) >= 0)
        {
            AddressesOfNewHost(_addresses.InternalCount - 1, now);
            prepared.Name = _addresses.Find(prepared.Destination);
        }

        if (!prepared.Name.IsInternal || (layout.Shape != FrameShape.Icmpv6Error && IsLinkScope(prepared.Source)))
        {
            return RemoteView.Unchanged;
        }

        switch (layout.Shape)
        {
            case FrameShape.LaterFragment:
                return RemoteView.LaterFragment;
            case FrameShape.Icmpv6Error:
                return ViewErrorAsRemote(frame, prepared, info, now, out external);
            case FrameShape.Transport or FrameShape.OpaqueTransport when !layout.Has(FrameMarks.SegmentsLeft):
                break;
            default:
                return RemoteView.Unchanged;
        }

        int host = prepared.Name.Number;
        var key = new FlowKey(prepared.Source, layout.Protocol, host, layout.DestinationPort, layout.SourcePort);
        byte flags = layout.Has(FrameMarks.TcpHeader) ? frame[layout.UpperOffset + 13] : (byte)0;
        var facts = new FlowFacts(
            layout.Protocol, prepared.Destination, layout.DestinationPort, prepared.Source, layout.SourcePort,
            TrafficClassOf(frame, layout.NetworkOffset));
        int address = AddressSeenBy(key, facts, host, begins: layout.Protocol != IpProtocol.Tcp || IsSyn(flags), now);
        if (address < 0)
        {
            return RemoteView.NoAddress;
        }

        ref TypedAddress typed = ref _addresses.Typed(address);
        if (layout.Shape == FrameShape.OpaqueTransport && typed.Difference != 0)
        {
            return RemoteView.Unchanged;
        }

        external = typed.External;
        AddressRewrite.Destination(frame, layout, external, typed.Difference, info.PartialChecksum);
        return RemoteView.Rewritten;
    }

    private RemoteView ViewErrorAsRemote(Span<byte> frame, in Prepared prepared, in FrameInfo info, Timestamp now, out IpAddress external)
    {
        external = default;
        if (!TryReadQuote(frame, prepared, info, out FrameLayout quoted, out _) || SourceOf(frame, quoted) != prepared.Destination)
        {
            return RemoteView.Unchanged;
        }

        int host = prepared.Name.Number;
        IpAddress remote = quoted.Has(FrameMarks.SegmentsLeft)
            ? IpAddress.Read(frame[quoted.FinalDestinationOffset..]) : DestinationOf(frame, quoted);
        var key = new FlowKey(remote, quoted.Protocol, host, quoted.SourcePort, quoted.DestinationPort);
        int address = -1;
        if (quoted.Shape == FrameShape.LaterFragment)
        {
            int flow = FlowOfFragment(prepared.Destination, quoted, frame, remote, outbound: true, prepared.Name);
            address = flow >= 0 ? _flows.Entry(flow).Address : -1;
        }
        else
        {
            address = AddressSeenBy(key, QuotedFacts(key, prepared.Destination), host, begins: false, now);
        }

        if (address < 0)
        {
            return RemoteView.NoAddress;
        }

        ref TypedAddress typed = ref _addresses.Typed(address);
        external = typed.External;
        AddressRewrite.Error(frame, prepared.Layout, quoted, outbound: false, external, typed.Difference, info.PartialChecksum);
        return RemoteView.Rewritten;
    }

    // The flow's address; for a flow that the remote begins, one that it may reach; for the middle of a flow, the one that the host would
    // get if it went on.
    private int AddressSeenBy(in FlowKey key, in FlowFacts facts, int host, bool begins, Timestamp now)
    {
        int id = FindLive(key, now);
        bool over = id >= 0 && begins && key.IsTcp && _flows.Entry(id).State is FlowState.Closed or FlowState.Reset;
        if (id >= 0 && !over)
        {
            return _flows.Entry(id).Address;
        }

        int own = PeekAddress(facts, host, key.Tail, now);
        if (!begins || (own >= 0 && _policy.AllowsInbound(_addresses.Typed(own).Type, facts, out _)))
        {
            return own;
        }

        bool full = false;
        foreach (int prefix in _prefixes.InOrder)
        {
            ref PrefixEntry entry = ref _prefixes[prefix];
            if (entry.State is PrefixState.Preferred or PrefixState.Deprecated && _policy.AllowsInbound(entry.Type, facts, out _))
            {
                int address = AddressIn(prefix, host, now, ref full);
                if (address >= 0)
                {
                    return address;
                }
            }
        }

        return own;
    }

    // What Acquire would give, without a binding being made.
    private int PeekAddress(in FlowFacts facts, int host, ulong tail, Timestamp now)
    {
        int request = FindRequest(tail);
        PolicyMatch match = _policy.Match(facts);
        ushort outcome = request >= 0 ? (ushort)(RequestOutcomes + request)
            : match.RuleIndex >= 0 ? _outcomeOfRule[match.RuleIndex] : _defaultOutcome;
        int binding = _bindings.Find(BindingTable.KeyOf(tail, outcome));
        if (binding >= 0 && IsForNewFlows(_bindings[binding].Address))
        {
            return _bindings[binding].Address;
        }

        SourceChoice choice = Select(OutcomeOf(outcome), outcome, default, facts.Remote, host, mayAsk: false, now);
        return choice.Result == ChoiceResult.Chosen ? choice.Address : -1;
    }
}
