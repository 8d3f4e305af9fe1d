using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Tests.Model;

/// <summary>What the model says of a frame.</summary>
internal sealed record ModelVerdict(VerdictKind Kind, ForwardReason Forward = default, DropReason Drop = DropReason.None,
    byte[]? Frame = null)
{
    /// <summary>
    /// A second answer that is as good: the contract does not say how long the engine must remember that an address that has ended was one
    /// of ours, and RFC 5722 does not tell an overlapping fragment from those after it.
    /// </summary>
    public ModelVerdict? Or { get; init; }

    public static ModelVerdict Sent(ForwardReason reason, byte[] frame) => new(VerdictKind.Forward, reason, Frame: frame);

    public static ModelVerdict Dropped(DropReason reason) => new(VerdictKind.Drop, Drop: reason);

    public static ModelVerdict Replied(DropReason about) => new(VerdictKind.Reply, Drop: about);

    public static ModelVerdict Held() => new(VerdictKind.Hold);
}

/// <summary>What the model says comes out beside the frames themselves.</summary>
internal sealed record ModelOutput(OutputKind Kind, OutputDirection Direction, long Tag)
{
    /// <summary>A released frame, or the packet that an ICMPv6 error is about.</summary>
    public byte[] Frame { get; init; } = [];

    public int NetworkOffset { get; init; }

    public IpAddress Source { get; init; }

    public IpAddress Destination { get; init; }

    public ushort SourcePort { get; init; }

    public ushort DestinationPort { get; init; }

    public uint Sequence { get; init; }

    public uint Acknowledgment { get; init; }

    public byte Code { get; init; }

    public DropReason About { get; init; }

    /// <summary>Set for what comes out of the sweep, whose order among flows is the engine's own.</summary>
    public bool Unordered { get; init; }
}
