using System.Runtime.InteropServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>What the first look at a frame keeps of it until it is handled.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal struct Glance
{
    /// <summary>No flow is meant, or the packet is not a common one, and then nothing else is set.</summary>
    public const int None = -1;

    /// <summary>The first look is not complete.</summary>
    public const int NotYet = -2;

    /// <summary>A common packet, of which the index was not asked yet.</summary>
    public const int Common = 0;

    public ulong Tail;       // of the flow's key
    public uint Hash;        // of the flow's key, as far as the index uses it
    public int At;           // the IPv6 header's place: sixty octets are there
    public int Typed;        // inbound: number of the destination
    public int Guess;        // the flow that the hash suggests, or one of the above
}
