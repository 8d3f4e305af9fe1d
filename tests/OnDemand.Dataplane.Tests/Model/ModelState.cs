using OnDemand.Dataplane.Flows;
using OnDemand.Dataplane.Mobility;
using OnDemand.Dataplane.Selection;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>A prefix as the model knows it.</summary>
internal sealed class ModelPrefix
{
    public required IpPrefix Prefix { get; init; }

    public required AddressType Type { get; init; }

    public required bool Home { get; init; }

    public bool OnDemand { get; set; }

    public int Attachment { get; set; }

    public PrefixState State { get; set; }

    public Timestamp PreferredUntil { get; set; }

    public Timestamp ValidUntil { get; set; }

    public Timestamp ClosesAt { get; set; } = Timestamp.Never;

    public bool WasLeftByDetachment { get; set; }

    public Timestamp UnusedSince { get; set; }

    public bool WasUsed { get; set; }

    /// <summary>The address that new sockets of an internal address get.</summary>
    public Dictionary<IpAddress, ModelAddress> Current { get; } = [];

    public bool IsUsable => State is PrefixState.Preferred or PrefixState.Deprecated or PrefixState.Closing;

    public bool IsForNewSockets => State is PrefixState.Preferred or PrefixState.Deprecated;
}

/// <summary>A typed address; what it is is seen when the engine first shows it, unless the prefix is a /128.</summary>
internal sealed class ModelAddress
{
    public required ModelPrefix Prefix { get; init; }

    public required IpAddress Internal { get; init; }

    public required Timestamp Since { get; init; }

    public IpAddress? External { get; set; }

    public bool IsExact { get; init; }

    /// <summary>
    /// Whether the engine has shown it, or must have it: a Fixed address that comes back need not be made before it is
    /// needed.
    /// </summary>
    public bool IsShown { get; set; }

    /// <summary>Renewed: no longer for new sockets, and forgotten with its last user.</summary>
    public bool IsRetired { get; set; }

    public ulong OctetsOut { get; set; }

    public AddressType Type => Prefix.Type;

    public bool IsUsable => Prefix.IsUsable;
}

/// <summary>What a flow is to get, and the request that said so; a request's outcome is its own even where policy's is the same.</summary>
internal readonly record struct ModelDecision(PolicyOutcome Outcome, ulong? Request = null);

/// <summary>What makes two flows share an address.</summary>
internal readonly record struct ModelBindingKey(byte Protocol, IpAddress Internal, ushort LocalPort, ModelDecision Decision);

/// <summary>A socket's address for one outcome.</summary>
internal sealed class ModelBinding
{
    public required ModelBindingKey Key { get; init; }

    public required ModelAddress Address { get; set; }

    public int Flows { get; set; }

    public int Requests { get; set; }
}

/// <summary>A flow's key; a native socket's has its typed address, which is another one each time its prefix comes back.</summary>
internal readonly record struct ModelFlowKey(
    byte Protocol, IpAddress Remote, ushort RemotePort, ushort LocalPort, IpAddress Internal, ModelAddress? Native = null);

/// <summary>A flow.</summary>
internal sealed class ModelFlow
{
    public required ModelFlowKey Key { get; init; }

    public required ModelAddress Address { get; set; }

    public ModelAddress? OldAddress { get; set; }

    public ModelBinding? Binding { get; set; }

    public bool IsNative { get; init; }

    /// <summary>Its remote was one of our own addresses when time was last advanced.</summary>
    public bool IsHairpin { get; set; }

    public FlowState State { get; set; }

    public Timestamp LastSeen { get; set; }

    /// <summary>The furthest acknowledgment number that the host sent.</summary>
    public uint? HostAcknowledged { get; set; }

    /// <summary>Where the remote's last segment ends.</summary>
    public uint? RemoteEnd { get; set; }

    /// <summary>How far the host's segments reach.</summary>
    public uint? HostEnd { get; set; }

    public bool IsTcp => Key.Protocol == IpProtocol.Tcp;

    public bool IsLive => State is not (FlowState.Closed or FlowState.Reset or FlowState.Stranded);

    public bool IsConnected =>
        State is FlowState.OpeningIn or FlowState.Established or FlowState.HostFin or FlowState.RemoteFin;
}

/// <summary>A question that the network has not answered.</summary>
internal sealed class ModelQuestion
{
    public required AddressType Type { get; init; }

    public required bool OnNet { get; init; }

    public required Timestamp Deadline { get; init; }

    /// <summary>The request for which alone it was asked (ON_NET as draft-17 reads it).</summary>
    public ulong? Owner { get; init; }

    /// <summary>The number by which the engine knows it.</summary>
    public int? Id { get; set; }

    public List<ModelRequest> Waiting { get; } = [];

    /// <summary>The internal addresses that need the answer.</summary>
    public HashSet<IpAddress> Hosts { get; } = [];
}

/// <summary>A socket's request.</summary>
internal sealed class ModelRequest
{
    public required ulong Token { get; init; }

    public required byte Protocol { get; init; }

    public required IpAddress Named { get; init; }

    public required IpAddress Internal { get; init; }

    public required ushort LocalPort { get; init; }

    public required PolicyOutcome Outcome { get; init; }

    public ModelBinding? Binding { get; set; }

    public ModelBindingKey Key => new(Protocol, Internal, LocalPort, new ModelDecision(Outcome, Token));

    public bool IsWaiting { get; set; }
}

/// <summary>A frame that waits, as it arrived.</summary>
internal sealed class ModelHeldFrame
{
    public required byte[] Frame { get; init; }

    public required FrameInfo Info { get; init; }

    public required bool Inbound { get; init; }

    public ModelQuestion? Question { get; init; }

    public ModelDatagram? Datagram { get; init; }
}

/// <summary>What became of a datagram's first fragment.</summary>
internal enum ModelFirst
{
    Unseen,
    Held,
    Dropped,
    Rewritten,
    Untouched,
}

/// <summary>A fragmented datagram.</summary>
internal sealed class ModelDatagram
{
    public required Timestamp Deadline { get; set; }

    public List<(int Offset, int Length)> Ranges { get; } = [];

    public bool IsOverlapped { get; set; }

    public ModelFirst First { get; set; }

    public ForwardReason Untouched { get; set; }

    public ModelAddress? Address { get; set; }
}
