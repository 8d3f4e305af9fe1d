using System.Runtime.InteropServices;

namespace OnDemand.Dataplane.Flows;

/// <summary>What the first look at a frame keeps of it until it is handled.</summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct Glance
{
    public FlowKey Key;
    public ulong Hash;
    public int Typed;        // inbound: number of the destination
    public int Guess;        // the flow that the hash suggests, or -1
    public bool IsCommon;    // if not, nothing else is set but the guess of -1
}
