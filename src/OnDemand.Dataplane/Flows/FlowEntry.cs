using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Flows;

/// <summary>
/// What a packet needs of its flow: one cache line. One entry serves both directions, because a rewrite leaves the remote address and
/// both ports alone: the key is remote address, and in the tail protocol, internal address, local port, remote port.
/// </summary>
[StructLayout(LayoutKind.Sequential, Size = 64)]
internal struct FlowEntry
{
    public IpAddress Remote;
    public ulong Tail;
    public ulong Bytes;          // both directions, IPv6 packets with their headers
    public int Address;          // typed address in use
    public int OldAddress;       // typed address still accepted inbound until its window closes, or -1
    public uint LastSeen;        // ticks
    public uint Packets;         // both directions
    public uint SendNext;        // the host's SND.NXT as far as seen
    public uint ReceiveNext;     // the host's RCV.NXT as far as seen
    public int Binding;          // the socket's binding, or -1
    public FlowState State;
    public FlowMarks Marks;
    public byte IdleShift;       // added to the state to find the idle time: other datagrams live differently from UDP
    public bool ReceiveGuessed;  // ReceiveNext comes from the remote's segments, the host has not acknowledged any

    public readonly byte Protocol => FlowKey.ProtocolOf(Tail);

    public readonly int Host => FlowKey.HostOf(Tail);

    public readonly ushort LocalPort => FlowKey.LocalPortOf(Tail);

    public readonly ushort RemotePort => FlowKey.RemotePortOf(Tail);

    public readonly bool Has(in FlowKey key) => Has(key.Remote, key.Tail);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly bool Has(in IpAddress remote, ulong tail) => Tail == tail && IpAddress.AreSame(Remote, remote);
}

/// <summary>What only opening, expiry and reports read.</summary>
[StructLayout(LayoutKind.Sequential, Size = 16)]
internal struct FlowColdEntry
{
    public int WheelNext;
    public int WheelPrevious;    // or the next free entry
    public Decision Decision;
}
