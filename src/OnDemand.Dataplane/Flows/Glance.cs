using System.Runtime.InteropServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>What the first look at a frame keeps of it until it is handled.</summary>
[StructLayout(LayoutKind.Sequential, Size = 32)]
internal struct Glance
{
    public ulong Tail;       // of the flow's key
    public uint Hash;        // of the flow's key, as far as the index uses it
    public int At;           // the IPv6 header's place: sixty octets are there
    public int Typed;        // inbound: number of the destination
    public int Guess;        // the flow that the hash suggests; -1 for none, or not a common packet, and then nothing else is set
}
