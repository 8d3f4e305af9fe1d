using OnDemand.Dataplane.Mobility;

namespace OnDemand.Dataplane;

/// <summary>What one address type has carried.</summary>
public record struct TypeCounters
{
    /// <summary>Flows in the table that are not closed.</summary>
    public long Flows { get; internal set; }

    /// <summary>Flows that were ever opened.</summary>
    public long FlowsOpened { get; internal set; }

    /// <summary>Live TCP flows whose address ended under them.</summary>
    public long Stranded { get; internal set; }

    /// <summary>Flows that went over to another address.</summary>
    public long WentOver { get; internal set; }

    /// <summary>Flows that were refused an address.</summary>
    public long Refused { get; internal set; }

    /// <summary>Packets in both directions.</summary>
    public long Packets { get; internal set; }

    /// <summary>Octets of those packets, IPv6 headers included.</summary>
    public long Octets { get; internal set; }
}

/// <summary>Plain arrays indexed by enum; read between packets.</summary>
public sealed class Counters
{
    internal readonly long[] Verdicts = new long[4];
    internal readonly long[] Forwards = new long[(int)ForwardReason.Untranslatable + 1];
    internal readonly long[] Drops = new long[(int)DropReason.ReplyQueueFull + 1];
    internal readonly TypeCounters[] Types = new TypeCounters[AddressTypes.Count];

    private readonly AddressTable _addresses;

    internal Counters(AddressTable addresses) => _addresses = addresses;

    /// <summary>RST packets made for stranded flows.</summary>
    public long ResetsSent { get; internal set; }

    /// <summary>ICMPv6 errors made.</summary>
    public long IcmpErrorsSent { get; internal set; }

    /// <summary>ICMPv6 errors not made because of the rate limit (RFC 4443 §2.4 (f)).</summary>
    public long IcmpErrorsSuppressed { get; internal set; }

    /// <summary>Questions put to the network.</summary>
    public long NetworkRequests { get; internal set; }

    /// <summary>Questions put to the kernel: which socket does a flow belong to.</summary>
    public long SocketQuestions { get; internal set; }

    /// <summary>Those that were not answered in time.</summary>
    public long SocketsUnanswered { get; internal set; }

    /// <summary>Events that found no room.</summary>
    public long EventsLost { get; internal set; }

    /// <summary>Typed addresses renewed by age or octets (RFC 8653 §5).</summary>
    public long AddressesRenewed { get; internal set; }

    /// <summary>Frames that met a verdict.</summary>
    /// <param name="kind">The verdict.</param>
    /// <returns>How many.</returns>
    public long Of(VerdictKind kind)
    {
        if (kind != VerdictKind.Forward)
        {
            return Verdicts[(int)kind];
        }

        long sum = 0;   // each forwarded frame is counted once, by its reason
        foreach (long count in Forwards)
        {
            sum += count;
        }

        return sum;
    }

    /// <summary>Frames sent on for a reason.</summary>
    /// <param name="reason">The reason.</param>
    /// <returns>How many.</returns>
    public long Of(ForwardReason reason) => Forwards[(int)reason];

    /// <summary>Frames dropped, or answered, for a reason.</summary>
    /// <param name="reason">The reason.</param>
    /// <returns>How many.</returns>
    public long Of(DropReason reason) => Drops[(int)reason];

    /// <summary>What a type has carried; <see cref="AddressType.None"/> for prefixes without one.</summary>
    /// <param name="type">The type.</param>
    /// <returns>A copy of its counters.</returns>
    public TypeCounters Of(AddressType type)
    {
        // Packets are counted where they are handled, at their typed address; what freed addresses carried is already here.
        TypeCounters counters = Types[(int)type];
        for (int id = 0; id < _addresses.TypedHighWater; id++)
        {
            ref TypedAddress address = ref _addresses.Typed(id);
            if (address.Prefix >= 0 && address.Type == type)
            {
                counters.Packets += (long)(address.PacketsOut + address.PacketsIn);
                counters.Octets += (long)(address.BytesOut + address.BytesIn);
            }
        }

        return counters;
    }
}
