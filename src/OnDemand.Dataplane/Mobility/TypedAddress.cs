using OnDemand.Dataplane.Wire;

namespace OnDemand.Dataplane.Mobility;

/// <summary>A typed address and the internal address that it stands for.</summary>
internal struct TypedAddress
{
    public IpAddress External;
    public IpAddress Internal;
    public int Prefix;              // number in the prefix table, or -1 when the number is free
    public int Host;                // number of the internal address
    public ushort Difference;       // from internal to external
    public ushort DifferenceOut;    // the same in the wire's order of octets
    public ushort DifferenceIn;     // and from external to internal
    public AddressType Type;
    public bool Retired;            // renewed: no longer for new sockets
    public bool Exact;              // the network's or the capture's own, not made by us
    public ushort NativeRequests;   // sockets that asked for it to bind themselves to it
    public int Users;               // flows and bindings
    public int NativeFlows;
    public int NextOfHost;          // or the next free number
    public ulong BytesOut;
    public ulong BytesIn;
    public ulong PacketsOut;
    public ulong PacketsIn;
    public Timestamp Since;
}

/// <summary>An address that programs send from.</summary>
internal struct InternalAddress
{
    public IpAddress Address;
    public int FirstTyped;          // its typed addresses
}
